"""Candles of a symbol: its history, what was lived through, and the bar still open."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.account import Candle
from holdfast.domain.invariant import require
from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import DAY_MS, MINUTE_MS, Market

MONDAY_MS = 4 * DAY_MS
"""The Unix epoch was a Thursday: weeks are counted from the Monday after it."""
VOLUME_EXACT = Decimal("0.00000001")


class Chart:
    """One-minute bars in ticks while open, Candles once closed; longer ones are put together on demand."""

    def __init__(self, market: Market, symbol: Symbol, tick: Decimal) -> None:
        self._market, self._symbol = market, symbol
        self.tick = tick
        self.first_ms = market.first_ms(symbol)
        self._closed: list[Candle | None] = [None] * ((market.start_ms - self.first_ms) // MINUTE_MS)
        self._longer: dict[tuple[int, int], Candle] = {}
        self.open = self.high = self.low = self.last = 0
        self.volume = 0.0

    def begin(self, ticks: int) -> None:
        """A minute opens at *ticks*."""
        self.open = self.high = self.low = self.last = ticks
        self.volume = 0.0

    def add(self, ticks: int, volume: float) -> None:
        """The price now, and the minute's volume so far."""
        self.last = ticks
        self.volume = volume
        if ticks > self.high:
            self.high = ticks
        elif ticks < self.low:
            self.low = ticks

    def end(self) -> None:
        """The minute is over."""
        self._closed.append(self._growing(closed=True))

    def rescale(self, tick: Decimal) -> None:
        """The tick changed in flight: the open bar is told in the new one."""
        ratio = self.tick / tick
        self.open, self.high, self.low, self.last = (
            max(1, round(value * ratio)) for value in (self.open, self.high, self.low, self.last)
        )
        self.tick = tick

    def select(
        self, interval_ms: int, start_ms: int | None, end_ms: int | None, limit: int
    ) -> tuple[Candle, ...]:
        """See `Core.candles`."""
        require(interval_ms > 0 and interval_ms % MINUTE_MS == 0, "a candle lasts whole minutes")
        offset = MONDAY_MS if interval_ms % (7 * DAY_MS) == 0 else 0
        first = -((offset - self.first_ms) // interval_ms) * interval_ms + offset
        last = (self._open_ms - offset) // interval_ms * interval_ms + offset
        if end_ms is not None:
            last = min(last, (end_ms - offset) // interval_ms * interval_ms + offset)
        newest = last - (limit - 1) * interval_ms
        if start_ms is None:
            first = max(first, newest)
        else:
            first = max(first, -((offset - start_ms) // interval_ms) * interval_ms + offset)
            last = min(last, first + (limit - 1) * interval_ms)
        return tuple(self._candle(at, interval_ms) for at in range(first, last + 1, interval_ms))

    @property
    def _open_ms(self) -> int:
        return self.first_ms + len(self._closed) * MINUTE_MS

    def _minute(self, index: int) -> Candle:
        if index == len(self._closed):
            return self._growing(closed=False)
        candle = self._closed[index]
        if candle is None:
            candle = self._closed[index] = self._past(index)
        return candle

    def _past(self, index: int) -> Candle:
        """A bar of the history, its prices rounded to ticks."""
        open_ms = self.first_ms + index * MINUTE_MS
        bar, scale = self._market.bar(self._symbol, open_ms), float(self.tick)
        opened, high, low, last = (max(1, round(price / scale)) for price in bar[:4])
        return _told(open_ms, opened, high, low, last, bar.volume, self.tick, closed=True)

    def _growing(self, *, closed: bool) -> Candle:
        open_ms = self._open_ms
        return _told(
            open_ms, self.open, self.high, self.low, self.last, self.volume, self.tick, closed=closed
        )

    def _candle(self, open_ms: int, interval_ms: int) -> Candle:
        begin = (open_ms - self.first_ms) // MINUTE_MS
        count = interval_ms // MINUTE_MS
        if count == 1:
            return self._minute(begin)
        done = self._longer.get((interval_ms, open_ms))
        if done is not None:
            return done
        end = min(begin + count, len(self._closed) + 1)
        merged = _merge(
            [self._minute(index) for index in range(begin, end)], begin + count <= len(self._closed)
        )
        if merged.closed:
            self._longer[interval_ms, open_ms] = merged
        return merged


def _merge(parts: list[Candle], closed: bool) -> Candle:
    return Candle(
        open_ms=parts[0].open_ms,
        open=parts[0].open,
        high=max(part.high for part in parts),
        low=min(part.low for part in parts),
        close=parts[-1].close,
        volume=sum((part.volume for part in parts), ZERO),
        closed=closed,
    )


def _told(
    open_ms: int, opened: int, high: int, low: int, last: int, volume: float, tick: Decimal, *, closed: bool
) -> Candle:
    """A Candle from ticks."""
    return Candle(
        open_ms=open_ms,
        open=opened * tick,
        high=high * tick,
        low=low * tick,
        close=last * tick,
        volume=Decimal(repr(volume)).quantize(VOLUME_EXACT),
        closed=closed,
    )
