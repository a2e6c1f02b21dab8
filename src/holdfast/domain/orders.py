"""Orders, stops and fills as an exchange has them, and the life of an order as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NewType

from holdfast.domain.invariant import require
from holdfast.domain.symbol import Symbol

ClientOrderId = NewType("ClientOrderId", str)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for buy, -1 for sell."""
        return 1 if self is Side.BUY else -1


class PositionSide(StrEnum):
    """Which of an instrument's positions is meant: BOTH in one-way mode, LONG or SHORT in hedge."""

    BOTH = "both"
    LONG = "long"
    SHORT = "short"

    @property
    def closing(self) -> Side | None:
        """What in hedge mode can only close it, without a flag that says so; None for BOTH."""
        return {PositionSide.LONG: Side.SELL, PositionSide.SHORT: Side.BUY}.get(self)


class Direction(StrEnum):
    LONG = "long"
    SHORT = "short"

    @property
    def opening(self) -> Side:
        return Side.BUY if self is Direction.LONG else Side.SELL

    @property
    def closing(self) -> Side:
        return self.opening.opposite

    @property
    def sign(self) -> int:
        """+1 for long, -1 for short."""
        return 1 if self is Direction.LONG else -1


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class OrderState(StrEnum):
    """Where an order of ours stands, as far as we can prove."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    WORKING = "working"
    FILLED = "filled"
    CLOSED = "closed"


class Heard(StrEnum):
    """News about an order, from whichever source."""

    ACK = "ack"
    NO_ANSWER = "no_answer"
    REJECT = "reject"
    FILL = "fill"
    CANCELLED = "cancelled"
    PROVEN_DEAD = "proven_dead"


# Absence from the table means that the exchange contradicts what we hold proven: reconcile, never
# guess. PROVEN_DEAD needs more than "not found": the signed request can no longer be accepted and
# the query, past its visibility delay, finds nothing (decisions.reconcile proves it).
TRANSITIONS: Mapping[OrderState, Mapping[Heard, OrderState]] = {
    OrderState.SENDING: {
        Heard.ACK: OrderState.WORKING,
        Heard.NO_ANSWER: OrderState.UNKNOWN,
        Heard.REJECT: OrderState.CLOSED,
        Heard.FILL: OrderState.FILLED,
        Heard.CANCELLED: OrderState.CLOSED,
    },
    OrderState.UNKNOWN: {
        Heard.ACK: OrderState.WORKING,
        Heard.NO_ANSWER: OrderState.UNKNOWN,
        Heard.FILL: OrderState.FILLED,
        Heard.CANCELLED: OrderState.CLOSED,
        Heard.PROVEN_DEAD: OrderState.CLOSED,
    },
    OrderState.WORKING: {
        Heard.ACK: OrderState.WORKING,
        Heard.NO_ANSWER: OrderState.WORKING,
        Heard.FILL: OrderState.FILLED,
        Heard.CANCELLED: OrderState.CLOSED,
    },
    # Late and repeated news is normal.
    OrderState.FILLED: {
        Heard.ACK: OrderState.FILLED,
        Heard.NO_ANSWER: OrderState.FILLED,
        Heard.FILL: OrderState.FILLED,
    },
    OrderState.CLOSED: {
        Heard.ACK: OrderState.CLOSED,
        Heard.NO_ANSWER: OrderState.CLOSED,
        Heard.CANCELLED: OrderState.CLOSED,
        Heard.PROVEN_DEAD: OrderState.CLOSED,
    },
}
require(set(TRANSITIONS) == set(OrderState), "every order state has a row")


def after(state: OrderState, heard: Heard) -> OrderState | None:
    """The state after the news, or None when the news contradicts the state."""
    return TRANSITIONS[state].get(heard)


class ExchangeStatus(StrEnum):
    """An order's state in the exchange's own book, in one vocabulary for all exchanges."""

    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        return self not in (ExchangeStatus.OPEN, ExchangeStatus.PARTIAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A regular order as the exchange reports it."""

    symbol: Symbol
    order_id: str
    client_id: str
    side: Side
    position_side: PositionSide
    type: OrderType
    status: ExchangeStatus
    quantity: Decimal
    filled: Decimal
    average_price: Decimal
    """0 while unknown: acknowledgements need not carry it."""
    price: Decimal
    reduce_only: bool
    updated_ms: int

    @property
    def only_reduces(self) -> bool:
        """The exchange itself sees to it: by the flag, or in hedge mode by the sides."""
        return self.reduce_only or self.side is self.position_side.closing


class StopStatus(StrEnum):
    LIVE = "live"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


class StopKind(StrEnum):
    """What the conditional order is for; only STOP protects."""

    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TRAILING = "trailing"


class TriggerSource(StrEnum):
    LAST = "last"
    MARK = "mark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A conditional order as the exchange reports it (Binance: the algo order book)."""

    symbol: Symbol
    stop_id: str
    client_id: str
    kind: StopKind
    market: bool
    """It becomes a market order when triggered (a limit may be left unfilled)."""
    side: Side
    position_side: PositionSide
    trigger_price: Decimal
    trigger_source: TriggerSource
    quantity: Decimal
    """0 when it closes the whole position."""
    close_position: bool
    reduce_only: bool
    status: StopStatus
    created_ms: int
    updated_ms: int
    order_id: str = ""
    """The regular order it became; empty until triggered."""

    @property
    def only_reduces(self) -> bool:
        """The exchange itself sees to it: by a flag, or in hedge mode by the sides."""
        return self.close_position or self.reduce_only or self.side is self.position_side.closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution. *fee* is in *fee_currency*, positive = paid; *realized_pnl* in quote, fees excluded."""

    symbol: Symbol
    trade_id: str
    order_id: str
    client_id: str
    """Empty when the exchange's trade list does not carry it."""
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_currency: str
    realized_pnl: Decimal
    maker: bool
    at_ms: int
