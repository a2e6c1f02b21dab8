"""Indicators: TA-Lib where it has them. Leading values are NaN until an indicator is warm."""

from __future__ import annotations

import numpy as np
import talib

from holdfast.strategies.candles import Candles, Floats


def _array(values: object) -> Floats:
    return np.asarray(values, dtype=np.float64)


def adx(candles: Candles, period: int) -> Floats:
    """Wilder's average directional index, 0–100: how strong the trend is, whatever its direction."""
    return _array(talib.ADX(candles.high, candles.low, candles.close, timeperiod=period))


def plus_di(candles: Candles, period: int) -> Floats:
    return _array(talib.PLUS_DI(candles.high, candles.low, candles.close, timeperiod=period))


def minus_di(candles: Candles, period: int) -> Floats:
    return _array(talib.MINUS_DI(candles.high, candles.low, candles.close, timeperiod=period))


def atr(candles: Candles, period: int) -> Floats:
    """Wilder's average true range, in quote."""
    return _array(talib.ATR(candles.high, candles.low, candles.close, timeperiod=period))


def channel_top(candles: Candles, bars: int) -> Floats:
    """The highest high of the *bars* before each bar (the bar itself left out)."""
    return _before(_array(talib.MAX(candles.high, timeperiod=bars)))


def channel_bottom(candles: Candles, bars: int) -> Floats:
    """The lowest low of the *bars* before each bar (the bar itself left out)."""
    return _before(_array(talib.MIN(candles.low, timeperiod=bars)))


def _before(values: Floats) -> Floats:
    return np.concatenate((np.full(1, np.nan), values[:-1]))


def efficiency(candles: Candles, bars: int) -> float:
    """Kaufman's ratio over the last *bars*: net move ÷ path walked. 1 = straight, 0 = going nowhere."""
    closes = candles.close[-bars - 1 :]
    path = float(np.abs(np.diff(closes)).sum())
    return abs(float(closes[-1] - closes[0])) / path if path > 0 else 0.0


def bars_since(condition: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    """For how many of the newest values the condition has held without a break (0 = not now)."""
    broken = np.flatnonzero(~condition)
    return len(condition) if not broken.size else len(condition) - 1 - int(broken[-1])
