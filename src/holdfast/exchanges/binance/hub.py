"""What all accounts at one Binance address share: instruments, margin ladders, the address's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from holdfast.domain.protocols import Clock
from holdfast.exchanges.binance import requests
from holdfast.exchanges.binance.markets import NO_MARKETS, Markets, brackets, markets
from holdfast.exchanges.binance.requests import Request
from holdfast.exchanges.governor import Bans, Governor

Read = Callable[[Request], Awaitable[bytes]]


class BinanceHub:
    """One per address. The first account to open loads the markets with its key; the rest find them."""

    def __init__(self, clock: Clock, bans: Bans | None = None) -> None:
        self.governor = Governor(clock, requests.LIMITS, bans)
        self.markets: Markets = NO_MARKETS
        self._clock = clock
        self._loaded_ms: int | None = None
        self._loading = asyncio.Lock()

    async def load(self, read: Read, *, age_max_ms: int) -> None:
        """Load the markets unless they are younger than *age_max_ms*.

        Raises what *read* raises, and `BadAnswer`; the markets held before stay then.
        """
        async with self._loading:
            if self._fresh(age_max_ms):
                return
            ladders = brackets(await read(requests.BRACKETS))
            self.markets = markets(await read(requests.EXCHANGE_INFO), ladders)
            self._loaded_ms = self._clock.monotonic_ms()

    def _fresh(self, age_max_ms: int) -> bool:
        return self._loaded_ms is not None and self._clock.monotonic_ms() - self._loaded_ms < age_max_ms
