"""What the exchange lets one trade, and in which steps."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.numbers import ZERO, ceil_to, floor_to
from holdfast.domain.symbol import Kind, Symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """One step of a margin ladder: up to *notional_cap* (quote) at most *leverage_max*."""

    notional_floor: Decimal
    notional_cap: Decimal
    leverage_max: int
    maintenance_ratio: Decimal
    maintenance_amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The trading rules of one symbol. Quantities are in base currency, notionals in quote."""

    symbol: Symbol
    price_step: Decimal
    quantity_step: Decimal
    quantity_min: Decimal
    quantity_max: Decimal
    market_quantity_max: Decimal
    notional_min: Decimal
    tradable: bool = True
    brackets: tuple[Bracket, ...] = ()

    @property
    def kind(self) -> Kind:
        return self.symbol.kind

    def quantity_down(self, quantity: Decimal) -> Decimal:
        """The largest tradable quantity not above *quantity*; 0 when that is below the minimum."""
        rounded = floor_to(quantity, self.quantity_step)
        return rounded if rounded >= self.quantity_min else ZERO

    def price_down(self, price: Decimal) -> Decimal:
        return floor_to(price, self.price_step)

    def price_up(self, price: Decimal) -> Decimal:
        return ceil_to(price, self.price_step)
