"""What an account holds, and how old and complete that knowledge is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, Order, PositionSide, Stop
from holdfast.domain.symbol import Symbol

T = TypeVar("T")


class PositionMode(StrEnum):
    ONE_WAY = "one_way"
    HEDGE = "hedge"

    def side_of(self, direction: Direction) -> PositionSide:
        """Which of an instrument's positions an entry in that direction opens."""
        return PositionSide.BOTH if self is PositionMode.ONE_WAY else PositionSide(direction.value)


class MarginMode(StrEnum):
    CROSS = "cross"
    ISOLATED = "isolated"


class PositionKey(msgspec.Struct, frozen=True, cache_hash=True):
    """A position's identity within an account."""

    symbol: Symbol
    side: PositionSide

    @property
    def name(self) -> str:
        """For people and alerts: its symbol; in hedge mode, where there may be two, and `long` or `short`."""
        return str(self.symbol) if self.side is PositionSide.BOTH else f"{self.symbol} {self.side}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A position as the exchange reports it; *quantity* is signed (negative = short), in base."""

    symbol: Symbol
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    unrealized_pnl: Decimal
    liquidation_price: Decimal
    """0 when there is none."""
    leverage: int
    """0 when the answer did not say."""
    margin_mode: MarginMode
    updated_ms: int

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.symbol, self.side)

    @property
    def direction(self) -> Direction:
        return Direction.LONG if self.quantity > 0 else Direction.SHORT

    @property
    def notional(self) -> Decimal:
        """At mark price, in quote, unsigned."""
        return abs(self.quantity) * self.mark_price

    @property
    def roe(self) -> Decimal:
        """Return on the position's initial margin as a ratio (0.05 = 5 %); 0 while leverage is unknown."""
        margin = self.notional / self.leverage if self.leverage else ZERO
        return self.unrealized_pnl / margin if margin else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One margin currency. *equity* includes unrealized PnL; *available* can back new orders."""

    currency: str
    wallet: Decimal
    equity: Decimal
    available: Decimal
    maintenance_margin: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Money that came into the account (+) or went out of it (-), in *currency*."""

    transfer_id: str
    """As the exchange's list names it; empty when only a stream told of it."""
    currency: str
    change: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    position_mode: PositionMode
    can_trade: bool
    multi_assets: bool
    leverage: Mapping[Symbol, int] = field(default_factory=dict)
    margin_mode: Mapping[Symbol, MarginMode] = field(default_factory=dict)
    can_withdraw: bool | None = None
    """What the exchange says of the account; None = it says nothing. No answer tells it of the key."""


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """Something read from the exchange.

    *asked_ms* is our wall clock just before the question was sent: nothing that happened later is
    promised to be in the answer. *answered_ms* is when it arrived. *complete* is False when the
    answer may lack entries (a page, a single symbol of many): such a fact proves presence only.
    """

    value: T
    asked_ms: int
    answered_ms: int
    complete: bool = True

    def age_ms(self, now_ms: int) -> int:
        """How old the knowledge may be: counted from the question, not from the answer."""
        return now_ms - self.asked_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """Everything known of one exchange account; None or absent = never read."""

    positions: Fact[tuple[Position, ...]] | None = None
    positions_before: Fact[tuple[Position, ...]] | None = None
    """The previous complete read: absence is believed only when two reads agree."""
    orders: Mapping[Symbol, Fact[tuple[Order, ...]]] = field(default_factory=dict)
    stops: Mapping[Symbol, Fact[tuple[Stop, ...]]] = field(default_factory=dict)
    balance: Fact[Balance] | None = None
    config: Fact[AccountConfig] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A mark price and when it was true, by the exchange's clock and by ours."""

    price: Decimal
    exchange_ms: int
    heard_ms: int
    source: str
    """`ws` or `rest`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """Best bid and ask, in quote currency; asked for at *asked_ms* of our clock."""

    bid: Decimal
    ask: Decimal
    asked_ms: int

    @property
    def sane(self) -> bool:
        """Two prices that can stand in one book at the same time."""
        return self.bid.is_finite() and self.ask.is_finite() and ZERO < self.bid <= self.ask

    @property
    def spread_ratio(self) -> Decimal:
        """Of the price in the middle (0.01 = 1 %); only of a sane quote."""
        return 2 * (self.ask - self.bid) / (self.ask + self.bid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bar; *closed* is False for the last, still growing one. Prices in quote, volume in base."""

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    closed: bool
