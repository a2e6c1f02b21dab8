"""Questions to Bitget: answers read as facts, page by page, with how complete they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.domain.account import Fact
from holdfast.domain.intents import Priority
from holdfast.domain.protocols import Clock
from holdfast.exchanges.bitget import decode
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import BadAnswer, Rows, Table
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.stats import AdapterStats

T = TypeVar("T")
R = TypeVar("R")
PAGES_MAX = 10


class Asker:
    """Asks for one account. Everything raises `ExchangeError` and nothing else."""

    def __init__(self, caller: Caller[Request], clock: Clock, stats: AdapterStats) -> None:
        self._caller = caller
        self._clock = clock
        self._stats = stats

    async def fact(self, request: Request, read: Callable[[bytes], T], priority: Priority) -> Fact[T]:
        """One answer, read whole."""
        asked_ms = self._clock.now_ms()
        body = await self._caller.read(request, priority)
        answered_ms = self._clock.now_ms()
        return Fact(self.sane(request.endpoint, lambda: read(body)), asked_ms, answered_ms)

    def sane(self, what: str, read: Callable[[], T]) -> T:
        """What *read* makes of an answer."""
        try:
            return read()
        except BadAnswer as error:
            raise ExchangeError(self._caller.bad_answer(what, error)) from error

    async def rows(
        self, request: Request, table: Table[T], convert: Callable[[T], R | None], priority: Priority
    ) -> Fact[tuple[R, ...]]:
        """An answer that is a list; incomplete when a row could not be read."""
        found = await self.fact(request, lambda body: decode.rows(table, body, convert), priority)
        return self._counted(request, found)

    async def pages(
        self,
        make: Callable[[str], Request],
        read: Callable[[bytes], tuple[Rows[R], str]],
        priority: Priority,
        page_size: int,
    ) -> Fact[tuple[R, ...]]:
        """A list that comes in pages; *make* takes the last id of the page before ("" = none)."""
        values: list[R] = []
        before, complete = "", True
        asked_ms = self._clock.now_ms()
        for _ in range(PAGES_MAX):
            request = make(before)
            page = await self.fact(request, read, priority)
            rows, last = page.value
            read_rows = self._counted(request, Fact(rows, page.asked_ms, page.answered_ms))
            values.extend(read_rows.value)
            complete = complete and read_rows.complete
            if len(rows.values) + rows.bad < page_size:
                return Fact(tuple(values), asked_ms, page.answered_ms, complete)
            if not last or last == before:
                break
            before = last
        return Fact(tuple(values), asked_ms, self._clock.now_ms(), complete=False)

    def _counted(self, request: Request, fact: Fact[Rows[R]]) -> Fact[tuple[R, ...]]:
        rows = fact.value
        if rows.bad:
            self._stats.bad_rows[request.endpoint] += rows.bad
        return Fact(rows.values, fact.asked_ms, fact.answered_ms, not rows.bad)
