"""The words of the exchange's core: what accounts hold, what happens, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import msgspec

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol


class OrderKind(StrEnum):
    LIMIT = "limit"
    MARKET = "market"


class Tif(StrEnum):
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"
    POST_ONLY = "post_only"


class Status(StrEnum):
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self not in (Status.NEW, Status.PARTIALLY_FILLED)


class ExpireReason(StrEnum):
    """Why the system, not the user, ended an order."""

    NONE = "none"
    IOC_REST = "ioc_rest"
    REDUCE_ONLY = "reduce_only"
    LIQUIDATION = "liquidation"
    MARKET_REST = "market_rest"
    STOP_TRIGGERED = "stop_triggered"
    GTE_UNSATISFIED = "gte_unsatisfied"
    DELISTED = "delisted"


class AlgoType(StrEnum):
    STOP = "stop"
    STOP_MARKET = "stop_market"
    TAKE_PROFIT = "take_profit"
    TAKE_PROFIT_MARKET = "take_profit_market"
    TRAILING_STOP_MARKET = "trailing_stop_market"


class AlgoStatus(StrEnum):
    NEW = "new"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def final(self) -> bool:
        return self not in (AlgoStatus.NEW, AlgoStatus.TRIGGERING, AlgoStatus.TRIGGERED)


class Working(StrEnum):
    LAST = "last"
    MARK = "mark"


class Refused(StrEnum):
    """What the core refuses; a dialect gives each its exchange's code and words."""

    UNKNOWN_SYMBOL = "unknown_symbol"
    SYMBOL_CLOSED = "symbol_closed"
    PRECISION = "precision"
    TICK = "tick"
    STEP = "step"
    QUANTITY_NOT_POSITIVE = "quantity_not_positive"
    QUANTITY_MIN = "quantity_min"
    QUANTITY_MAX = "quantity_max"
    PRICE_NOT_POSITIVE = "price_not_positive"
    PRICE_MIN = "price_min"
    PRICE_MAX = "price_max"
    PRICE_TOO_HIGH = "price_too_high"
    PRICE_TOO_LOW = "price_too_low"
    NOTIONAL_MIN = "notional_min"
    POSITION_SIDE = "position_side"
    REDUCE_ONLY_IN_HEDGE = "reduce_only_in_hedge"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    REDUCE_ONLY = "reduce_only"
    REDUCE_ONLY_CONFLICT = "reduce_only_conflict"
    BRACKET = "bracket"
    MARGIN = "margin"
    MAX_ORDERS = "max_orders"
    MAX_ALGO_ORDERS = "max_algo_orders"
    NO_COUNTERPARTY = "no_counterparty"
    FOK_UNFILLABLE = "fok_unfillable"
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    WOULD_TRIGGER = "would_trigger"
    CLOSE_STOP_EXISTS = "close_stop_exists"
    CLOSE_STOP_NO_POSITION = "close_stop_no_position"
    CLOSE_STOP_WRONG_SIDE = "close_stop_wrong_side"
    CLOSE_STOP_WITH_QUANTITY = "close_stop_with_quantity"
    CLOSE_STOP_WITH_REDUCE_ONLY = "close_stop_with_reduce_only"
    UNKNOWN_ORDER = "unknown_order"
    LEVERAGE_INVALID = "leverage_invalid"
    LEVERAGE_ISOLATED_DOWN = "leverage_isolated_down"
    MARGIN_MODE_SAME = "margin_mode_same"
    MARGIN_MODE_OPEN_ORDERS = "margin_mode_open_orders"
    MARGIN_MODE_POSITION = "margin_mode_position"
    POSITION_MODE_SAME = "position_mode_same"
    POSITION_MODE_OPEN_ORDERS = "position_mode_open_orders"
    POSITION_MODE_POSITION = "position_mode_position"
    AMEND_NOT_LIMIT = "amend_not_limit"
    AMEND_NOTHING = "amend_nothing"
    LIQUIDATING = "liquidating"


class CoreRefusal(Exception):
    """The core will not do it. *detail* holds what the dialect's words need (a limit, a price)."""

    def __init__(self, why: Refused, **detail: object) -> None:
        super().__init__(why.value)
        self.why = why
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    symbol: Symbol
    side: Side
    kind: OrderKind
    quantity: Decimal
    price: Decimal | None = None
    tif: Tif = Tif.GTC
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    client_id: str = ""
    """Empty: the core makes one."""
    attached: tuple[AlgoRequest, ...] = ()
    """Stops and profits that are placed when the order has ended with fills (or with the first, where
    that is the way); without a quantity they are of its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoRequest:
    symbol: Symbol
    side: Side
    type: AlgoType
    trigger_price: Decimal | None
    quantity: Decimal = ZERO
    price: Decimal | None = None
    working: Working = Working.LAST
    close_position: bool = False
    reduce_only: bool = False
    price_protect: bool = False
    position_side: PositionSide = PositionSide.BOTH
    tif: Tif = Tif.GTC
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    """Per cent, 0.1 to 10."""
    callback_distance: Decimal | None = None
    """In quote; instead of a rate."""
    client_id: str = ""
    tied: bool = False
    """It ends with the position it closes, as a closePosition order does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoAmendment:
    """What a conditional order is to say from now on; None leaves it as it is."""

    trigger_price: Decimal | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    """0: market."""
    working: Working | None = None
    callback_rate: Decimal | None = None


@dataclass(slots=True, kw_only=True)
class SimOrder:
    """A regular order in the exchange's book."""

    order_id: int
    client_id: str
    account_id: str
    symbol: Symbol
    side: Side
    position_side: PositionSide
    kind: OrderKind
    tif: Tif
    price: Decimal
    """0 for market."""
    quantity: Decimal
    reduce_only: bool
    created_ms: int
    updated_ms: int
    status: Status = Status.NEW
    filled: Decimal = ZERO
    quote_filled: Decimal = ZERO
    expire_reason: ExpireReason = ExpireReason.NONE
    close_position: bool = False
    algo_id: int = 0
    """The algo order that spawned it; 0 for none."""
    algo_type: AlgoType | None = None
    stop_price: Decimal = ZERO
    liquidation: bool = False
    attached: tuple[AlgoRequest, ...] = field(default=(), repr=False)

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        return self.quote_filled / self.filled if self.filled else ZERO


@dataclass(slots=True, kw_only=True)
class SimAlgo:
    """A conditional order in the algo book."""

    algo_id: int
    client_id: str
    account_id: str
    symbol: Symbol
    side: Side
    position_side: PositionSide
    type: AlgoType
    tif: Tif
    quantity: Decimal
    price: Decimal
    trigger_price: Decimal
    working: Working
    close_position: bool
    reduce_only: bool
    price_protect: bool
    created_ms: int
    updated_ms: int
    activate_price: Decimal | None = None
    callback_rate: Decimal | None = None
    activated: bool = False
    extreme: Decimal = ZERO
    status: AlgoStatus = AlgoStatus.NEW
    triggered_ms: int = 0
    order_id: int = 0
    actual_price: Decimal = ZERO
    actual_quantity: Decimal = ZERO
    reject_reason: str = ""
    callback_distance: Decimal | None = field(default=None, repr=False)
    parent_id: int = field(default=0, repr=False)
    """The order it was attached to; 0 for none."""
    tied: bool = False


@dataclass(slots=True, kw_only=True)
class SimPosition:
    symbol: Symbol
    side: PositionSide
    quantity: Decimal = ZERO
    """Signed."""
    entry_price: Decimal = ZERO
    isolated_wallet: Decimal = ZERO
    realized: Decimal = ZERO
    """Accumulated realized PnL (quote), fees excluded."""
    updated_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimFill:
    trade_id: int
    order_id: int
    client_id: str
    account_id: str
    symbol: Symbol
    side: Side
    position_side: PositionSide
    price: Decimal
    quantity: Decimal
    fee: Decimal
    realized: Decimal
    maker: bool
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Income:
    """A change of the wallet: REALIZED_PNL, COMMISSION, FUNDING_FEE, TRANSFER, INSURANCE_CLEAR."""

    type: str
    symbol: Symbol | None
    amount: Decimal
    asset: str
    at_ms: int
    tran_id: int
    trade_id: str = ""
    info: str = ""


@dataclass(slots=True, kw_only=True)
class SimAccount:
    """One account. Its parts are changed by the core only."""

    account_id: str
    api_key: str
    secret: str
    wallet: Decimal
    position_mode: PositionMode = PositionMode.ONE_WAY
    multi_assets: bool = False
    can_trade: bool = True
    can_withdraw: bool = False
    leverage: dict[Symbol, int] = field(default_factory=dict)
    side_leverage: dict[tuple[Symbol, PositionSide], int] = field(default_factory=dict)
    """Of one side of hedge mode, where it differs from the symbol's."""
    margin_mode: dict[Symbol, MarginMode] = field(default_factory=dict)
    positions: dict[tuple[Symbol, PositionSide], SimPosition] = field(default_factory=dict)
    orders: dict[int, SimOrder] = field(default_factory=dict)
    algos: dict[int, SimAlgo] = field(default_factory=dict)
    fills: list[SimFill] = field(default_factory=list)
    incomes: list[Income] = field(default_factory=list)
    live_orders: tuple[int, ...] = ()
    """Ids in `orders` that are not final, oldest priority first (kept in views)."""
    live_algos: tuple[int, ...] = ()
    """Ids in `algos` that are not final (kept in views)."""


# --- what happens: told to listeners in the moment it happens ------------------------------------


class Execution(StrEnum):
    NEW = "new"
    TRADE = "trade"
    CANCELED = "canceled"
    EXPIRED = "expired"
    AMENDMENT = "amendment"
    LIQUIDATION = "liquidation"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """A regular order changed; *order* is a copy of that moment."""

    at_ms: int
    account_id: str
    order: SimOrder
    execution: Execution
    fill: SimFill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgoEvent:
    at_ms: int
    account_id: str
    algo: SimAlgo


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountEvent:
    """Wallet or positions changed. *reason*: ORDER, FUNDING_FEE, DEPOSIT, WITHDRAW, MARGIN_TYPE_CHANGE …"""

    at_ms: int
    account_id: str
    reason: str
    wallet: Decimal
    wallet_change: Decimal
    """Without PnL and fees (transfers only)."""
    positions: tuple[SimPosition, ...]
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigEvent:
    at_ms: int
    account_id: str
    symbol: Symbol | None
    leverage: int | None = None
    multi_assets: bool | None = None
    position_mode: PositionMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginCallEvent:
    at_ms: int
    account_id: str
    positions: tuple[SimPosition, ...]


class TradeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A print on the public tape."""

    at_ms: int
    symbol: Symbol
    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


class PriceEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The market moved: last, mark, index and best prices of a symbol."""

    at_ms: int
    symbol: Symbol
    last: Decimal
    mark: Decimal
    index: Decimal
    bid: Decimal
    ask: Decimal


CoreEvent = OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCallEvent | TradeEvent | PriceEvent
CoreListener = Callable[[CoreEvent], None]
