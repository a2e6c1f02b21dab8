"""The port to what is remembered, in the engine's words; `engine.recall` implements it over the store.

Two kinds of writing: the write-ahead of an intent is awaited before anything is sent; books, audit and
equity go through an ordered outbox that the consumer never waits for and that retries until durable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from holdfast.decisions.equity import EquityTrack
from holdfast.decisions.facts import Tracked
from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import Balance, PositionKey
from holdfast.domain.intents import Journaled, Outcome
from holdfast.domain.orders import Fill, Stop

LIQUIDATING = "liquidation_in_progress"
"""The risk flag that stands while a liquidation is under way; a start that finds it finishes that (R4.8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the operator ordered last, and how far the bot has stepped down."""

    operator: OperatorState
    operator_why: str
    mode: Mode
    mode_why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a start finds: open intents, open books, standing."""

    intents: tuple[Journaled, ...]
    unbooked: tuple[Journaled, ...]
    """Entries that filled, and then the last run ended before the books had them."""
    tracked: tuple[Tracked, ...]
    pending_exits: tuple[Tracked, ...]
    """Closed on the exchange, true exit not read yet."""
    protected_since: Mapping[PositionKey, int]
    """From when on each open position has had a covering stop, as far as the books say."""
    standing: Standing
    entries_today: int
    handover_until_ms: int
    """Until then the instance that had the account before may still be heard of at the exchange."""
    equity: EquityTrack | None
    equity_ms: int
    """As of when."""
    unfinished_liquidation: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a position ended. *price* None = not known yet (`exit_pending`)."""

    reason: str
    cause: str
    at_ms: int
    price: Decimal | None
    realized_pnl: Decimal
    fees: Decimal


class JournalSaysNo(Exception):
    """The conditional write-ahead insert refused: the intent must not be sent."""


class MemoryUnwritable(Exception):
    """Nothing is known to be durable: no new risk may be taken (G26)."""


class Memory(Protocol):
    async def recall(self) -> Remembered: ...

    async def write_ahead(self, journaled: Journaled) -> None:
        """Durable when it returns. Raises `JournalSaysNo` or `MemoryUnwritable`."""
        ...

    def note_outcome(self, journaled: Journaled, outcome: Outcome, at_ms: int) -> None: ...

    def note_dead(self, journaled: Journaled, why: str, at_ms: int) -> None:
        """Proven: it never had an effect and never will."""
        ...

    def note_stop(self, stop: Stop, at_ms: int) -> None:
        """A stop of ours came to its end, long after its request was answered."""
        ...

    def open_trade(self, tracked: Tracked, journaled: Journaled | None, leverage: int) -> None: ...

    def resize_trade(self, handle: int, quantity: Decimal, entry_price: Decimal) -> None: ...

    def protect_trade(self, handle: int, stop_price: Decimal, since_ms: int) -> None: ...

    def move_stop(self, handle: int, stop_price: Decimal) -> None:
        """The stop's wanted price, so that a restart places it there too."""
        ...

    def leave_trade(self, handle: int, reason: str) -> None:
        """It is decided that the position is closed, and why: a restart goes on with that."""
        ...

    def close_trade(self, handle: int, exit_: Exit) -> None: ...

    def correct_exit(self, handle: int, exit_: Exit) -> None: ...

    def add_fills(self, fills: Sequence[Fill]) -> None: ...

    def equity(self, balance: Balance, at_ms: int, track: EquityTrack, transferred: Decimal) -> None:
        """A snapshot; *transferred* came in (+) or went out (-) since the one before."""
        ...

    def flag(self, name: str, value: int, detail: str) -> None: ...

    def audit(self, event_type: str, correlation_id: str, details: Mapping[str, object]) -> None: ...

    async def set_operator(self, state: OperatorState, who: str, why: str) -> None:
        """Durable when it returns. Raises `MemoryUnwritable`."""
        ...

    def note_mode(self, mode: Mode, who: str, why: str) -> None: ...

    async def renew_lease(self) -> bool:
        """Hold the account's lease for longer; False when another instance has taken it. Raises
        `MemoryUnwritable`."""
        ...

    async def win_rates(self) -> Mapping[str, tuple[int, int]]:
        """Per strategy: wins and closed trades. Raises `MemoryUnwritable`."""
        ...

    def trouble(self) -> str:
        """Why writing fails just now; empty when all is well."""
        ...

    async def settle(self, timeout_ms: int) -> str:
        """Wait until the outbox is durable; what is not by then and why, empty when everything is."""
        ...
