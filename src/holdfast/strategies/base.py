"""What a strategy is: it sees closed candles and its own positions, and says scored signals.

Floats live only inside; `entry`, `leave` and `adjust` turn them into a `Signal` of Decimals, or into
nothing when a number is not one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies.candles import Candles

VOLATILITY_MAX = 0.25
"""A typical move per bar above this share of the price is taken for a broken indicator."""

PRICE_DIGITS = 10
"""Significant digits of a price in a signal; the instrument's steps round further."""


class StrategyError(ValueError):
    """A strategy was configured with something it does not know or cannot work with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPosition:
    """A position that this strategy opened. Prices in quote."""

    symbol: Symbol
    direction: Direction
    entry_price: float
    stop_price: float | None
    bars_held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketView:
    """What a strategy may know: *candles* hold only closed, checked bars of its timeframe."""

    now_ms: int
    candles: Mapping[Symbol, Candles]
    positions: Mapping[Symbol, OwnPosition]


class Strategy(Protocol):
    """A source of signals. `signals` is pure: the same view gives the same answer."""

    @property
    def name(self) -> str: ...

    @property
    def timeframe(self) -> str:
        """A key of `TIMEFRAMES_MS`."""
        ...

    @property
    def warmup_bars(self) -> int:
        """How many closed bars it needs; it looks at no more than these."""
        ...

    @property
    def extra_pairs(self) -> tuple[Symbol, ...]:
        """Symbols it wants to see beside the traded ones."""
        ...

    def signals(self, view: MarketView) -> Sequence[Signal]:
        """At most one signal per symbol; symbols in the order of their names."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """An entry in floats, before it becomes a signal. Prices in quote; scores in [0, 1]."""

    symbol: Symbol
    direction: Direction
    price: float
    score: float
    stop_price: float
    take_profit: float | None
    volatility: float
    market_condition: float
    reason: str


def entry(strategy: str, idea: Idea, now_ms: int) -> Signal | None:
    """The signal to enter, or None when one of its numbers is absurd."""
    numbers = (idea.price, idea.score, idea.stop_price, idea.volatility, idea.market_condition)
    sign = idea.direction.sign
    target_ok = idea.take_profit is None or (
        math.isfinite(idea.take_profit) and (idea.take_profit - idea.price) * sign > 0 < idea.take_profit
    )
    sane = (
        all(math.isfinite(number) for number in numbers)
        and min(idea.price, idea.stop_price) > 0
        and (idea.price - idea.stop_price) * sign > 0
        and 0 < idea.volatility <= VOLATILITY_MAX
        and target_ok
    )
    if not sane:
        return None
    return Signal(
        strategy=strategy,
        symbol=idea.symbol,
        action=Action.ENTER,
        direction=idea.direction,
        score=unit_decimal(idea.score),
        reason=idea.reason,
        created_ms=now_ms,
        price=price_decimal(idea.price),
        stop_price=price_decimal(idea.stop_price),
        take_profit=None if idea.take_profit is None else price_decimal(idea.take_profit),
        volatility=Decimal(f"{idea.volatility:.6f}"),
        market_condition=unit_decimal(idea.market_condition),
    )


def leave(strategy: str, position: OwnPosition, *, price: float, reason: str, now_ms: int) -> Signal | None:
    """The signal to leave a position that is held."""
    if not (math.isfinite(price) and price > 0):
        return None
    return Signal(
        strategy=strategy,
        symbol=position.symbol,
        action=Action.EXIT,
        direction=position.direction,
        score=Decimal(1),
        reason=reason,
        created_ms=now_ms,
        price=price_decimal(price),
    )


def trail(
    strategy: str, position: OwnPosition, *, price: float, distance: float, step: float, now_ms: int
) -> Signal | None:
    """The signal to move the stop to *distance* behind *price*: never away from the market.

    *step*: the least improvement worth a request. None when the stop would not move far enough, or
    the numbers are absurd.
    """
    if not (math.isfinite(price) and math.isfinite(distance) and math.isfinite(step)) or distance <= 0:
        return None
    sign = position.direction.sign
    stop = price - sign * distance
    if stop <= 0:
        return None
    before = position.stop_price
    if before is not None and (stop - before) * sign < max(step, 0.0):
        return None
    rounded = price_decimal(stop)
    if before is not None and (float(rounded) - before) * sign <= 0:
        return None
    return Signal(
        strategy=strategy,
        symbol=position.symbol,
        action=Action.ADJUST,
        direction=position.direction,
        score=Decimal(1),
        reason=f"trail the stop to {plain_price(stop)}",
        created_ms=now_ms,
        price=price_decimal(price),
        stop_price=rounded,
    )


def unit(value: float) -> float:
    """*value* held to [0, 1]; what is no number counts as 0."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


SCORE_BASE = 0.4
"""What an entry state scores for standing at all: several rules already agree."""

SCORE_DECAY = 0.3
"""What share of its score a state loses by the end of its freshness."""


def joined_score(merit: float, age_bars: int, fresh_bars: int) -> float:
    """The score of a state that began *age_bars* ago (1 = with the newest bar), *merit* in [0, 1].

    A fresh one passes R5.2's 0.65 from a merit of about 0.42 on, one at the end of its freshness only
    near 0.8. Measured on a month of 1m candles of six symbols: about two states in five pass.
    """
    fresh = 1 - SCORE_DECAY * (age_bars - 1) / fresh_bars
    return fresh * (SCORE_BASE + (1 - SCORE_BASE) * unit(merit))


def unit_decimal(value: float) -> Decimal:
    return Decimal(f"{unit(value):.4f}")


def price_decimal(value: float) -> Decimal:
    """A finite price at `PRICE_DIGITS` significant digits: floats end here."""
    return Decimal(f"{value:.{PRICE_DIGITS}g}")


def plain_price(value: float) -> str:
    """A price for people."""
    return f"{value:.6g}"
