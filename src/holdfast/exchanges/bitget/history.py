"""What an account did: executions week by week, and money that came in or went out."""

from __future__ import annotations

from holdfast.domain.account import Fact, Transfer
from holdfast.domain.intents import Priority
from holdfast.domain.orders import Fill
from holdfast.domain.protocols import Clock
from holdfast.exchanges.bitget import decode, requests
from holdfast.exchanges.bitget.asking import Asker
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.caller import Caller
from holdfast.exchanges.decoding import Rows, each_once
from holdfast.exchanges.names import Names


class History:
    """Reads lists that reach back; *pages_max* bounds how many weeks of fills one question may take."""

    def __init__(self, asker: Asker, caller: Caller[Request], clock: Clock, *, pages_max: int) -> None:
        self._asker = asker
        self._caller = caller
        self._clock = clock
        self._pages_max = pages_max

    async def fills(
        self, wire_id: str, since_ms: int, names: Names, priority: Priority
    ) -> Fact[tuple[Fill, ...]]:
        """Executions since *since_ms* (exchange time), oldest first."""
        now = self._caller.exchange_now_ms()
        start = max(since_ms, now - requests.FILLS_HISTORY_MS)
        asked_ms, complete, found = self._clock.now_ms(), start == since_ms, list[Fill]()
        for _ in range(self._pages_max):
            end = start + requests.FILLS_WINDOW_MS
            week = await self._fills_of_week(wire_id, start, end, names, priority)
            found.extend(fill for fill in week.value if fill.at_ms >= since_ms)
            complete, start = complete and week.complete, end + 1
            if start > now:
                return Fact(each_once(found), asked_ms, self._clock.now_ms(), complete)
        return Fact(each_once(found), asked_ms, self._clock.now_ms(), complete=False)

    async def _fills_of_week(
        self, wire_id: str, start: int, end: int, names: Names, priority: Priority
    ) -> Fact[tuple[Fill, ...]]:
        def read(body: bytes) -> tuple[Rows[Fill], str]:
            page = decode.FILLS_PAGE.read(decode.data(body))
            rows = decode.FILLS.read_raw(page.fillList or [], lambda row: decode.fill(row, names))
            return rows, page.endId or ""

        return await self._asker.pages(
            lambda before: requests.fills(wire_id, start, end, before), read, priority, requests.PAGE
        )

    async def transfers(self, since_ms: int, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        """What came in and what went out are two kinds of bills, asked for one after the other."""
        facts = [await self._transfers_of(kind, since_ms, priority) for kind in requests.TRANSFERS]
        return Fact(
            tuple(transfer for fact in facts for transfer in fact.value),
            facts[0].asked_ms,
            facts[-1].answered_ms,
            all(fact.complete for fact in facts),
        )

    async def _transfers_of(self, kind: str, since_ms: int, priority: Priority) -> Fact[tuple[Transfer, ...]]:
        def read(body: bytes) -> tuple[Rows[Transfer], str]:
            page = decode.BILLS_PAGE.read(decode.data(body))
            return decode.BILLS.read_raw(page.bills or [], decode.transfer), page.endId or ""

        return await self._asker.pages(
            lambda before: requests.transfers(kind, since_ms, before), read, priority, requests.PAGE
        )
