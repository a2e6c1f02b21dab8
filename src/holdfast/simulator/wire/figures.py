"""Figures that REST and streams share: texts of numbers, the last 24 hours, the book with its update ids."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.instruments import SimInstrument

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

Row = dict[str, object]
"""One JSON object on its way out."""

Levels = list[list[str]]
"""Price and quantity as the wire has them, best first."""


# --- numbers as texts ----------------------------------------------------------------------------


def fine(value: Decimal) -> str:
    """Averages: as many decimals as they need, at most eleven."""
    return plain(round(value, 11))


def price(instrument: SimInstrument, value: Decimal) -> str:
    return f"{value:.{instrument.price_decimals}f}"


def quantity(instrument: SimInstrument, value: Decimal) -> str:
    return f"{value:.{instrument.quantity_decimals}f}"


# --- the last 24 hours ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Day:
    """What the last 24 hours were, up to this moment."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    volume: Decimal
    quote_volume: Decimal
    open_ms: int
    close_ms: int

    @property
    def change(self) -> Decimal:
        return self.last - self.open

    @property
    def change_percent(self) -> Decimal:
        return self.change / self.open * 100 if self.open else ZERO

    @property
    def average(self) -> Decimal:
        return self.quote_volume / self.volume if self.volume else self.last


def typical(candle: Candle) -> Decimal:
    """The price its volume is reckoned at; candles do not know what was paid for each part."""
    return (candle.open + candle.high + candle.low + candle.close) / 4


class Days:
    """The last 24 hours per symbol; the finished quarter hours are looked up once a minute."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kept: dict[Symbol, tuple[int, tuple[Candle, ...]]] = {}

    def day(self, symbol: Symbol) -> Day:
        last, now_ms = self._core.prices(symbol).last, self._core.now_ms
        candles = self._candles(symbol, now_ms)
        if not candles:
            return Day(last, last, last, last, ZERO, ZERO, now_ms - DAY_MS, now_ms)
        return Day(
            open=candles[0].open,
            high=max(last, *(candle.high for candle in candles)),
            low=min(last, *(candle.low for candle in candles)),
            last=last,
            volume=sum((candle.volume for candle in candles), ZERO),
            quote_volume=sum((candle.volume * typical(candle) for candle in candles), ZERO),
            open_ms=candles[0].open_ms,
            close_ms=now_ms,
        )

    def _candles(self, symbol: Symbol, now_ms: int) -> tuple[Candle, ...]:
        minute = now_ms // MINUTE_MS
        kept = self._kept.get(symbol)
        if kept is None or kept[0] != minute:
            start_ms = (now_ms - DAY_MS) // (15 * MINUTE_MS) * (15 * MINUTE_MS)
            found = self._core.candles(symbol, 15 * MINUTE_MS, start_ms=start_ms, limit=100)
            kept = self._kept[symbol] = (minute, found)
        return kept[1]


# --- the book ------------------------------------------------------------------------------------


class Books:
    """Order books with update ids: the id grows whenever the book differs from what was last shown."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shown: dict[Symbol, tuple[int, tuple[object, object]]] = {}

    def read(self, symbol: Symbol, depth: int) -> tuple[int, Levels, Levels]:
        """Update id, bids and asks as the wire has them."""
        instrument = self._core.instrument(symbol)
        bids, asks = self._core.depth(symbol, depth)
        update_id = self.update_id(symbol)
        return update_id, _levels(instrument, bids), _levels(instrument, asks)

    def update_id(self, symbol: Symbol) -> int:
        """Told from the ten best levels: the synthetic book moves as one."""
        seen = self._core.depth(symbol, 10)
        shown = self._shown.get(symbol)
        if shown is None:
            # Far enough from 0 that nobody takes an id for a small number.
            shown = self._shown[symbol] = (self._core.now_ms, seen)
        elif shown[1] != seen:
            shown = self._shown[symbol] = (shown[0] + 1, seen)
        return shown[0]


def _levels(instrument: SimInstrument, levels: tuple[tuple[Decimal, Decimal], ...]) -> Levels:
    return [[price(instrument, at), quantity(instrument, size)] for at, size in levels]


def best(levels: Levels) -> tuple[str, str]:
    """Best price and its size; zeros of an empty side."""
    return (levels[0][0], levels[0][1]) if levels else ("0", "0")
