"""Where a strategy puts and trails its stops: ATR multiples with a floor, and the settings for both."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Signal
from holdfast.strategies.base import MarketView, OwnPosition, StrategyError, trail
from holdfast.strategies.candles import TIMEFRAMES_MS


def stop_distance(atr: float, price: float, atr_multiple: float, floor_ratio: float) -> float:
    """Distance of a stop from *price*, in quote.

    The floor keeps it outside the noise and the costs of a short timeframe, where some ATR are less
    than two taker fees.
    """
    return max(atr * atr_multiple, price * floor_ratio)


def target(direction: Direction, price: float, distance: float, reward_risk: float) -> float | None:
    """The take profit at *reward_risk* times the stop's distance; None for 0: the trail decides."""
    return price + direction.sign * distance * reward_risk if reward_risk > 0 else None


def trail_by_atr(
    strategy: str,
    position: OwnPosition,
    view: MarketView,
    *,
    price: float,
    atr: float,
    atr_multiple: float,
    floor_ratio: float,
) -> Signal | None:
    """Move the stop behind the last close, when that gains at least a tenth of its distance."""
    distance = stop_distance(atr, price, atr_multiple, floor_ratio)
    return trail(strategy, position, price=price, distance=distance, step=distance / 10, now_ms=view.now_ms)


def check_timeframe(timeframe: str) -> None:
    """Raise `StrategyError` for a timeframe we do not know."""
    if timeframe not in TIMEFRAMES_MS:
        known = ", ".join(TIMEFRAMES_MS)
        raise StrategyError(f"timeframe: expected one of {known}, found {timeframe!r}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise `StrategyError` unless *low* ≤ *value* ≤ *high*."""
    if not low <= value <= high:
        raise StrategyError(f"{name}: expected {low} to {high}, found {value}")
