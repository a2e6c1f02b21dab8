"""What all accounts at one exchange address share: instruments, names, the address's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.domain.instrument import Instrument
from holdfast.domain.protocols import Clock
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.governor import Bans, Governor
from holdfast.exchanges.limits import Limit
from holdfast.exchanges.names import Names

Q = TypeVar("Q")
Read = Callable[[Q], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Markets:
    """The instruments of one exchange address."""

    instruments: Mapping[Symbol, Instrument]
    names: Names
    bad: int = 0
    """Rows that could not be read; those instruments cannot be traded."""


NO_MARKETS = Markets({}, Names({}))


class Hub(Generic[Q]):
    """One per address. The first account to open loads the markets with its key; the rest find them.

    *load_markets* asks what a dialect has to ask, by the *read* it is given.
    """

    def __init__(
        self,
        clock: Clock,
        limits: Sequence[Limit],
        load_markets: Callable[[Read[Q]], Awaitable[Markets]],
        bans: Bans | None = None,
    ) -> None:
        self.governor = Governor(clock, limits, bans)
        self.markets: Markets = NO_MARKETS
        self._clock = clock
        self._load_markets = load_markets
        self._loaded_ms: int | None = None
        self._loading = asyncio.Lock()

    async def load(self, read: Read[Q], *, age_max_ms: int) -> None:
        """Load the markets unless they are younger than *age_max_ms*.

        Raises what *read* raises, and `BadAnswer`; the markets held before stay then.
        """
        async with self._loading:
            if self._fresh(age_max_ms):
                return
            self.markets = await self._load_markets(read)
            self._loaded_ms = self._clock.monotonic_ms()

    def _fresh(self, age_max_ms: int) -> bool:
        return self._loaded_ms is not None and self._clock.monotonic_ms() - self._loaded_ms < age_max_ms
