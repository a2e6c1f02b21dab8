"""How a candle is walked: open–low–high–close when it rose, open–high–low–close when it fell."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.domain.invariant import require
from holdfast.simulator.core.bars import Bar

SECONDS = 60


def walk(bar: Bar, steps: int = SECONDS) -> list[float]:
    """Prices at *steps* equal steps of *bar*'s time, the first the open, the last the close.

    The time spent on each leg is in proportion to its length, so that the speed is even; low and
    high are hit exactly. *steps* is at least 4.
    """
    require(steps >= 4, "a candle is walked in at least four steps")
    extremes = (bar.low, bar.high) if bar.close >= bar.open else (bar.high, bar.low)
    corners = (bar.open, *extremes, bar.close)
    if bar.low == bar.high:
        return [bar.open] * steps
    first, second = _turns(corners, steps)
    prices: list[float] = []
    turns = (0, first, second, steps - 1)
    for leg in range(3):
        count = turns[leg + 1] - turns[leg]
        begin, delta = corners[leg], (corners[leg + 1] - corners[leg]) / count
        prices.extend(begin + delta * i for i in range(count))
    prices.append(bar.close)
    return prices


def _turns(corners: Sequence[float], steps: int) -> tuple[int, int]:
    """At which steps the two extremes are reached."""
    legs = [abs(corners[i + 1] - corners[i]) for i in range(3)]
    total = sum(legs)
    first = min(max(1, round((steps - 1) * legs[0] / total)), steps - 3)
    second = min(max(first + 1, round((steps - 1) * (legs[0] + legs[1]) / total)), steps - 2)
    return first, second


def minutes(bar: Bar, count: int) -> list[Bar]:
    """A candle of *count* minutes as one-minute bars on the same walk; high, low and volume are kept."""
    if count == 1:
        return [bar]
    prices = walk(bar, count * SECONDS)
    bars = []
    for minute in range(count):
        part = prices[minute * SECONDS : (minute + 1) * SECONDS]
        bars.append(Bar(part[0], max(part), min(part), part[-1], bar.volume / count))
    return bars
