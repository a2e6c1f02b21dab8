"""What a fill does to a position: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.model import SimPosition

MONEY = Decimal("0.00000001")
"""Wallets are kept to eight decimals, so that they add up exactly."""
ENTRY = Decimal("0.000000000001")


@dataclass(frozen=True, slots=True)
class Effect:
    """*closed* and *opened* are unsigned quantities, *realized* is in quote without fees."""

    closed: Decimal
    opened: Decimal
    realized: Decimal


def closing_side(position: SimPosition) -> Side:
    """The side that makes a position smaller (of a flat one: what its name says, or SELL)."""
    if position.side is PositionSide.SHORT or position.quantity < 0:
        return Side.BUY
    return Side.SELL


def closes(side: Side, position: SimPosition) -> bool:
    """An order of *side* makes *position* smaller."""
    return position.quantity != 0 and closing_side(position) is side


def money(amount: Decimal) -> Decimal:
    return amount.quantize(MONEY)


def apply(
    position: SimPosition, side: Side, quantity: Decimal, price: Decimal, leverage: int | None, now_ms: int
) -> Effect:
    """Book a fill into *position*. *leverage* is given for isolated positions: their margin moves in.

    The entry price is the weighted average of adds and does not change on reduction (sheet §5).
    """
    before = position.quantity
    closed = min(quantity, abs(before)) if closes(side, position) else ZERO
    opened = quantity - closed
    realized = ZERO
    if closed:
        direction = 1 if before > 0 else -1
        realized = money((price - position.entry_price) * closed * direction)
        position.isolated_wallet -= money(position.isolated_wallet * closed / abs(before))
        position.quantity -= direction * closed
    if opened:
        held = abs(position.quantity)
        total = position.entry_price * held + price * opened
        position.entry_price = (total / (held + opened)).quantize(ENTRY)
        position.quantity += side.sign * opened
        if leverage is not None:
            position.isolated_wallet += money(price * opened / leverage)
    if not position.quantity:
        position.entry_price = position.isolated_wallet = ZERO
    position.realized += realized
    position.updated_ms = now_ms
    return Effect(closed, opened, realized)
