"""Finds out what became of requests without an answer (architecture rule 5, R7.2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from holdfast.decisions.resolve import verdict
from holdfast.domain.intents import (
    Accepted,
    Journaled,
    Lookup,
    Outcome,
    Priority,
    Purpose,
    Rejected,
    RejectReason,
)
from holdfast.domain.orders import Heard, OrderState, OrderType, Stop, TimeInForce
from holdfast.domain.protocols import Clock
from holdfast.engine.events import Answered, Inbox, Told
from holdfast.engine.executor import ORDERING, settle
from holdfast.engine.memory import Memory
from holdfast.exchanges.port import Exchange, StopNews

CLOCK_DOUBT_MS = 1_000
"""How wrong our idea of the exchange's clock may be: Binance accepts up to 1 s from the future."""
ACKED_MS = 750
"""How soon an order that cannot rest is asked for: its answer may say no more than that it was taken."""
WORKING_MS = 15_000
"""How often an order that rests is asked for, whatever the stream says: its end may have been lost."""
AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})
FIRST_PAUSE_MS = 200
PAUSE_MAX_MS = 2_000


class Resolver:
    """Asks for an Unknown request by its client id until it is found or proven dead, and for one that rests
    at the exchange from time to time."""

    def __init__(self, exchange: Exchange, memory: Memory, clock: Clock, inbox: Inbox) -> None:
        self._exchange = exchange
        self._memory = memory
        self._clock = clock
        self._inbox = inbox
        self._began_ms = clock.now_ms()
        self._asking: set[str] = set()
        self._asked_ms: dict[str, int] = {}

    def wanted(self, journaled: Journaled) -> bool:
        """Whether to start asking for it: Unknown or resting for long, and nobody asks yet."""
        if journaled.client_id in self._asking:
            return False
        if journaled.state is OrderState.WORKING:
            last = self._asked_ms.get(journaled.client_id, journaled.signed_ms)
            return self._clock.now_ms() - last >= (WORKING_MS if _may_rest(journaled) else ACKED_MS)
        return journaled.state is OrderState.UNKNOWN

    async def resolve(self, journaled: Journaled) -> None:
        """Returns when the fate is known and reported; endless while the exchange does not answer."""
        self._asking.add(journaled.client_id)
        try:
            pause = FIRST_PAUSE_MS
            while not await self._settled(journaled):
                await asyncio.sleep(pause / 1000)
                pause = min(pause * 2, PAUSE_MAX_MS)
        finally:
            self._asking.discard(journaled.client_id)
            self._asked_ms[journaled.client_id] = self._clock.now_ms()

    async def look_for(self, stop: Stop) -> None:
        """Ask what became of a stop that is missing; told as the stream would have told it."""
        lookup = await self._exchange.find_stop(stop.symbol, stop.client_id, priority=Priority.OBSERVE)
        if isinstance(lookup, Accepted) and lookup.stop is not None:
            news = StopNews(stop=lookup.stop, exchange_ms=lookup.stop.updated_ms)
            self._inbox.put(Told(news, self._clock.now_ms()), urgent=True)

    async def _settled(self, journaled: Journaled) -> bool:
        if journaled.intent.purpose in (Purpose.CANCEL_ORDER, Purpose.CANCEL_STOP):
            # A cancel that may have worked is not asked for: the books of orders and stops tell, and a
            # second cancel of the same thing harms nobody.
            self._report(journaled, _gave_up("the next read of the book tells"))
            return True
        lookup = await self._look_up(journaled)
        heard = verdict(
            self._latest(journaled),
            lookup,
            clock_doubt_ms=CLOCK_DOUBT_MS,
            visibility_ms=self._exchange.capabilities.visibility_ms,
        )
        if heard is None or _still_under_way(journaled, lookup):
            return False
        if heard is Heard.PROVEN_DEAD:
            self._report(journaled, _gave_up("proven dead: no longer acceptable, and not found"))
        elif isinstance(lookup, Accepted):
            self._report(journaled, lookup)
        return True

    def _latest(self, journaled: Journaled) -> Journaled:
        """An entry of the last run may have left as late as it ended, and its clock may have been another
        (G23): its window is counted from our own beginning. A second entry would be the price of trust."""
        if not journaled.intent.purpose.raises_risk:
            return journaled
        return replace(journaled, signed_ms=max(journaled.signed_ms, self._began_ms))

    async def _look_up(self, journaled: Journaled) -> Lookup:
        intent = journaled.intent
        find = self._exchange.find_stop if intent.purpose is Purpose.PLACE_STOP else self._exchange.find_order
        return await find(intent.symbol, journaled.client_id, priority=Priority.PROTECT)

    def _report(self, journaled: Journaled, outcome: Outcome) -> None:
        at_ms = self._clock.now_ms()
        if isinstance(outcome, Rejected):
            settled = replace(journaled, state=OrderState.CLOSED, detail=outcome.message, resolved_ms=at_ms)
            self._memory.note_dead(settled, outcome.message, at_ms)
        else:
            settled = settle(journaled, outcome, at_ms)
            self._memory.note_outcome(settled, outcome, at_ms)
        self._inbox.put(Answered(settled, outcome, at_ms), urgent=True)


def _may_rest(journaled: Journaled) -> bool:
    """Whether it may stand in the book for long, as stops and plain limit orders do."""
    intent = journaled.intent
    at_once = intent.type is OrderType.MARKET or intent.time_in_force in AT_ONCE
    return intent.purpose not in ORDERING or not at_once


def _still_under_way(journaled: Journaled, lookup: Lookup) -> bool:
    """It was taken, cannot rest, and is shown as it was: reads may lag, its end is near."""
    if journaled.state is not OrderState.WORKING or _may_rest(journaled):
        return False
    order = lookup.order if isinstance(lookup, Accepted) else None
    return order is not None and not order.status.final and order.filled == journaled.filled


def _gave_up(why: str) -> Rejected:
    return Rejected(reason=RejectReason.NOT_FOUND, code="resolved", message=why)
