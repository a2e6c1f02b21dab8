"""Candles as arrays, and the door at which bad ones are turned away (G28).

No strategy ever sees a bar that is still growing, a gap, a disorder, a number that is none, a zero
price or a market that stopped moving on: the symbol is left out with a reason instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from holdfast.domain.account import Candle

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

TIMEFRAMES_MS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
}

BAR_MOVE_MAX = 0.5
"""A bar that spans or jumps more than this share of its price is taken for bad data, not for a market."""

LATE_BARS_MAX = 2
"""The last closed bar may be this many bars back: the answer of an exchange lags the turn of a bar."""


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Closed bars, oldest first, without a gap. Prices in quote, volume in base."""

    timeframe_ms: int
    open_ms: Longs
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.open_ms)

    @property
    def closed_ms(self) -> int:
        """When the last bar closed."""
        return int(self.open_ms[-1]) + self.timeframe_ms

    def last(self, bars: int) -> Candles:
        """The newest *bars* of them."""
        since = max(0, len(self) - bars)
        return Candles(
            self.timeframe_ms,
            self.open_ms[since:],
            self.open[since:],
            self.high[since:],
            self.low[since:],
            self.close[since:],
            self.volume[since:],
        )


@dataclass(frozen=True, slots=True)
class BadCandles:
    """Why a symbol is left out, for people: what, where, expected, found."""

    reason: str


def candles_from(
    bars: Sequence[Candle], *, timeframe: str, now_ms: int, bars_needed: int
) -> Candles | BadCandles:
    """The last *bars_needed* closed bars as arrays, or why they cannot be relied on.

    A bar counts as closed when it says so and its time is over by *now_ms*. Raises `KeyError` for a
    timeframe that is not in `TIMEFRAMES_MS` (configuration is checked long before).
    """
    step = TIMEFRAMES_MS[timeframe]
    closed = [bar for bar in bars if bar.closed and bar.open_ms + step <= now_ms][-bars_needed:]
    if len(closed) < bars_needed:
        return BadCandles(f"expected {bars_needed} closed bars, found {len(closed)}")
    candles = Candles(
        step,
        np.array([bar.open_ms for bar in closed], dtype=np.int64),
        _column([bar.open for bar in closed]),
        _column([bar.high for bar in closed]),
        _column([bar.low for bar in closed]),
        _column([bar.close for bar in closed]),
        _column([bar.volume for bar in closed]),
    )
    return checked(candles, now_ms=now_ms)


def _column(numbers: Sequence[Decimal]) -> Floats:
    return np.array([float(number) for number in numbers], dtype=np.float64)


def checked(candles: Candles, *, now_ms: int) -> Candles | BadCandles:
    """The candles if every bar can be believed and the last one is recent, else the first fault."""
    fault = _time_fault(candles, now_ms) or _number_fault(candles) or _move_fault(candles)
    return BadCandles(fault) if fault else candles


def _time_fault(candles: Candles, now_ms: int) -> str:
    step = candles.timeframe_ms
    if not len(candles):
        return "expected closed bars, found none"
    odd = np.flatnonzero(candles.open_ms % step)
    if odd.size:
        return f"bar {odd[0]} opens at {candles.open_ms[odd[0]]} ms, expected a multiple of {step} ms"
    gaps = np.flatnonzero(np.diff(candles.open_ms) != step)
    if gaps.size:
        at = int(gaps[0]) + 1
        word = "a gap" if candles.open_ms[at] > candles.open_ms[at - 1] else "disorder"
        return f"{word} before bar {at}: {candles.open_ms[at - 1]} ms is followed by {candles.open_ms[at]} ms"
    late_ms = now_ms - candles.closed_ms
    if not 0 <= late_ms <= LATE_BARS_MAX * step:
        return f"the last bar closed {late_ms} ms ago, expected 0 to {LATE_BARS_MAX * step} ms"
    return ""


def _number_fault(candles: Candles) -> str:
    prices = np.stack((candles.open, candles.high, candles.low, candles.close))
    wrong = np.flatnonzero(~(np.isfinite(prices) & (prices > 0)).all(axis=0))
    if wrong.size:
        return f"bar {wrong[0]} has prices {prices[:, wrong[0]].tolist()}, expected finite numbers above 0"
    volume = np.flatnonzero(~(np.isfinite(candles.volume) & (candles.volume >= 0)))
    if volume.size:
        return f"bar {volume[0]} has volume {candles.volume[volume[0]]}, expected a finite number"
    crossed = np.flatnonzero((candles.high < prices.max(axis=0)) | (candles.low > prices.min(axis=0)))
    if crossed.size:
        return f"bar {crossed[0]} has prices {prices[:, crossed[0]].tolist()} outside its high and low"
    return ""


def _move_fault(candles: Candles) -> str:
    before = np.concatenate((candles.open[:1], candles.close[:-1]))
    top = np.maximum(candles.high, before)
    bottom = np.minimum(candles.low, before)
    wild = np.flatnonzero((top - bottom) / bottom > BAR_MOVE_MAX)
    if wild.size:
        at = wild[0]
        move = (top[at] - bottom[at]) / bottom[at]
        return f"bar {at} moves {move:.0%} ({bottom[at]} to {top[at]}), expected at most {BAR_MOVE_MAX:.0%}"
    return ""
