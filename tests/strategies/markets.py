"""Crafted and generated candles, and the real ones when they lie beside the checkout."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.feather

from holdfast.domain.account import Candle
from holdfast.domain.symbol import Symbol
from holdfast.strategies.base import MarketView, OwnPosition
from holdfast.strategies.candles import Candles, candles_from

MINUTE_MS = 60_000
START_MS = 1_746_500_040_000
BTC = Symbol.parse("BTC/USDT:USDT")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def bars(closes: list[float], *, wick: float = 0.0002, volume: float = 10.0) -> list[Candle]:
    """One-minute bars whose closes are these; each opens where the one before closed."""
    made = []
    for index, close in enumerate(closes):
        opened = closes[index - 1] if index else close
        made.append(
            Candle(
                open_ms=START_MS + index * MINUTE_MS,
                open=_price(opened),
                high=_price(max(opened, close) * (1 + wick)),
                low=_price(min(opened, close) * (1 - wick)),
                close=_price(close),
                volume=Decimal(str(volume)),
                closed=True,
            )
        )
    return made


def _price(value: float) -> Decimal:
    return Decimal(f"{value:.6f}")


def flat_then_trend(flat: int, trend: int, step: float, *, seed: int = 7) -> list[float]:
    """A small noise around 100, then *trend* bars that each move by *step* (a ratio)."""
    rng = random.Random(seed)
    closes = [100 * (1 + rng.uniform(-0.0005, 0.0005)) for _ in range(flat)]
    last = 100.0
    for _ in range(trend):
        last *= 1 + step + rng.uniform(-abs(step) / 4, abs(step) / 4)
        closes.append(last)
    return closes


def zigzag(count: int, *, swing: float = 0.001) -> list[float]:
    """A market that goes nowhere, evenly."""
    pattern = (0.0, swing, 0.0, -swing)
    return [100 * (1 + pattern[index % 4]) for index in range(count)]


def walk(count: int, seed: int) -> list[float]:
    """A random walk with changing drift: generated market number *seed*."""
    rng = random.Random(seed)
    closes, last, drift = [], 100.0, 0.0
    for index in range(count):
        if index % 60 == 0:
            drift = rng.uniform(-0.0001, 0.0001)
        last *= 1 + drift + rng.gauss(0, 0.0007)
        closes.append(last)
    return closes


def arrays(candles: list[Candle], bars_needed: int) -> Candles:
    """The checked arrays of the last bars; fails when the door turns them away."""
    now_ms = candles[-1].open_ms + MINUTE_MS
    made = candles_from(candles, timeframe="1m", now_ms=now_ms, bars_needed=bars_needed)
    assert isinstance(made, Candles), made
    return made


def view(candles: Candles, position: OwnPosition | None = None) -> MarketView:
    held = {} if position is None else {BTC: position}
    return MarketView(now_ms=candles.closed_ms, candles={BTC: candles}, positions=held)


def month(symbol: Symbol, count: int) -> Candles:
    """The first *count* real minutes of May 2025, or a generated market when they are not there."""
    path = SHARED / f"{symbol.filename}-1m-futures.feather"
    if not path.exists():
        return arrays(bars(walk(count, seed=sum(map(ord, symbol.base)))), count)
    table = pyarrow.feather.read_table(path).slice(0, count)
    columns = [table[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    open_ms = table["date"].cast("int64").to_numpy() // 1_000_000
    return Candles(MINUTE_MS, open_ms, *(np.ascontiguousarray(column) for column in columns))


def window(candles: Candles, end: int, size: int) -> Candles:
    """The *size* bars before index *end*."""
    columns = (candles.open_ms, candles.open, candles.high, candles.low, candles.close, candles.volume)
    return Candles(candles.timeframe_ms, *(column[end - size : end] for column in columns))
