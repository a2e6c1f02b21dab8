"""Executions over time, with their results: the list of fills does not tell what one earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from holdfast.domain.account import Fact
from holdfast.domain.intents import Priority
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Fill
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bingx import decode, requests, wire
from holdfast.exchanges.bingx.account import AccountSettings
from holdfast.exchanges.bingx.asking import Asking
from holdfast.exchanges.decoding import bounded, each_once
from holdfast.exchanges.names import Names

SECOND_MS = 1_000
"""How exactly a fill's time is told."""
RESULTS_MAX = 2_000
"""So many orders' results are remembered; the oldest are forgotten first."""


class FillReader:
    """Reads executions week by week and page by page, and asks each order once for what it earned."""

    def __init__(
        self, asking: Asking, names: Callable[[], Names], account: AccountSettings, *, pages_max: int
    ) -> None:
        self._ask = asking
        self._names = names
        self._account = account
        self._pages_max = pages_max
        self._results: dict[str, Decimal] = {}
        """Of orders that are over: result for each coin that was executed."""

    async def since(self, symbol: Symbol, since_ms: int, priority: Priority) -> Fact[tuple[Fill, ...]]:
        """Oldest first; incomplete when they reach beyond the exchange's three months or our pages."""
        now = self._ask.caller.exchange_now_ms()
        start = max(since_ms, now - requests.FILLS_HISTORY_MS)
        asked_ms = self._ask.clock.now_ms()
        found, complete = await self._from(symbol, start, now, priority)
        late = [fill for fill in found if fill.at_ms + SECOND_MS > since_ms]
        value = tuple([await self._with_result(fill, priority) for fill in late])
        return Fact(value, asked_ms, self._ask.clock.now_ms(), complete and start == since_ms)

    async def _from(
        self, symbol: Symbol, start: int, now: int, priority: Priority
    ) -> tuple[tuple[Fill, ...], bool]:
        wire_id, found, complete, page = self._names().wire(symbol), list[Fill](), True, 1
        for _ in range(self._pages_max):
            end = min(start + requests.FILLS_WINDOW_MS - 1, now)
            request = requests.fills(wire_id, start, end, page)
            body = await self._ask.caller.read(request, priority)
            rows = self._ask.rows(request, decode.FILLS, self._fill, body)
            complete = complete and not rows.bad
            found.extend(rows.values)
            if len(rows.values) + rows.bad >= requests.FILLS_LIMIT:
                page += 1
            elif end < now:
                start, page = end + 1, 1
            else:
                return each_once(found), complete
        return each_once(found), False

    def _fill(self, row: wire.FillRow) -> Fill:
        return decode.fill(row, self._names(), self._account.hedged_at)

    async def _with_result(self, fill: Fill, priority: Priority) -> Fill:
        """The order's result, shared out by quantity."""
        earned = self._results.get(fill.order_id)
        if earned is None:
            earned = await self._result(fill, priority)
        return replace(fill, realized_pnl=earned * fill.quantity)

    async def _result(self, fill: Fill, priority: Priority) -> Decimal:
        request = requests.find_order(self._names().wire(fill.symbol), "", fill.order_id)
        earned, final = (await self._ask.fact(request, _earned, priority)).value
        if final:
            self._results[fill.order_id] = earned
            while len(self._results) > RESULTS_MAX:
                del self._results[next(iter(self._results))]
        return earned


def _earned(body: bytes) -> tuple[Decimal, bool]:
    """What an order earned for each coin, and whether that is its last word."""
    row = decode.ORDER.of(body)
    filled = decode.amount(row.executedQty)
    earned = bounded(decode.figure(row.profit) / filled) if filled else ZERO
    return earned, decode.order_status(row.status, filled).final
