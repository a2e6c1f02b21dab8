"""Positions from opening to flat: what Bitget tells of them beyond the core (ids, fees, their history)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import CoreEvent, OrderEvent, SimFill


@dataclass(slots=True, kw_only=True)
class Life:
    """One position; values and fees in quote currency, fees positive."""

    number: int
    account_id: str
    symbol: Symbol
    side: PositionSide
    long: bool
    opened_ms: int
    updated_ms: int
    held: Decimal = ZERO
    opened: Decimal = ZERO
    open_value: Decimal = ZERO
    open_fee: Decimal = ZERO
    closed: Decimal = ZERO
    close_value: Decimal = ZERO
    close_fee: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def open_price(self) -> Decimal:
        return self.open_value / self.opened if self.opened else ZERO

    @property
    def close_price(self) -> Decimal:
        return self.close_value / self.closed if self.closed else ZERO


@dataclass(slots=True)
class Tally:
    """What an order's fills add up to, in quote currency."""

    fee: Decimal = ZERO
    realized: Decimal = ZERO


@dataclass(slots=True)
class Lives:
    """Hears every fill; knows the open position of each identity and all that are over."""

    open: dict[tuple[str, Symbol, PositionSide], Life] = field(default_factory=dict)
    over: dict[str, list[Life]] = field(default_factory=dict)
    tallies: dict[int, Tally] = field(default_factory=dict)
    """By order id."""
    _next: int = 1_100_000_000_000_000_001

    def hear(self, event: CoreEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._book(event.fill)

    def of(self, account_id: str, symbol: Symbol, side: PositionSide) -> Life | None:
        return self.open.get((account_id, symbol, side))

    def tally(self, order_id: int) -> Tally:
        return self.tallies.get(order_id, Tally())

    def past(self, account_id: str) -> Iterable[Life]:
        """Those that are over, newest first."""
        return reversed(self.over.get(account_id, []))

    def _book(self, fill: SimFill) -> None:
        tally = self.tallies.setdefault(fill.order_id, Tally())
        tally.fee += fill.fee
        tally.realized += fill.realized
        life = self.of(fill.account_id, fill.symbol, fill.position_side)
        closed = ZERO
        if life is not None and life.long == (fill.side.sign < 0):
            closed = min(fill.quantity, life.held)
            self._close(life, fill, closed)
        if fill.quantity > closed:
            self._open(fill, fill.quantity - closed)

    def _close(self, life: Life, fill: SimFill, quantity: Decimal) -> None:
        life.held -= quantity
        life.closed += quantity
        life.close_value += quantity * fill.price
        life.close_fee += fill.fee * quantity / fill.quantity
        life.realized += fill.realized
        life.updated_ms = fill.at_ms
        if not life.held:
            del self.open[life.account_id, life.symbol, life.side]
            self.over.setdefault(life.account_id, []).append(life)

    def _open(self, fill: SimFill, quantity: Decimal) -> None:
        key = (fill.account_id, fill.symbol, fill.position_side)
        life = self.open.get(key)
        if life is None:
            life = self.open[key] = Life(
                number=self._next,
                account_id=fill.account_id,
                symbol=fill.symbol,
                side=fill.position_side,
                long=fill.side.sign > 0,
                opened_ms=fill.at_ms,
                updated_ms=fill.at_ms,
            )
            self._next += 1
        life.held += quantity
        life.opened += quantity
        life.open_value += quantity * fill.price
        life.open_fee += fill.fee * quantity / fill.quantity
        life.updated_ms = fill.at_ms
