"""What we want done, what came of it, and why: the words between deciding and acting."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import (
    ClientOrderId,
    Fill,
    Order,
    OrderState,
    OrderType,
    PositionSide,
    Side,
    Stop,
    TimeInForce,
    TriggerSource,
)
from holdfast.domain.symbol import Symbol


class Priority(StrEnum):
    """Who goes first when the exchange's budget is short (architecture rule 9)."""

    EMERGENCY = "emergency"
    PROTECT = "protect"
    TRADE = "trade"
    OBSERVE = "observe"


class Purpose(StrEnum):
    """Why a request that changes something is sent. Only ENTER can raise exposure."""

    ENTER = "enter"
    PLACE_STOP = "place_stop"
    CLOSE = "close"
    CANCEL_ORDER = "cancel_order"
    CANCEL_STOP = "cancel_stop"

    @property
    def raises_risk(self) -> bool:
        return self is Purpose.ENTER


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One request that changes something at the exchange, before it has an id or is sent.

    Which fields matter depends on *purpose*: ENTER and CLOSE use side, quantity, type, price;
    PLACE_STOP uses side, trigger_price and quantity (0 = the whole position, whatever its size);
    CANCEL_* use target_id (the exchange's id) and target_client_id. Quantities are unsigned base.
    """

    purpose: Purpose
    symbol: Symbol
    side: Side
    position_side: PositionSide = PositionSide.BOTH
    quantity: Decimal = ZERO
    type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.GTC
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    trigger_source: TriggerSource = TriggerSource.MARK
    close_position: bool = False
    reduce_only: bool = False
    target_id: str = ""
    target_client_id: str = ""
    priority: Priority = Priority.TRADE
    reason: str = ""
    correlation_id: str = ""
    stop_price: Decimal | None = None
    """ENTER: where its protective stop will be placed."""
    take_profit: Decimal | None = None
    strategy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Journaled:
    """An intent with its identity, as the journal holds it.

    *signed_ms* is the time that the request is signed with: with *window_ms* it bounds how late the
    exchange can still accept it. Both are wall-clock milliseconds.
    """

    intent: Intent
    client_id: ClientOrderId
    account_id: str
    signed_ms: int
    window_ms: int
    state: OrderState = OrderState.SENDING
    exchange_id: str = ""
    filled: Decimal = ZERO
    average_price: Decimal = ZERO
    detail: str = ""
    """The code and words of a rejection, or the cause of an Unknown."""
    resolved_ms: int = 0

    @property
    def open(self) -> bool:
        """It may still have an effect at the exchange that we have not seen the end of."""
        return self.state in (OrderState.SENDING, OrderState.UNKNOWN, OrderState.WORKING)

    @property
    def expires_ms(self) -> int:
        """From then on the exchange itself refuses the request (architecture rule 5)."""
        return self.signed_ms + self.window_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The exchange has it. *order* or *stop* is what the reply said of it (may lack prices)."""

    exchange_id: str
    order: Order | None = None
    stop: Stop | None = None
    fills: tuple[Fill, ...] = ()


class RejectReason(StrEnum):
    """What a definite refusal means for us; the exchange's own code stays beside it."""

    WOULD_TRIGGER = "would_trigger"
    WRONG_ENDPOINT = "wrong_endpoint"
    DUPLICATE_ID = "duplicate_id"
    """An order with this id is open: the earlier send arrived."""
    STOP_EXISTS = "stop_exists"
    """A stop of this kind stands already in this direction."""
    NOT_FOUND = "not_found"
    """Nothing to cancel: final already, or another order book."""
    NOTHING_TO_REDUCE = "nothing_to_reduce"
    REDUCE_BLOCKED = "reduce_blocked"
    """Other orders of ours lock the quantity."""
    MARGIN = "margin"
    NOTIONAL_TOO_SMALL = "notional_too_small"
    FILTER = "filter"
    POSITION_MODE = "position_mode"
    NO_LIQUIDITY = "no_liquidity"
    SYMBOL = "symbol"
    PERMISSION = "permission"
    CLOCK = "clock"
    NO_CHANGE = "no_change"
    """The exchange is already as asked: counts as success."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Definite: it had no effect and never will."""

    reason: RejectReason
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """It may have had an effect. Ask by client id; never send a second one."""

    cause: str
    mapped: bool = True
    """False: the exchange said something our tables do not know (reported as a gap)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Definite: no effect now; may be tried later. *retry_after_ms* 0 = the exchange did not say."""

    cause: str
    retry_after_ms: int = 0
    banned: bool = False
    """418/403: nothing may be sent from this address until it ends."""
    held: bool = False
    """The exchange was not asked: we let nothing of the kind pass for *retry_after_ms*."""
    short: bool = False
    """Held by our own budget, not by the exchange's word."""


Outcome = Accepted | Rejected | Unknown | Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """The exchange answered, and knows no order by that id. Not yet a proof of absence."""

    asked_ms: int


Lookup = Accepted | NotFound | Unknown | Unavailable
