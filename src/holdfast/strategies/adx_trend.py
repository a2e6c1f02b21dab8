"""ADX trend: go with a trend that has just become strong, leave when it ends, trail in between.

A long while +DI > -DI and ADX is above *adx_min* and rising, as long as that is fresh; short likewise.
The entry is a state, not an instant: a check every few minutes still finds it, at a falling score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies import indicators
from holdfast.strategies.base import (
    Idea,
    MarketView,
    OwnPosition,
    StrategyError,
    entry,
    joined_score,
    leave,
    unit,
)
from holdfast.strategies.candles import Candles, Floats
from holdfast.strategies.stops import check_range, check_timeframe, stop_distance, target, trail_by_atr

NAME = "adx_trend"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdxTrendParams:
    """Checked at construction (`StrategyError`). Periods and ages in bars, ADX and DI in points."""

    timeframe: str = "1m"
    """Short ones show much and pay for it: on 1m and 3m the average trade of May 2025 did not earn its
    fees. To trade with money start from 15m and look at a backtest."""
    adx_period: int = 12
    atr_period: int = 14
    adx_min: float = 25.0
    """The trend counts from here …"""
    adx_full: float = 42.0
    """… and scores fully from here."""
    adx_exit: float = 18.0
    """Below it the trend is over."""
    rise_bars: int = 3
    """ADX has to be above its value so many bars ago."""
    rise_full: float = 5.0
    """A rise of so many points over *rise_bars* scores fully."""
    fresh_bars: int = 10
    """For how many bars after it began a trend may still be joined."""
    stop_atr: float = 3.0
    trail_atr: float = 4.0
    stop_min_ratio: float = 0.005
    """The stop is never nearer than this share of the price."""
    reward_risk: float = 0.0
    """Take profit at so many times the stop's distance; 0 = none, the trailing stop decides."""

    def __post_init__(self) -> None:
        check_timeframe(self.timeframe)
        check_range("adx_period", self.adx_period, 2, 100)
        check_range("atr_period", self.atr_period, 2, 100)
        check_range("adx_exit", self.adx_exit, 0, 100)
        check_range("adx_min", self.adx_min, self.adx_exit, 100)
        check_range("adx_full", self.adx_full, 1, 100)
        check_range("rise_bars", self.rise_bars, 1, 50)
        check_range("rise_full", self.rise_full, 0.1, 100)
        check_range("fresh_bars", self.fresh_bars, 1, 100)
        check_range("stop_atr", self.stop_atr, 0.5, 50)
        check_range("trail_atr", self.trail_atr, 0.5, 50)
        check_range("stop_min_ratio", self.stop_min_ratio, 0, 0.2)
        check_range("reward_risk", self.reward_risk, 0, 100)
        if self.adx_full <= self.adx_min:
            raise StrategyError(f"adx_full: expected more than adx_min {self.adx_min}, found {self.adx_full}")


@dataclass(frozen=True, slots=True)
class _Reading:
    """The indicators over the warm-up window; all of the last values are finite."""

    close: float
    adx: Floats
    plus: Floats
    minus: Floats
    atr: float


@dataclass(frozen=True, slots=True)
class AdxTrend:
    """See the module. `AdxTrend(AdxTrendParams())`."""

    params: AdxTrendParams

    @property
    def name(self) -> str:
        return NAME

    @property
    def timeframe(self) -> str:
        return self.params.timeframe

    @property
    def warmup_bars(self) -> int:
        """Wilder's averages forget their start slowly: ten periods, so that it does not show."""
        longest = max(self.params.adx_period, self.params.atr_period)
        return 10 * longest + self.params.rise_bars + self.params.fresh_bars + 2

    @property
    def extra_pairs(self) -> tuple[Symbol, ...]:
        return ()

    def signals(self, view: MarketView) -> Sequence[Signal]:
        return tuple(self._signals(view))

    def _signals(self, view: MarketView) -> Iterator[Signal]:
        for symbol in sorted(view.candles):
            candles = view.candles[symbol]
            reading = self._read(candles)
            if reading is None:
                continue
            position = view.positions.get(symbol)
            if position is None:
                signal = self._enter(symbol, candles, reading, view)
            else:
                signal = self._hold(position, reading, view)
            if signal is not None:
                yield signal

    def _read(self, candles: Candles) -> _Reading | None:
        """None while there are too few bars, or an indicator is no number."""
        if len(candles) < self.warmup_bars:
            return None
        window, p = candles.last(self.warmup_bars), self.params
        reading = _Reading(
            close=float(window.close[-1]),
            adx=indicators.adx(window, p.adx_period),
            plus=indicators.plus_di(window, p.adx_period),
            minus=indicators.minus_di(window, p.adx_period),
            atr=float(indicators.atr(window, p.atr_period)[-1]),
        )
        newest = (reading.adx[-1], reading.plus[-1], reading.minus[-1], reading.atr)
        return reading if np.isfinite(newest).all() and reading.atr > 0 else None

    def _enter(self, symbol: Symbol, candles: Candles, reading: _Reading, view: MarketView) -> Signal | None:
        direction = Direction.LONG if reading.plus[-1] > reading.minus[-1] else Direction.SHORT
        age = self._age(reading, direction)
        if not 1 <= age <= self.params.fresh_bars:
            return None
        p = self.params
        distance = stop_distance(reading.atr, reading.close, p.stop_atr, p.stop_min_ratio)
        idea = Idea(
            symbol=symbol,
            direction=direction,
            price=reading.close,
            score=self._score(reading, age),
            stop_price=reading.close - direction.sign * distance,
            take_profit=target(direction, reading.close, distance, p.reward_risk),
            volatility=reading.atr / reading.close,
            market_condition=indicators.efficiency(candles, p.adx_period),
            reason=f"ADX {reading.adx[-1]:.1f} rising, +DI {reading.plus[-1]:.1f}, -DI"
            f" {reading.minus[-1]:.1f}, for {age} bars",
        )
        return entry(NAME, idea, view.now_ms)

    def _age(self, reading: _Reading, direction: Direction) -> int:
        """For how many bars the trend has stood (0 = not now)."""
        rise = self.params.rise_bars
        leads = (reading.plus - reading.minus) * direction.sign > 0
        strong = reading.adx >= self.params.adx_min
        rising = reading.adx[rise:] > reading.adx[:-rise]
        return indicators.bars_since(leads[rise:] & strong[rise:] & rising)

    def _score(self, reading: _Reading, age: int) -> float:
        """`joined_score` of 40 % how one-sided, 35 % how strong, 25 % how fast it grows."""
        p = self.params
        adx, plus, minus = float(reading.adx[-1]), float(reading.plus[-1]), float(reading.minus[-1])
        one_sided = unit(abs(plus - minus) / (plus + minus)) if plus + minus > 0 else 0.0
        strong = unit((adx - p.adx_min) / (p.adx_full - p.adx_min))
        growing = unit((adx - float(reading.adx[-1 - p.rise_bars])) / p.rise_full)
        return joined_score(0.4 * one_sided + 0.35 * strong + 0.25 * growing, age, p.fresh_bars)

    def _hold(self, position: OwnPosition, reading: _Reading, view: MarketView) -> Signal | None:
        ended = self._ended(position, reading)
        if ended:
            return leave(NAME, position, price=reading.close, reason=ended, now_ms=view.now_ms)
        return trail_by_atr(
            NAME,
            position,
            view,
            price=reading.close,
            atr=reading.atr,
            atr_multiple=self.params.trail_atr,
            floor_ratio=self.params.stop_min_ratio,
        )

    def _ended(self, position: OwnPosition, reading: _Reading) -> str:
        """Why the trend is over, or nothing."""
        lead = float(reading.plus[-1] - reading.minus[-1]) * position.direction.sign
        if lead < 0:
            return f"the trend turned: +DI {reading.plus[-1]:.1f}, -DI {reading.minus[-1]:.1f}"
        if reading.adx[-1] < self.params.adx_exit:
            return f"the trend faded: ADX {reading.adx[-1]:.1f} below {self.params.adx_exit:g}"
        return ""
