"""Brings the books in line with what reconciliation found, and finds the true exit of what ended (R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from holdfast.decisions.facts import Tracked
from holdfast.decisions.reconcile import Appeared, Drift, Finding, Flipped, ForeignOrder, Resized, Vanished
from holdfast.decisions.step import Concern
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.intents import Accepted, Journaled, Priority, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, Fill, Side
from holdfast.domain.symbol import Symbol
from holdfast.engine.alerts import Alerts
from holdfast.engine.doubts import Doubts
from holdfast.engine.events import FillsRead, Inbox
from holdfast.engine.lives import CLOCK_DOUBT_MS, first_fill_ms, life
from holdfast.engine.memory import Exit, Memory
from holdfast.engine.state import AccountState
from holdfast.exchanges.port import Exchange, ExchangeError

EXCHANGE_CLOSED = "EXCHANGE_CLOSED_RECONCILIATION"
FIRST_PAUSE_MS = 300
PAUSE_MAX_MS = 30_000
PATIENCE = 6
"""After so many looks at the executions a figure that does not come out even is taken (10 s and more)."""

SENDERS_MAX = 10
"""Of so many of the last closing executions the order is asked for."""


OWN_CAUSES = {Purpose.PLACE_STOP: "stop", Purpose.CLOSE: "bot"}
SYSTEM_CAUSES = {"autoclose-": "liquidation", "adl_autoclose": "adl", "settlement_autoclose-": "settlement"}


@dataclass(slots=True)
class PendingExit:
    tracked: Tracked
    gone_ms: int
    reason: str
    cause: str
    asked: int = 0


class Bookkeeper:
    """Applies findings to state and memory. Sends nothing to the exchange; reads executions only."""

    def __init__(
        self,
        *,
        state: AccountState,
        memory: Memory,
        exchange: Exchange,
        inbox: Inbox,
        alerts: Alerts,
        say: Callable[[str, str, str], None],
        spawn: Callable[[str, Coroutine[Any, Any, None]], None],
        sleep: Callable[[float], Coroutine[Any, Any, None]],
    ) -> None:
        self._state = state
        self._memory = memory
        self._exchange = exchange
        self._inbox = inbox
        self._alerts = alerts
        self._say = say
        self._spawn = spawn
        self._sleep = sleep
        self._doubts = Doubts(
            state=state, exchange=exchange, inbox=inbox, alerts=alerts, spawn=spawn, sleep=sleep
        )
        self._handles = 0
        self.pending: dict[int, PendingExit] = {}
        self.idle = asyncio.Event()
        self.idle.set()
        self.reconciliations = 0
        self.entries = 0
        self.exits = 0
        self.realized = ZERO
        self.wins = 0
        self.losses = 0

    # --- findings ------------------------------------------------------------------------------

    def apply(
        self, findings: tuple[Finding, ...], now_ms: int, *, manage: Callable[[Appeared], bool]
    ) -> bool:
        """True when the books changed.

        *manage* says whether a position that appeared is to be taken into the books (R0.4).
        """
        before = dict(self._state.tracked)
        for finding in findings:
            match finding:
                case Appeared() if manage(finding):
                    self._opened(finding, now_ms)
                case Vanished(tracked=tracked, at_ms=at_ms):
                    self._closed(tracked, at_ms, now_ms)
                case Resized(tracked=tracked, position=position):
                    self._resized(tracked, position, now_ms)
                case Flipped(tracked=tracked, position=position, entry_client_id=name):
                    self._closed(tracked, now_ms, now_ms, followed_by=name)
                    if manage(other := Appeared(position, name)):
                        self._opened(other, now_ms)
                case ForeignOrder(order=order):
                    text = f"an order that is not ours rests on {order.symbol} ({order.order_id})"
                    self._alerts.raise_(Concern("FOREIGN_ORDER", "warning", str(order.symbol), text), now_ms)
                case Drift(expected=expected, found=found):
                    said = _drifted(finding)
                    text = f"{said} at the exchange: expected {expected}, found {found}; entries are refused"
                    self._alerts.raise_(Concern("ACCOUNT_DRIFT", "critical", said, text), now_ms)
                case _:
                    pass
        foreign = {str(f.order.symbol) for f in findings if isinstance(f, ForeignOrder)}
        self._alerts.keep("FOREIGN_ORDER", foreign)
        self._alerts.keep("ACCOUNT_DRIFT", {_drifted(f) for f in findings if isinstance(f, Drift)})
        self._doubts.see(findings, now_ms)
        return before != self._state.tracked

    def book_entry(self, entry: Journaled, now_ms: int) -> None:
        """An entry of the last run filled, and the books know nothing of it. Its position may have come and
        gone while nobody looked; then reconciliation finds it gone, and the trade gets its true exit."""
        key = PositionKey(entry.intent.symbol, entry.intent.position_side)
        known = key in self._state.tracked or key in self._state.believed_positions()
        if known or entry.intent.purpose is not Purpose.ENTER or entry.open or entry.filled <= 0:
            return
        self._handles -= 1
        tracked = Tracked(
            trade_id=self._handles,
            key=key,
            direction=Direction.LONG if entry.intent.side is Side.BUY else Direction.SHORT,
            quantity=entry.filled,
            entry_price=entry.average_price,
            opened_ms=now_ms,
            stop_price=entry.intent.stop_price,
            strategy=entry.intent.strategy,
            adopted=False,
            entry_client_id=entry.client_id,
            entry_signed_ms=entry.signed_ms,
        )
        self._state.tracked[key] = tracked
        self.learn_rules(key.symbol)
        self._memory.open_trade(tracked, entry, self._state.leverage_of(key.symbol))
        self.entries += 1
        self._say("entry", str(key.symbol), f"{tracked.direction} {entry.filled} of the last run: booked now")

    def _opened(self, finding: Appeared, now_ms: int) -> None:
        position = finding.position
        entry = self._entry(finding.entry_client_id)
        self._handles -= 1
        self.learn_rules(position.symbol)
        tracked = Tracked(
            trade_id=self._handles,
            key=position.key,
            direction=position.direction,
            quantity=abs(position.quantity),
            entry_price=position.entry_price,
            opened_ms=now_ms,
            stop_price=entry.intent.stop_price if entry else None,
            strategy=entry.intent.strategy if entry else "",
            adopted=entry is None,
            adopted_quantity=abs(position.quantity) if entry is None else ZERO,
            entry_client_id=finding.entry_client_id,
            entry_signed_ms=entry.signed_ms if entry else 0,
        )
        self._state.tracked[position.key] = tracked
        self._state.flat_news.pop(position.key, None)
        self._memory.open_trade(tracked, entry, position.leverage)
        self.entries += entry is not None
        if entry is None:
            self.reconciliations += 1
            self._say("reconcile", str(position.symbol), "unknown position on the exchange: adopted")
        else:
            self._say("entry", str(position.symbol), f"{position.direction} {abs(position.quantity)} open")

    def learn_rules(self, symbol: Symbol) -> None:
        """A position outside the configured symbols needs its steps too, or no stop of it is accepted."""
        state = self._state
        rules = None if symbol in state.instruments else self._exchange.instrument(symbol)
        if rules is not None:
            state.other_instruments[symbol] = rules

    def _entry(self, client_id: str) -> Journaled | None:
        if not client_id:
            return None
        known = self._state.intents.get(client_id)
        if known is not None:
            return known
        return next((j for j in self._state.recent_entries if j.client_id == client_id), None)

    def _resized(self, tracked: Tracked, position: Position, now_ms: int) -> None:
        quantity, entry = abs(position.quantity), position.entry_price
        explained = tracked.closing_reason or self._entry(tracked.entry_client_id)
        self._state.tracked[tracked.key] = replace(tracked, quantity=quantity, entry_price=entry)
        self._memory.resize_trade(tracked.trade_id, quantity, entry)
        if not explained:
            self.reconciliations += 1

    def _closed(self, tracked: Tracked, gone_ms: int, now_ms: int, *, followed_by: str = "") -> None:
        """Closed in the books at once; price and cause follow from the executions (`exit_pending`)."""
        self._state.forget(tracked.key, now_ms, but=followed_by)
        reason = tracked.closing_reason or EXCHANGE_CLOSED
        if not tracked.closing_reason:
            self.reconciliations += 1
            self._say(
                "reconcile", str(tracked.key.symbol), "position not found on the exchange: books closed"
            )
        unknown = Exit(reason=reason, cause="", at_ms=gone_ms, price=None, realized_pnl=ZERO, fees=ZERO)
        self._memory.close_trade(tracked.trade_id, unknown)
        self.exits += 1
        self.find_exit(tracked, gone_ms, reason)

    # --- true exits ----------------------------------------------------------------------------

    def find_exit(self, tracked: Tracked, gone_ms: int, reason: str) -> None:
        self.pending[tracked.trade_id] = PendingExit(tracked, gone_ms, reason, "")
        self.idle.clear()
        self._spawn(f"exit {tracked.key.symbol}", self._ask_fills(tracked))

    async def _ask_fills(self, tracked: Tracked) -> None:
        pause = FIRST_PAUSE_MS
        senders: dict[str, str] = {}
        looks = 0
        while tracked.trade_id in self.pending:
            await self._sleep(pause / 1000)
            pause, looks = min(pause * 2, PAUSE_MAX_MS), looks + 1
            since = first_fill_ms(tracked) + self._exchange.clock_offset_ms()
            if looks > PATIENCE:
                since -= CLOCK_DOUBT_MS
            try:
                fact = await self._exchange.fills(tracked.key.symbol, since, priority=Priority.OBSERVE)
            except ExchangeError:
                continue
            if await self._find_senders(tracked, fact.value, senders) or looks >= PATIENCE:
                fills = tuple(replace(f, client_id=senders.get(f.order_id, f.client_id)) for f in fact.value)
                self._inbox.put(FillsRead(tracked.trade_id, fills, fact.complete))

    async def _find_senders(self, tracked: Tracked, fills: Sequence[Fill], senders: dict[str, str]) -> bool:
        """Learn the client ids of closing orders that we do not know; False while one is not found.

        The list of executions does not carry them, and only they tell a liquidation from a hand, or our
        own stop after a restart (R3.2).
        """
        closing = [f for f in fills if f.side is tracked.direction.closing and not f.client_id]
        unknown = [
            order_id
            for order_id in dict.fromkeys(f.order_id for f in closing[-SENDERS_MAX:])
            if order_id not in senders and self._state.purpose_of(order_id, "") is None
        ]
        for order_id in unknown:
            symbol, low = tracked.key.symbol, Priority.OBSERVE
            found = await self._exchange.find_order(symbol, "", order_id=order_id, priority=low)
            if isinstance(found, Accepted) and found.order is not None:
                senders[order_id] = found.order.client_id
        return all(order_id in senders for order_id in unknown)

    def exit_read(self, event: FillsRead) -> None:
        """Close for good when the executions account for the whole position; else keep asking."""
        pending = None if self._doubts.read(event) else self.pending.get(event.handle)
        if pending is None:
            return
        tracked = pending.tracked
        pending.asked += 1
        offset, lenient = self._exchange.clock_offset_ms(), pending.asked >= PATIENCE
        found = life(event.fills, tracked, offset_ms=offset, lenient=lenient)
        if found is None:
            return
        entering, leaving = found.entering, found.leaving
        del self.pending[event.handle]
        if not self.pending:
            self.idle.set()
        self._memory.add_fills((*entering, *leaving))
        exit_ = _true_exit(pending, entering, leaving, self._cause(leaving))
        self._memory.correct_exit(tracked.trade_id, exit_)
        result = exit_.realized_pnl - exit_.fees
        self.realized += result
        self.wins, self.losses = self.wins + (result > 0), self.losses + (result <= 0)
        text = f"closed at {exit_.price} ({exit_.reason}, {exit_.cause}), net {result:+.2f}"
        self._say("exit", str(tracked.key.symbol), text)

    def _cause(self, leaving: Sequence[Fill]) -> str:
        """Why the position ended, from who sent the last closing order (R3.2)."""
        last = leaving[-1]
        for prefix, cause in SYSTEM_CAUSES.items():
            if last.client_id.startswith(prefix):
                return cause
        purpose = self._state.purpose_of(last.order_id, last.client_id)
        return OWN_CAUSES.get(purpose, "manual") if purpose else "manual"


def _true_exit(pending: PendingExit, entering: Sequence[Fill], leaving: Sequence[Fill], cause: str) -> Exit:
    quantity = sum((f.quantity for f in leaving), ZERO)
    notional: Decimal = sum((f.quantity * f.price for f in leaving), ZERO)
    return Exit(
        reason=pending.reason,
        cause=cause,
        at_ms=leaving[-1].at_ms,
        price=notional / quantity,
        realized_pnl=sum((f.realized_pnl for f in leaving), ZERO),
        fees=sum((f.fee for f in (*entering, *leaving)), ZERO),
    )


def _drifted(drift: Drift) -> str:
    """Which setting of what: the name of its alert."""
    return f"{drift.what} {drift.symbol}".rstrip()
