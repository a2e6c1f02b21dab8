"""What an entry may never exceed: limits as one frozen value, and how they may contradict themselves."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.numbers import ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an entry may never exceed. All required: nothing that can lose money has a default.

    Ratios named *_ratio are of account equity, except: price_collar and stop_distance (of the mark
    price), spread (between best bid and ask, of the price in the middle), margin_buffer (of the order's
    notional, kept for fees and slippage), volatility (typical move per bar, of price).
    *max_positions* and *daily_trades_max* 0 = no new entries (R1.11).
    """

    order_notional_max_ratio: Decimal
    position_notional_max_ratio: Decimal
    gross_exposure_max_ratio: Decimal
    price_collar_ratio: Decimal
    spread_max_ratio: Decimal
    mark_age_ms_max: int
    """Of the mark price, and of best bid and ask."""
    positions_age_ms_max: int
    balance_age_ms_max: int
    max_positions: int
    daily_trades_max: int
    cooldown_sec: int
    volatility_max: Decimal
    correlation_max: Decimal
    stop_distance_min_ratio: Decimal
    stop_distance_max_ratio: Decimal
    leverage_max: int
    margin_buffer_ratio: Decimal


def limit_faults(limits: Limits) -> tuple[str, ...]:
    """Every way in which the limits contradict themselves, in words; empty when they are sound."""
    broken = {
        f"order_notional_max_ratio {limits.order_notional_max_ratio} is above"
        f" position_notional_max_ratio {limits.position_notional_max_ratio}": (
            limits.order_notional_max_ratio > limits.position_notional_max_ratio
        ),
        f"position_notional_max_ratio {limits.position_notional_max_ratio} is above"
        f" gross_exposure_max_ratio {limits.gross_exposure_max_ratio}": (
            limits.position_notional_max_ratio > limits.gross_exposure_max_ratio
        ),
        f"gross_exposure_max_ratio {limits.gross_exposure_max_ratio} is above leverage_max"
        f" {limits.leverage_max}": limits.gross_exposure_max_ratio > limits.leverage_max,
        f"stop_distance_min_ratio {limits.stop_distance_min_ratio} is not between 0 and"
        f" stop_distance_max_ratio {limits.stop_distance_max_ratio}": (
            not ZERO < limits.stop_distance_min_ratio < limits.stop_distance_max_ratio
        ),
        f"stop_distance_max_ratio {limits.stop_distance_max_ratio} is not below 1": (
            limits.stop_distance_max_ratio >= 1
        ),
        f"leverage_max {limits.leverage_max} is below 1": limits.leverage_max < 1,
        **{
            f"{name} {getattr(limits, name)} is negative": getattr(limits, name) < 0
            for name in Limits.__dataclass_fields__
        },
    }
    return tuple(words for words, is_broken in broken.items() if is_broken)
