"""Exact numbers: Decimal in, Decimal out, rounding by name."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation

ZERO = Decimal(0)
ONE = Decimal(1)


class BadNumber(ValueError):
    """The text is no finite decimal number."""


def number(value: str | int | Decimal) -> Decimal:
    """A finite Decimal from wire text, or `BadNumber` (NaN and infinities are never numbers here)."""
    try:
        result = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise BadNumber(f"expected a number, found {value!r}") from error
    if not result.is_finite():
        raise BadNumber(f"expected a finite number, found {value!r}")
    return result


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of *step* that is not above *value*."""
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of *step* that is not below *value*."""
    return (value / step).to_integral_value(ROUND_CEILING) * step


def plain(value: Decimal) -> str:
    """The number as exchanges read it: no exponent, no trailing zeros."""
    if value == 0:
        return "0"
    return format(value.normalize(), "f")
