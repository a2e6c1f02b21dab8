"""What a market is to the exchange: one-minute bars before and after the start, funding, rules."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple, Protocol

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.instruments import SimInstrument

MINUTE_MS = 60_000
DAY_MS = 86_400_000
GENERATED_START_MS = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""


class BadMarketData(ValueError):
    """The data cannot be replayed; the text names file, row or time, what was expected and found."""


class Bar(NamedTuple):
    """One minute of trading; prices in quote, volume in base. Floats: they become ticks in the walk."""

    open: float
    high: float
    low: float
    close: float
    volume: float


class Market(Protocol):
    """Where prices come from. Everything is a function of symbol and time; nothing is forgotten."""

    start_ms: int
    """The first moment that is traded; a whole minute. Earlier bars are history."""
    end_ms: int | None
    """From here on prices stand at their last close (trading continues); None = never."""

    def symbols(self) -> tuple[Symbol, ...]: ...

    def instrument(self, symbol: Symbol) -> SimInstrument:
        """A fresh copy of the rules."""
        ...

    def first_ms(self, symbol: Symbol) -> int:
        """Opening time of the symbol's first bar; bars before `start_ms` are history."""
        ...

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        """The bar that opens at *open_ms*, a whole minute not before `first_ms`; there are no gaps."""
        ...

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        """Time and rate of the next funding later than *after_ms*."""
        ...
