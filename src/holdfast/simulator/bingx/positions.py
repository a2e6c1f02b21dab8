"""Lives of positions: BingX numbers each from its opening to its end, and keeps a history of them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx.ids import POSITIONS
from holdfast.simulator.core.model import CoreEvent, OrderEvent, SimFill

Key = tuple[str, Symbol, PositionSide]


@dataclass(slots=True, kw_only=True)
class Life:
    """One position from opening to end; money in quote currency."""

    position_id: int
    symbol: Symbol
    side: PositionSide
    """LONG or SHORT, also in one-way mode."""
    opened_ms: int
    updated_ms: int
    opened: Decimal = ZERO
    opened_quote: Decimal = ZERO
    closed: Decimal = ZERO
    closed_quote: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal:
        return self.opened_quote / self.opened if self.opened else ZERO

    @property
    def exit_price(self) -> Decimal:
        return self.closed_quote / self.closed if self.closed else ZERO

    @property
    def held(self) -> Decimal:
        return self.opened - self.closed


class Positions:
    """Hears the fills and keeps the lives; `hear` is a listener of the core."""

    def __init__(self) -> None:
        self._ids = count(POSITIONS + 1)
        self._open: dict[Key, Life] = {}
        self._ended: dict[str, list[Life]] = {}

    def hear(self, event: CoreEvent) -> None:
        if isinstance(event, OrderEvent) and event.fill is not None:
            self._fill(event.fill)

    def of(self, account_id: str, symbol: Symbol, side: PositionSide) -> Life | None:
        """The open one of that identity (side BOTH in one-way mode)."""
        return self._open.get((account_id, symbol, side))

    def by_id(self, account_id: str, position_id: int) -> tuple[Key, Life] | None:
        """The open one of that number."""
        for key, life in self._open.items():
            if key[0] == account_id and life.position_id == position_id:
                return key, life
        return None

    def ended(self, account_id: str) -> list[Life]:
        """Those that are over, oldest first."""
        return list(self._ended.get(account_id, ()))

    def _fill(self, fill: SimFill) -> None:
        key = (fill.account_id, fill.symbol, fill.position_side)
        life = self._open.get(key)
        closing = ZERO
        if life is not None and fill.side is not _opening(life.side):
            closing = min(fill.quantity, life.held)
            life.closed += closing
            life.closed_quote += closing * fill.price
            life.realized += fill.realized
            life.fees += fill.fee * closing / fill.quantity
            life.updated_ms = fill.at_ms
            if not life.held:
                self._ended.setdefault(fill.account_id, []).append(self._open.pop(key))
        if fill.quantity > closing:
            self._opened(key, fill, fill.quantity - closing)

    def _opened(self, key: Key, fill: SimFill, quantity: Decimal) -> None:
        life = self._open.get(key)
        if life is None:
            side = PositionSide.LONG if fill.side is Side.BUY else PositionSide.SHORT
            life = self._open[key] = Life(
                position_id=next(self._ids),
                symbol=fill.symbol,
                side=side,
                opened_ms=fill.at_ms,
                updated_ms=fill.at_ms,
            )
        life.opened += quantity
        life.opened_quote += quantity * fill.price
        life.fees += fill.fee * quantity / fill.quantity
        life.updated_ms = fill.at_ms


def _opening(side: PositionSide) -> Side:
    return Side.BUY if side is PositionSide.LONG else Side.SELL
