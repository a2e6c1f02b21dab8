"""A court: the exchange's real core with checkers listening, a journal that the test writes, and no bot.

What a bot would do is done by the test, rightly or wrongly; `verdicts` says what the checkers made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Direction, OrderState, PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers.bounds import Bounds, bounds_of
from holdfast.drills.checkers.checkers import Checkers, Watched
from holdfast.drills.checkers.durable import IntentRow, Standing, TradeRow
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.mirror import Mirror
from holdfast.drills.spec import base_settings
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import SimAlgo, SimOrder
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival
from tests.simulator.core.build import FOO, ME, core, order, stop

D = Decimal
KEY = PositionKey(FOO, PositionSide.BOTH)
SECRET = "a-secret-0123456789"


@dataclass
class Journal:
    """`Durable` as the test wrote it."""

    rows: dict[str, IntentRow] = field(default_factory=dict)
    trades: list[TradeRow] = field(default_factory=list)
    stands: Standing = field(default_factory=lambda: Standing(OperatorState.RUNNING, Mode.NORMAL))
    commits: int = 0
    _told: int = -1

    def commit(self) -> None:
        self.commits += 1

    def changed(self) -> bool:
        before, self._told = self._told, self.commits
        return before != self.commits

    def intent(self, client_id: str) -> IntentRow | None:
        return self.rows.get(client_id)

    def open_intents(self) -> Sequence[IntentRow]:
        final = (OrderState.FILLED, OrderState.CLOSED)
        return [row for row in self.rows.values() if row.state not in final]

    def open_trades(self) -> Sequence[TradeRow]:
        return list(self.trades)

    def standing(self) -> Standing:
        return self.stands


@dataclass
class Court:
    """One account with one symbol at a price of 100, and 10 000 in the wallet."""

    core: Core
    journal: Journal
    checkers: Checkers
    alerts: set[Symbol] = field(default_factory=set)
    hindered: str = ""
    count: int = 0

    @property
    def now_ms(self) -> int:
        return self.core.now_ms

    # --- what a bot does ---------------------------------------------------------------------------

    def name(self, tag: str) -> str:
        self.count += 1
        return f"hf-1-{tag}-{self.count}aaaaa"

    def write(self, client_id: str, purpose: Purpose, side: Side, quantity: str, **changes: Any) -> IntentRow:
        """Journal an intent, and let the gate approve it."""
        row = IntentRow(
            client_id=client_id,
            purpose=purpose,
            symbol=FOO,
            side=side,
            quantity=D(quantity),
            correlation_id=changes.pop("correlation_id", f"trade-{client_id}"),
            **changes,
        )
        self.journal.rows[client_id] = row
        self.journal.commit()
        self.approve(client_id, purpose, side, quantity)
        return row

    def approve(
        self, client_id: str, purpose: Purpose, side: Side, quantity: str, *, wanted: str = ""
    ) -> None:
        intent = Intent(purpose=purpose, symbol=FOO, side=side, quantity=D(quantity))
        journaled = Journaled(
            intent=intent,
            client_id=ClientOrderId(client_id),
            account_id="main",
            signed_ms=self.now_ms,
            window_ms=5_000,
        )
        self.checkers.submitted(journaled, None, wanted=wanted)

    def settle(self, client_id: str, state: OrderState = OrderState.FILLED) -> None:
        self.journal.rows[client_id] = replace(self.journal.rows[client_id], state=state)
        self.journal.commit()

    def send(self, client_id: str, side: Side, quantity: str, **changes: Any) -> SimOrder:
        """An order at the exchange, journaled or not."""
        return self.core.place_order(ME, order(side, quantity, client_id=client_id, **changes))

    def book(self, quantity: str, **changes: Any) -> None:
        """The books hold one position of that signed size; "0" = none."""
        size = D(quantity)
        direction = Direction.LONG if size > 0 else Direction.SHORT
        self.journal.trades = []
        if size:
            row = TradeRow(id=self.count, symbol=FOO, direction=direction, quantity=abs(size), **changes)
            self.journal.trades = [row]
        self.journal.commit()

    def enter(self, quantity: str = "10", side: Side = Side.BUY, **changes: Any) -> str:
        """A whole entry as it should be: journaled, sent, filled, booked."""
        client_id = self.name("in")
        self.write(client_id, Purpose.ENTER, side, quantity, **changes)
        self.send(client_id, side, quantity)
        self.settle(client_id)
        self.book(f"{side.sign * D(quantity)}", entry_client_id=client_id)
        return client_id

    def protect(self, trigger: str = "95", **changes: Any) -> SimAlgo:
        """A stop of a long position, for all of it; with *quantity* one of the other form, beside it."""
        client_id, quantity = self.name("stop"), changes.get("quantity", "0")
        whole = {"close_position": quantity == "0", "reduce_only": quantity != "0"}
        self.write(client_id, Purpose.PLACE_STOP, Side.SELL, quantity, **whole)
        self.arrive("POST", "/fapi/v1/algoOrder", symbol="FOOUSDT")
        made = self.core.place_algo(ME, stop(trigger, client_id=client_id, **changes))
        self.settle(client_id, OrderState.WORKING)
        return made

    def cancel(self, made: SimAlgo) -> None:
        """The bot takes a stop back."""
        self.arrive("DELETE", "/fapi/v1/algoOrder", algoId=str(made.algo_id))
        self.core.cancel_algo(ME, algo_id=made.algo_id)
        self.settle(made.client_id, OrderState.CLOSED)

    def close(self, quantity: str = "10", side: Side = Side.SELL) -> str:
        client_id = self.name("out")
        self.write(client_id, Purpose.CLOSE, side, quantity, reduce_only=True)
        self.arrive("POST", "/fapi/v1/order", symbol="FOOUSDT", newClientOrderId=client_id)
        self.send(client_id, side, quantity, reduce_only=True)
        self.settle(client_id)
        self.book("0")
        return client_id

    # --- the wire and the clock ----------------------------------------------------------------------

    def arrive(self, method: str, path: str, *faults: FaultKind, weight: int = 1, **params: str) -> None:
        """A request reaches the exchange."""
        met = tuple(Fault(kind=kind) for kind in faults)
        self.arrive_with(method, path, met, weight=weight, **params)

    def arrive_with(
        self, method: str, path: str, faults: tuple[Fault, ...], *, weight: int = 1, **params: str
    ) -> None:
        arrival = Arrival(
            at_ms=self.now_ms,
            account=ME,
            address="10.0.0.1",
            method=method,
            path=path,
            params=params,
            weight=weight,
            orders=int(method == "POST"),
            faults=faults,
        )
        self.checkers.arrived(arrival)

    def go(self, seconds: float) -> None:
        self.core.advance(self.core.now_ms + round(seconds * 1000))

    def stand(self, operator: OperatorState, mode: Mode = Mode.NORMAL) -> None:
        """Committed: what the operator ordered, and how far the bot stepped down."""
        self.journal.stands = Standing(operator, mode)
        self.journal.commit()

    # --- the verdict ---------------------------------------------------------------------------------

    @property
    def violations(self) -> list[Violation]:
        return self.checkers.findings.violations

    @property
    def verdicts(self) -> list[str]:
        """Which checkers found something, in the order of finding."""
        return [violation.checker for violation in self.violations]


def court(*bars: Any, bounds: Bounds | None = None, **config: Any) -> Court:
    made = core(*bars, **config)
    journal = Journal()
    mirror = Mirror(ME)
    mirror.now_ms = made.now_ms
    mirror.wallet = made.view(ME).wallet
    mirror.wallets.note(0, mirror.wallet)
    alerts: set[Symbol] = set()
    held: list[Court] = []
    checkers = Checkers(
        mirror=mirror,
        durable=journal,
        bounds=bounds or bounds_of(base_settings((FOO,))),
        watched=Watched(
            alerted=lambda symbol: symbol in alerts,
            hindered=lambda: held[0].hindered,
        ),
        secrets={SECRET: "secret"},
    )
    made.listen(checkers.exchange)
    made.listen_cover(checkers.cover)
    sitting = Court(core=made, journal=journal, checkers=checkers, alerts=alerts)
    held.append(sitting)
    sitting.go(2)
    return sitting
