"""What a strategy says. Floats end here: a signal carries Decimal."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol


class Action(StrEnum):
    ENTER = "enter"
    EXIT = "exit"
    ADJUST = "adjust"
    """Move the stop or take profit of a position that is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A scored wish of a strategy; it has no effect until selected, sized and approved.

    *score* in [0, 1]; *stop_price* and *take_profit* in quote currency (None = the policy's);
    *volatility* is the recent typical move per bar as a ratio of price (ATR / close);
    *market_condition* in [0, 1] says how well the market suits the strategy (R5.2).
    """

    strategy: str
    symbol: Symbol
    action: Action
    direction: Direction
    score: Decimal
    reason: str
    created_ms: int
    price: Decimal
    stop_price: Decimal | None = None
    take_profit: Decimal | None = None
    volatility: Decimal | None = None
    market_condition: Decimal = Decimal("0.5")
