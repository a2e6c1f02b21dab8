"""Donchian breakout: go with a close beyond the channel of the last bars, leave at the opposite, shorter one.

The entry is a state, not an instant: while the breakout is fresh and the price still beyond the broken
level, a check every few minutes finds it, at a falling score.
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
    plain_price,
    unit,
)
from holdfast.strategies.candles import Candles
from holdfast.strategies.stops import check_range, check_timeframe, stop_distance, target, trail_by_atr

NAME = "donchian"


@dataclass(frozen=True, slots=True, kw_only=True)
class DonchianParams:
    """Checked at construction (`StrategyError`). Channels and ages in bars."""

    timeframe: str = "1m"
    """Short ones show much and pay for it: on 1m and 3m the average trade of May 2025 did not earn its
    fees. To trade with money start from 15m and look at a backtest."""
    entry_bars: int = 30
    """The channel whose break is entered."""
    exit_bars: int = 15
    """The channel whose opposite break is left at."""
    atr_period: int = 14
    fresh_bars: int = 8
    """For how many bars a breakout may still be joined."""
    distance_full_atr: float = 2.0
    """A close so many ATR beyond the broken level scores fully."""
    volume_full: float = 2.5
    """A breakout bar with so many times the usual volume scores fully."""
    stop_atr: float = 3.0
    trail_atr: float = 4.0
    stop_min_ratio: float = 0.005
    """The stop is never nearer than this share of the price."""
    reward_risk: float = 0.0
    """Take profit at so many times the stop's distance; 0 = none, the trailing stop decides."""

    def __post_init__(self) -> None:
        check_timeframe(self.timeframe)
        check_range("entry_bars", self.entry_bars, 5, 500)
        check_range("exit_bars", self.exit_bars, 2, 500)
        check_range("atr_period", self.atr_period, 2, 100)
        check_range("fresh_bars", self.fresh_bars, 1, 100)
        check_range("distance_full_atr", self.distance_full_atr, 0.1, 50)
        check_range("volume_full", self.volume_full, 0.1, 100)
        check_range("stop_atr", self.stop_atr, 0.5, 50)
        check_range("trail_atr", self.trail_atr, 0.5, 50)
        check_range("stop_min_ratio", self.stop_min_ratio, 0, 0.2)
        check_range("reward_risk", self.reward_risk, 0, 100)
        if self.exit_bars > self.entry_bars:
            raise StrategyError(
                f"exit_bars: expected at most entry_bars {self.entry_bars}, found {self.exit_bars}"
            )


@dataclass(frozen=True, slots=True)
class _Breakout:
    """*level*: the edge that was broken; *age*: bars since, 1 = by the newest; *at*: index from the end."""

    direction: Direction
    level: float
    age: int


@dataclass(frozen=True, slots=True)
class Donchian:
    """See the module. `Donchian(DonchianParams())`."""

    params: DonchianParams

    @property
    def name(self) -> str:
        return NAME

    @property
    def timeframe(self) -> str:
        return self.params.timeframe

    @property
    def warmup_bars(self) -> int:
        """The channel and its fresh breakouts; ten periods of ATR, so that its start does not show."""
        return max(self.params.entry_bars + self.params.fresh_bars, 10 * self.params.atr_period) + 2

    @property
    def extra_pairs(self) -> tuple[Symbol, ...]:
        return ()

    def signals(self, view: MarketView) -> Sequence[Signal]:
        return tuple(self._signals(view))

    def _signals(self, view: MarketView) -> Iterator[Signal]:
        for symbol in sorted(view.candles):
            candles = view.candles[symbol]
            if len(candles) < self.warmup_bars:
                continue
            window = candles.last(self.warmup_bars)
            atr = float(indicators.atr(window, self.params.atr_period)[-1])
            if not (np.isfinite(atr) and atr > 0):
                continue
            position = view.positions.get(symbol)
            if position is None:
                signal = self._enter(symbol, window, atr, view)
            else:
                signal = self._hold(position, window, atr, view)
            if signal is not None:
                yield signal

    def _enter(self, symbol: Symbol, window: Candles, atr: float, view: MarketView) -> Signal | None:
        breakout = self._breakout(window)
        if breakout is None:
            return None
        p, close, direction = self.params, float(window.close[-1]), breakout.direction
        beyond = (close - breakout.level) * direction.sign / atr
        distance = stop_distance(atr, close, p.stop_atr, p.stop_min_ratio)
        idea = Idea(
            symbol=symbol,
            direction=direction,
            price=close,
            score=self._score(window, breakout, beyond),
            stop_price=close - direction.sign * distance,
            take_profit=target(direction, close, distance, p.reward_risk),
            volatility=atr / close,
            market_condition=indicators.efficiency(window, p.exit_bars),
            reason=f"broke {plain_price(breakout.level)} ({p.entry_bars} bars) {breakout.age} bars ago,"
            f" {beyond:.1f} ATR beyond",
        )
        return entry(NAME, idea, view.now_ms)

    def _breakout(self, window: Candles) -> _Breakout | None:
        """The fresh breakout that still holds, if there is one."""
        sides = (
            (Direction.LONG, indicators.channel_top(window, self.params.entry_bars)),
            (Direction.SHORT, indicators.channel_bottom(window, self.params.entry_bars)),
        )
        for direction, edge in sides:
            beyond = (window.close - edge) * direction.sign > 0
            fresh = np.flatnonzero(beyond[-self.params.fresh_bars :])
            if not fresh.size:
                continue
            age = min(self.params.fresh_bars, len(beyond)) - int(fresh[0])
            level = float(edge[-age])
            if (float(window.close[-1]) - level) * direction.sign > 0:
                return _Breakout(direction, level, age)
        return None

    def _score(self, window: Candles, breakout: _Breakout, beyond_atr: float) -> float:
        """`joined_score` of 50 % how far beyond, 25 % volume of the break, 25 % how straight."""
        p = self.params
        usual = float(window.volume[-p.entry_bars - breakout.age : -breakout.age].mean())
        surge = float(window.volume[-breakout.age]) / usual if usual > 0 else 0.0
        far = unit(beyond_atr / p.distance_full_atr)
        straight = indicators.efficiency(window, p.exit_bars)
        merit = 0.5 * far + 0.25 * unit(surge / p.volume_full) + 0.25 * straight
        return joined_score(merit, breakout.age, p.fresh_bars)

    def _hold(self, position: OwnPosition, window: Candles, atr: float, view: MarketView) -> Signal | None:
        p, close = self.params, float(window.close[-1])
        channel = (
            indicators.channel_bottom if position.direction is Direction.LONG else indicators.channel_top
        )
        edge = float(channel(window, p.exit_bars)[-1])
        if (close - edge) * position.direction.sign < 0:
            reason = f"closed beyond {plain_price(edge)}, the opposite edge of {p.exit_bars} bars"
            return leave(NAME, position, price=close, reason=reason, now_ms=view.now_ms)
        return trail_by_atr(
            NAME,
            position,
            view,
            price=close,
            atr=atr,
            atr_multiple=p.trail_atr,
            floor_ratio=p.stop_min_ratio,
        )
