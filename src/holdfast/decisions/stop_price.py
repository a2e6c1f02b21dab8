"""Is that stop price sane? Geometry of stops and liquidation, shared by sizing, gate and protection."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.instrument import Bracket, Instrument
from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Direction

MAINTENANCE_RATIO_UNKNOWN = Decimal("0.025")
"""Taken where an instrument came without brackets: above what liquid symbols ask, so nearer."""

LIQUIDATION_MARGIN_RATIO = Decimal("0.1")
"""A stop has to be nearer than liquidation by at least this share of the distance (rule 7)."""


def bracket_at(instrument: Instrument, notional: Decimal) -> Bracket | None:
    """The margin step that a position of *notional* (quote) falls into; None without a ladder."""
    ladder = sorted(instrument.brackets, key=lambda each: each.notional_cap)
    return next((each for each in ladder if notional <= each.notional_cap), ladder[-1] if ladder else None)


def notional_cap(instrument: Instrument, leverage: int) -> Decimal | None:
    """The largest notional (quote) the ladder allows at *leverage*; None without a ladder."""
    if not instrument.brackets:
        return None
    allowing = (each.notional_cap for each in instrument.brackets if each.leverage_max >= leverage)
    return max(allowing, default=ZERO)


def margin_needed(notional: Decimal, leverage: int, buffer_ratio: Decimal) -> Decimal:
    """Initial margin for *notional* plus *buffer_ratio* of it for fees and slippage, in quote."""
    return notional / leverage + notional * buffer_ratio


def stop_distance_ratio(direction: Direction, price: Decimal, stop_price: Decimal) -> Decimal:
    """How far the stop is from *price*, as a ratio of it; not positive = on the wrong side."""
    return (price - stop_price) * direction.sign / price


def safer_stop(instrument: Instrument, direction: Direction, stop_price: Decimal) -> Decimal:
    """The stop on a tradable price, rounded towards the market: a rounded stop never loses more."""
    if direction is Direction.LONG:
        return instrument.price_up(stop_price)
    return instrument.price_down(stop_price)


def estimated_liquidation(
    instrument: Instrument, direction: Direction, price: Decimal, leverage: int, notional: Decimal = ZERO
) -> Decimal:
    """Where a position alone on its initial margin would be liquidated, in quote.

    A lower bound of the distance: cross margin with free balance is liquidated later, and the
    bracket's deduction (`maintenance_amount`), which moves it away, is left out.
    """
    bracket = bracket_at(instrument, notional)
    maintenance = bracket.maintenance_ratio if bracket else MAINTENANCE_RATIO_UNKNOWN
    if direction is Direction.LONG:
        return max(ZERO, price * (ONE - ONE / leverage) / (ONE - maintenance))
    return price * (ONE + ONE / leverage) / (ONE + maintenance)


def stop_fault(
    instrument: Instrument,
    direction: Direction,
    *,
    price: Decimal,
    stop_price: Decimal | None,
    distance_min_ratio: Decimal,
    distance_max_ratio: Decimal,
    leverage: int,
    notional: Decimal = ZERO,
) -> str:
    """What is wrong with the stop of a position entered at *price*, in words; empty when it is sane."""
    if stop_price is None or stop_price <= 0:
        return "there is no stop price"
    distance = stop_distance_ratio(direction, price, stop_price)
    if distance <= 0:
        return f"stop {stop_price} is on the wrong side of {price} for a {direction} position"
    if not distance_min_ratio <= distance <= distance_max_ratio:
        return (
            f"stop {stop_price} is {distance:.2%} away from {price}, expected"
            f" {distance_min_ratio:.2%} to {distance_max_ratio:.2%}"
        )
    liquidation = estimated_liquidation(instrument, direction, price, leverage, notional)
    room = (price - liquidation) * direction.sign / price
    if distance > room * (ONE - LIQUIDATION_MARGIN_RATIO):
        return (
            f"stop {stop_price} is not safely nearer than liquidation, about {liquidation:.8g}"
            f" at leverage {leverage}: expected at most {room * (ONE - LIQUIDATION_MARGIN_RATIO):.2%} away"
        )
    return ""
