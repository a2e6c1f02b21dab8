"""What the parts of one account's supervisor share."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.decisions.breakers import BreakerVerdict, Operation
from holdfast.decisions.equity import EquityTrack
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.decisions.step import Concern, Read
from holdfast.domain.protocols import Clock, Ids
from holdfast.domain.symbol import Symbol
from holdfast.engine.alerts import Alerts
from holdfast.engine.memory import Memory, Standing
from holdfast.engine.settings import BotSettings
from holdfast.engine.state import AccountState
from holdfast.engine.view import DecisionView
from holdfast.exchanges.port import Exchange

Say = Callable[[str, str, str], None]
LogLine = Callable[[str, dict[str, object]], None]
DECISIONS_KEPT = 50
BUDGET_SHORT_MS = 60_000
"""So long after a question was held back for our own budget it is said: the longest of its windows."""


@dataclass(slots=True, kw_only=True)
class Account:
    """One account's state and tools. Changed by its consumer only; others read the published `View`."""

    settings: BotSettings
    exchange: Exchange
    memory: Memory
    clock: Clock
    ids: Ids
    state: AccountState
    log: LogLine
    kill_ordered: Callable[[], str | None]
    """Why the kill file orders a kill, or None; asked on every step, so it must be cheap."""
    alerts: Alerts = field(default_factory=Alerts)
    decisions: deque[DecisionView] = field(default_factory=lambda: deque(maxlen=DECISIONS_KEPT))
    counters: Counter[str] = field(default_factory=Counter)
    operations: deque[Operation] = field(default_factory=lambda: deque(maxlen=2_000))
    operator: OperatorState = OperatorState.STOPPED
    operator_why: str = ""
    mode: Mode = Mode.NORMAL
    mode_why: str = ""
    breakers: BreakerVerdict = field(default_factory=BreakerVerdict)
    equity: EquityTrack | None = None
    entries_sent: dict[Symbol, tuple[int, ...]] = field(default_factory=dict)
    entries_today: int = 0
    entries_day: int = 0
    last_entry_ms: int | None = None
    synced: bool = False
    last_sync_ms: int | None = None
    incomplete: set[tuple[Read, Symbol | None]] = field(default_factory=set)
    """Questions whose last answer could not be read whole: what was left out may be anything."""
    shutting_down: bool = False
    liquidation_state: str = "IDLE"
    started_ms: int = 0
    price_source: str = "rest"
    socket_down_since_ms: int | None = None
    handover_until_ms: int = 0
    """Until then what another instance sent before we took its lease may still take effect."""
    rate_limited_until_ms: int = 0
    budget_short_until_ms: int = 0
    """Until then it is said that our own budget held a question back."""
    clock_uncertainty_ms: int | None = None
    drift_sum: Decimal = Decimal(0)
    drift_count: int = 0

    def __post_init__(self) -> None:
        self.alerts.on_raised, self.alerts.on_cleared = self._note_raised, self._note_cleared

    def adopt(self, standing: Standing) -> None:
        self.operator, self.operator_why = standing.operator, standing.operator_why
        self.mode, self.mode_why = standing.mode, standing.mode_why

    @property
    def entries_wanted(self) -> bool:
        return not self.shutting_down and self.operator is not OperatorState.KILLED

    def say(self, kind: str, symbol: str, text: str, correlation_id: str = "") -> None:
        """What was just decided and why: for the view, and a line of the log."""
        at_ms = self.clock.now_ms()
        self.decisions.appendleft(
            DecisionView(at_ms=at_ms, kind=kind, symbol=symbol, text=text, correlation_id=correlation_id)
        )
        self.log(f"decision.{kind}", {"symbol": symbol, "text": text, "correlation_id": correlation_id})

    def concern(self, concern: Concern) -> None:
        """Raise an alert; a new one is audited and logged."""
        self.alerts.raise_(concern, self.clock.now_ms())

    def held_back(self, cause: str) -> None:
        """A question waits for our own budget: what is known will be older than it should be (rule 4)."""
        self.budget_short_until_ms = self.clock.now_ms() + BUDGET_SHORT_MS
        text = f"the budget of this address does not suffice, reads come later: {cause}"
        self.concern(Concern("BUDGET_SHORT", "warning", "", text))

    def relieved(self, id_: str, symbol: str = "") -> None:
        """The cause of an alert is over."""
        if self.alerts.standing:  # mostly there is none, and every step says so of many
            self.alerts.clear(id_, symbol)

    def _note_raised(self, concern: Concern) -> None:
        details = {"id": concern.id, "severity": concern.severity, "symbol": concern.symbol}
        self.memory.audit("ALERT_RAISED", "", {**details, "text": concern.text})
        self.log("alert.raised", {**details, "text": concern.text})

    def _note_cleared(self, id_: str, symbol: str) -> None:
        self.memory.audit("ALERT_CLEARED", "", {"id": id_, "symbol": symbol})
        self.log("alert.cleared", {"id": id_, "symbol": symbol})

    def operation(self, failed: bool) -> None:
        """Count an order operation for the error rate (R1.5); what left its window is forgotten."""
        now_ms = self.clock.now_ms()
        while self.operations and now_ms - self.operations[0].at_ms > self.settings.breakers.error_window_ms:
            self.operations.popleft()
        self.operations.append(Operation(now_ms, failed))
        self.counters["operations_failed" if failed else "operations_ok"] += 1

    def note_mode(self) -> None:
        """The mode went down: remembered, so that a restart does not lift it."""
        self.memory.note_mode(self.mode, "bot", self.mode_why)
