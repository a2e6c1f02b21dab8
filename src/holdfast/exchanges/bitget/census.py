"""Where stops are looked for: every book of plan orders, and the positions, which name theirs.

Each book has to be asked for by its own name; none shows the others' orders (sheet §3.4). What one
read could not tell makes the whole incomplete: absence is never concluded from it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from holdfast.domain.account import Fact
from holdfast.domain.intents import Accepted, Intent, Lookup, NotFound, Priority, Unknown
from holdfast.domain.orders import Stop, TriggerSource
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import decode, requests, wire
from holdfast.exchanges.bitget.asking import Asker
from holdfast.exchanges.bitget.requests import BOOKS, PAGE, STOPS_BOOK, WHOLE
from holdfast.exchanges.decoding import Rows
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import ExchangeError

OURS_MAX = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan order, and its family's word, which a cancel has to say."""

    stop: Stop
    type: str


class Census:
    """The stops of one account."""

    def __init__(self, asker: Asker, clock: Clock) -> None:
        self._asker = asker
        self._clock = clock
        self._ours: dict[str, tuple[str, TriggerSource]] = {}
        """Of stops that were placed here: id → client id and trigger, which a position does not tell."""

    def placed(self, stop_id: str, client_id: str, source: TriggerSource) -> None:
        """Remember a stop the exchange has taken."""
        self._ours[stop_id] = (client_id, source)
        while len(self._ours) > OURS_MAX:
            del self._ours[next(iter(self._ours))]

    async def stops(self, symbol: Symbol | None, names: Names, priority: Priority) -> Fact[tuple[Stop, ...]]:
        """All that wait, of one symbol or all. Raises `ExchangeError` when no read told anything.

        The positions are asked last: a stop that only they name was placed since the lists were read,
        or is in no list; it cannot be one that has ended meanwhile.
        """
        asked_ms = self._clock.now_ms()
        wire_id = names.wire(symbol) if symbol is not None else None
        parts = list(await asyncio.gather(*(self._book(book, wire_id, names, priority) for book in BOOKS)))
        parts.append(await self._named(symbol, names, priority))
        read = [part for part in parts if isinstance(part, Fact)]
        failed = [part for part in parts if isinstance(part, ExchangeError)]
        if failed and len(read) < 2:
            raise failed[0]  # what the positions alone name is no census
        found: dict[str, Stop] = {}
        for part in read:
            for stop in part.value:
                found.setdefault(stop.stop_id, stop)
        complete = not failed and all(part.complete for part in read)
        return Fact(tuple(found.values()), asked_ms, self._clock.now_ms(), complete)

    async def _book(
        self, book: str, wire_id: str | None, names: Names, priority: Priority
    ) -> Fact[tuple[Stop, ...]] | ExchangeError:
        try:
            plans = await self._plans(book, wire_id, names, priority)
        except ExchangeError as error:
            return error
        stops = tuple(plan.stop for plan in plans.value)
        return Fact(stops, plans.asked_ms, plans.answered_ms, plans.complete)

    async def _plans(
        self, book: str, wire_id: str | None, names: Names, priority: Priority, **which: str
    ) -> Fact[tuple[Plan, ...]]:
        return await self._asker.pages(
            lambda before: requests.open_plans(book, wire_id, before, **which),
            lambda body: _plans_page(body, names),
            priority,
            PAGE,
        )

    async def _named(
        self, symbol: Symbol | None, names: Names, priority: Priority
    ) -> Fact[tuple[Stop, ...]] | ExchangeError:
        """The whole-position stops that positions name."""
        try:
            found = await self._asker.rows(
                requests.positions(names.wire(symbol) if symbol is not None else None),
                decode.POSITIONS,
                lambda row: decode.position_stop(row, names),
                priority,
            )
        except ExchangeError as error:
            return error
        stops = tuple(self._known(stop) for stop in found.value if symbol in (None, stop.symbol))
        return replace(found, value=stops)

    def _known(self, stop: Stop) -> Stop:
        client_id, source = self._ours.get(stop.stop_id, ("", stop.trigger_source))
        return replace(stop, client_id=client_id, trigger_source=source)

    # --- one of them ---

    async def plan(self, intent: Intent, names: Names, priority: Priority) -> Plan | None:
        """The waiting plan order a cancel is about, in whichever book; None when it is in none."""
        wire_id, which = names.wire(intent.symbol), requests.target(intent)
        for book in BOOKS:
            plans = await self._plans(book, wire_id, names, priority, **which)
            if plans.value:
                return plans.value[0]
        named = await self._named(intent.symbol, names, priority)
        if isinstance(named, ExchangeError):
            raise named
        ids, client_ids = {intent.target_id}, {intent.target_client_id} - {""}
        for stop in named.value:
            if stop.stop_id in ids or stop.client_id in client_ids:
                return Plan(stop, WHOLE)
        return None

    async def standing(self, symbol: Symbol, stop_id: str, names: Names, priority: Priority) -> Stop | None:
        """The stop of that id as it waits now: in its book, or named by its position."""
        wire_id = names.wire(symbol)
        listed = await self._plans(STOPS_BOOK, wire_id, names, priority, orderId=stop_id)
        if listed.value:
            return listed.value[0].stop
        named = await self._named(symbol, names, priority)
        if isinstance(named, ExchangeError):
            raise named
        return next((stop for stop in named.value if stop.stop_id == stop_id), None)

    async def find(self, symbol: Symbol, client_id: str, names: Names, priority: Priority) -> Lookup:
        """The stop with that client id, waiting or over; raises `ExchangeError`.

        A position that names a stop which no list shows may mean that one: then nothing is known.
        """
        asked_ms = self._clock.now_ms()
        wire_id = names.wire(symbol)
        waiting = await self._plans(STOPS_BOOK, wire_id, names, priority, clientOid=client_id)
        past = await self._asker.pages(
            lambda _: requests.past_plans(STOPS_BOOK, wire_id, client_id),
            lambda body: _plans_page(body, names),
            priority,
            PAGE,
        )
        for plan in (*waiting.value, *past.value):
            if plan.stop.client_id == client_id and plan.stop.symbol == symbol:
                return Accepted(exchange_id=plan.stop.stop_id, stop=plan.stop)
        if not (waiting.complete and past.complete):
            return Unknown(cause="a plan order could not be read")
        return await self._find_named(symbol, client_id, names, priority) or NotFound(asked_ms=asked_ms)

    async def _find_named(
        self, symbol: Symbol, client_id: str, names: Names, priority: Priority
    ) -> Lookup | None:
        named = await self._named(symbol, names, priority)
        if isinstance(named, ExchangeError):
            raise named
        for stop in named.value:
            if stop.client_id == client_id:
                return Accepted(exchange_id=stop.stop_id, stop=stop)
            listed = await self._plans(STOPS_BOOK, names.wire(symbol), names, priority, orderId=stop.stop_id)
            if not stop.client_id and not listed.value:
                return Unknown(cause="the position names a stop that no list shows")
        return None if named.complete else Unknown(cause="a position could not be read")


def _plans_page(body: bytes, names: Names) -> tuple[Rows[Plan], str]:
    def convert(row: wire.PlanRow) -> Plan:
        return Plan(decode.stop(row, names), row.planType)

    return decode.orders_page(decode.PLANS, body, convert)
