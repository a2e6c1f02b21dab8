"""Questions with their times: what the adapter's parts ask the exchange by."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from holdfast.domain.account import Fact
from holdfast.domain.intents import Accepted, Priority, Unknown
from holdfast.domain.protocols import Clock
from holdfast.exchanges.bingx.decode import Listed
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import BadAnswer, NotJson, Rows
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.stats import AdapterStats

T = TypeVar("T")
R = TypeVar("R")


class Asking:
    """Reads answers of one account; every one that cannot be read is an `ExchangeError`."""

    def __init__(self, caller: Caller[Request], clock: Clock, stats: AdapterStats) -> None:
        self.caller = caller
        self.clock = clock
        self.stats = stats

    async def fact(self, request: Request, read: Callable[[bytes], T], priority: Priority) -> Fact[T]:
        """One answer read whole."""
        asked_ms = self.clock.now_ms()
        body = await self.caller.read(request, priority)
        answered_ms = self.clock.now_ms()
        try:
            return Fact(read(body), asked_ms, answered_ms)
        except BadAnswer as error:
            raise ExchangeError(self.caller.bad_answer(request.endpoint, error)) from error

    async def table(
        self, request: Request, table: Listed[T], convert: Callable[[T], R | None], priority: Priority
    ) -> Fact[tuple[R, ...]]:
        """A list read row by row; incomplete when a row could not be read."""
        asked_ms = self.clock.now_ms()
        body = await self.caller.read(request, priority)
        answered_ms = self.clock.now_ms()
        rows = self.rows(request, table, convert, body)
        return Fact(rows.values, asked_ms, answered_ms, not rows.bad)

    def rows(
        self, request: Request, table: Listed[T], convert: Callable[[T], R | None], body: bytes
    ) -> Rows[R]:
        """The rows of an answer that came."""
        try:
            rows = table.of(body, convert)
        except BadAnswer as error:
            raise ExchangeError(self.caller.bad_answer(request.endpoint, error)) from error
        if rows.bad:
            self.stats.bad_rows[request.endpoint] += rows.bad
        return rows

    def outcome(self, what: str, read: Callable[[bytes], Accepted], body: bytes) -> Accepted | Unknown:
        """A good answer's body; what cannot be read may still have had its effect."""
        try:
            return read(body)
        except NotJson as error:
            return Unknown(cause=f"{what}: {error}")
        except BadAnswer as error:
            return self.caller.bad_answer(what, error)
