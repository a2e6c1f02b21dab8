"""The order manager of a running bot: what a liquidation asks for, done through the same lanes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from holdfast.decisions.close import market_closes
from holdfast.decisions.facts import Tracked
from holdfast.decisions.step import Read, Want
from holdfast.domain.account import MarginMode, Position, PositionKey
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Outcome,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
    Unavailable,
    Unknown,
)
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Order, OrderState, Stop, StopKind, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.engine.events import ReadDone
from holdfast.engine.liquidator import PositionRow
from holdfast.engine.supervisor import Supervisor
from holdfast.exchanges.port import ExchangeError

PROOF_LOOK_S = 0.05


class CloseRefused(Exception):
    """The exchange did not take a closing or cancelling request, or did not say."""


class AccountOrders:
    """`liquidator.OrderManager` over a supervisor. Positions that are not ours are left alone (R0.4)."""

    def __init__(self, supervisor: Supervisor, reason: str = "shutdown") -> None:
        self._supervisor = supervisor
        self._state = supervisor.account.state
        self.reason = reason
        """Why what is closed is closed, for orders and books."""

    async def get_all_positions(self, symbols: Sequence[str]) -> Sequence[PositionRow]:
        """A fresh read, corrected by what the streams said since; raises `ExchangeError`."""
        exchange, clock = self._supervisor.account.exchange, self._supervisor.account.clock
        want = Want(Read.POSITIONS, None, clock.now_ms(), urgent=True)
        fact = await exchange.positions(priority=Priority.EMERGENCY)
        if not fact.complete:
            raise CloseRefused("the positions could not be read completely")
        self._supervisor.inbox.put(ReadDone(want, fact), urgent=True)
        await self._supervisor.caught_up()
        return self.last_known(symbols)

    def last_known(self, symbols: Sequence[str]) -> Sequence[PositionRow]:
        """What is held as far as we know, when it cannot be read just now."""
        wanted = {Symbol.parse(each) for each in symbols}
        return [_row(position) for position in self._held() if not wanted or position.symbol in wanted]

    def _held(self) -> list[Position]:
        """What is ours. A position that a single read no longer shows is held until the books close it
        on better evidence (R3.3): closing what is flat is refused, and that harms nobody."""
        believed = self._state.believed_positions()
        tracked = sorted(self._state.tracked.items(), key=lambda item: str(item[0]))
        return [believed.get(key) or _from_books(each) for key, each in tracked]

    def _held_on(self, symbol: Symbol) -> list[Position]:
        return [position for position in self._held() if position.symbol == symbol]

    def symbols_of_ours(self) -> tuple[str, ...]:
        """Where a position, an order or an unanswered request of ours may stand."""
        state = self._state
        resting = {o.symbol for o in state.believed_orders().values() if state.is_ours(o.client_id)}
        asked = {j.intent.symbol for j in state.intents.values() if j.intent.purpose is Purpose.ENTER}
        return tuple(sorted(str(s) for s in resting | asked | {key.symbol for key in state.tracked}))

    def pending_entries(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """Where an entry was sent and nobody knows its end: it may open a position after the last look."""
        wanted = {Symbol.parse(each) for each in symbols}
        unproven = (OrderState.SENDING, OrderState.UNKNOWN)
        entries = (j for j in self._state.intents.values() if j.intent.purpose is Purpose.ENTER)
        found = {j.intent.symbol for j in entries if j.state in unproven}
        return tuple(sorted(str(each) for each in found if not wanted or each in wanted))

    async def proven(self, symbols: Sequence[str]) -> None:
        """Returns once no entry is pending: the supervisor asks for them and protects what comes."""
        while self.pending_entries(symbols):
            await asyncio.sleep(PROOF_LOOK_S)
            await self._supervisor.caught_up()

    async def cancel_all_orders(self, symbol: str) -> int:
        """Entries and take-profits of ours; protective stops stay."""
        name, state = Symbol.parse(symbol), self._state
        orders = [
            _cancel(order)
            for order in state.believed_orders().values()
            if order.symbol == name and state.is_ours(order.client_id)
        ]
        profits = [
            _cancel(stop)
            for stop in state.believed_stops().values()
            if stop.symbol == name and stop.kind is StopKind.TAKE_PROFIT and state.is_ours(stop.client_id)
        ]
        return await self._cancel_each([*orders, *profits])

    async def execute_market_close(self, symbol: str, side: str, quantity: Decimal) -> object:
        """Close what is held; raises `CloseRefused` with the exchange's words."""
        outcomes: list[Outcome] = []
        for position in self._held_on(Symbol.parse(symbol)):
            if position.direction.closing.value.upper() == side:
                self._mark(position.key)
                outcomes += await self._close(position, quantity)
        for outcome in outcomes:
            if not isinstance(outcome, Accepted):
                # Also "nothing to reduce": whether that is true a read of the position tells (R0.5).
                raise CloseRefused(_words(outcome))
        return outcomes

    async def _close(self, position: Position, quantity: Decimal) -> list[Outcome]:
        """At market; once more without the orders in its way, whoever sent them, if they block it (G16)."""
        rules = self._state.rules_of(position.symbol)
        closes = market_closes(position, quantity, rules, priority=Priority.EMERGENCY, reason=self.reason)
        outcomes = await self._supervisor.perform(closes)
        if not any(_blocked(outcome) for outcome in outcomes):
            return outcomes
        resting = self._state.believed_orders().values()
        for order in [o for o in resting if PositionKey(o.symbol, o.position_side) == position.key]:
            await self._supervisor.perform((_cancel(order),))
        return await self._supervisor.perform(closes)

    def _mark(self, key: PositionKey) -> None:
        """The books will say why it was closed; the step leaves the closing to the liquidation."""
        tracked = self._state.tracked.get(key)
        if tracked is not None:
            self._state.tracked[key] = replace(tracked, closing_reason=self.reason, hands_off=True)

    # --- protective stops ----------------------------------------------------------------------

    def protective_orders(self, symbol: str) -> int:
        return len(self._stops(Symbol.parse(symbol)))

    def _stops(self, symbol: Symbol) -> list[Stop]:
        return [
            stop
            for stop in self._state.believed_stops().values()
            if stop.symbol == symbol and stop.kind is StopKind.STOP and stop.status is StopStatus.LIVE
        ]

    async def cancel_protective_orders(self, symbol: str) -> int:
        """After the position is flat: what stops remain in the book (read afresh) are cancelled."""
        account, name = self._supervisor.account, Symbol.parse(symbol)
        if self._held_on(name):
            raise CloseRefused(f"the position on {symbol} is not proven flat: its stops stay")
        want = Want(Read.STOPS, name, account.clock.now_ms(), urgent=True)
        try:
            fact = await account.exchange.open_stops(name, priority=Priority.PROTECT)
        except ExchangeError as error:
            raise CloseRefused(f"stops of {symbol}: {error}") from error
        self._supervisor.inbox.put(ReadDone(want, fact), urgent=True)
        await self._supervisor.caught_up()
        ours = [stop for stop in self._stops(name) if self._state.is_ours(stop.client_id)]
        return await self._cancel_each([_cancel(stop) for stop in ours])

    async def _cancel_each(self, cancels: Sequence[Intent]) -> int:
        done = 0
        for intent in cancels:
            for outcome in await self._supervisor.perform((intent,)):
                gone = isinstance(outcome, Rejected) and outcome.reason is RejectReason.NOT_FOUND
                if not isinstance(outcome, Accepted) and not gone:
                    raise CloseRefused(_words(outcome))
                done += isinstance(outcome, Accepted)
        return done


def _words(outcome: Outcome) -> str:
    """Why it was not done, for people."""
    match outcome:
        case Rejected(code=code, message=message):
            return f"{code} {message}"
        case Unknown(cause=cause) | Unavailable(cause=cause):
            return cause
        case _:
            return ""


def _blocked(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and outcome.reason is RejectReason.REDUCE_BLOCKED


def _from_books(tracked: Tracked) -> Position:
    return Position(
        symbol=tracked.key.symbol,
        side=tracked.key.side,
        quantity=tracked.quantity * tracked.direction.sign,
        entry_price=tracked.entry_price,
        mark_price=ZERO,
        unrealized_pnl=ZERO,
        liquidation_price=ZERO,
        leverage=0,
        margin_mode=MarginMode.CROSS,
        updated_ms=tracked.opened_ms,
    )


def _row(position: Position) -> PositionRow:
    return {
        "symbol": str(position.symbol),
        "positionAmt": position.quantity,
        "entryPrice": position.entry_price,
        "unrealizedProfit": position.unrealized_pnl,
    }


def _cancel(of: Order | Stop) -> Intent:
    return Intent(
        purpose=Purpose.CANCEL_ORDER if isinstance(of, Order) else Purpose.CANCEL_STOP,
        symbol=of.symbol,
        side=of.side,
        position_side=of.position_side,
        target_id=of.order_id if isinstance(of, Order) else of.stop_id,
        target_client_id=of.client_id,
        priority=Priority.EMERGENCY,
        reason="liquidation",
    )
