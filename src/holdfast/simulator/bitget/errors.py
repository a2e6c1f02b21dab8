"""How Bitget says no: codes (strings on the wire), HTTP statuses and words (bitget.md §2, §4, §6).

The core refuses in words of its own (`Refused`); `REFUSALS` gives each the exchange's. What the
dialect itself refuses is made by the functions below.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.invariant import require
from holdfast.domain.numbers import plain
from holdfast.simulator.core.model import CoreRefusal, Refused
from holdfast.simulator.wire.errors import WireError, worded

_UNILATERAL = "The order type for unilateral position must also be the unilateral position type."
_NO_POSITION = "Insufficient position, can not set profit or stop loss"

# `{limit}` and the like are filled from the refusal's detail.
REFUSALS: Mapping[Refused, tuple[int, str]] = {
    Refused.UNKNOWN_SYMBOL: (40034, "Parameter {symbol} does not exist"),
    Refused.SYMBOL_CLOSED: (40309, "The contract has been removed"),
    Refused.PRECISION: (
        40808,
        "Parameter verification exception {field} checkBDScale error checkScale={scale}",
    ),
    Refused.TICK: (45115, "The price you enter should be a multiple of {tick}"),
    Refused.STEP: (40808, "Parameter verification exception size should be a multiple of {step}"),
    Refused.QUANTITY_NOT_POSITIVE: (40020, "Parameter size error"),
    Refused.QUANTITY_MIN: (45111, "less than the minimum order quantity"),
    Refused.QUANTITY_MAX: (45112, "more than the maximum order quantity"),
    Refused.PRICE_NOT_POSITIVE: (43011, "The parameter does not meet the specification price <= 0"),
    Refused.PRICE_MIN: (43008, "The current order price cannot be less than {limit}"),
    Refused.PRICE_MAX: (43009, "The current order price exceeds the limit {limit}"),
    Refused.PRICE_TOO_HIGH: (43009, "The current order price exceeds the limit {limit}"),
    Refused.PRICE_TOO_LOW: (43008, "The current order price cannot be less than {limit}"),
    Refused.NOTIONAL_MIN: (45110, "less than the minimum amount {limit} USDT"),
    Refused.POSITION_SIDE: (40774, _UNILATERAL),
    Refused.REDUCE_ONLY_IN_HEDGE: (40774, _UNILATERAL),
    Refused.DUPLICATE_CLIENT_ID: (40786, "Duplicate clientOid"),
    Refused.REDUCE_ONLY: (22002, "No position to close"),
    Refused.REDUCE_ONLY_CONFLICT: (40757, "Not enough position is available."),
    Refused.BRACKET: (40762, "The order size is greater than the max open size"),
    Refused.MARGIN: (40762, "The order amount exceeds the balance"),
    Refused.MAX_ORDERS: (43005, "Exceed the maximum number of orders"),
    Refused.MAX_ALGO_ORDERS: (
        40889,
        "The number of plan orders of this contract has reached the upper limit",
    ),
    Refused.NO_COUNTERPARTY: (43002, "Pending order failed"),
    Refused.FOK_UNFILLABLE: (43002, "Pending order failed"),
    Refused.POST_ONLY_WOULD_TAKE: (43002, "Pending order failed"),
    Refused.WOULD_TRIGGER: (43034, "The trigger price should be on the other side of the current price"),
    Refused.CLOSE_STOP_EXISTS: (43031, "The stop loss price of the position already exists"),
    Refused.CLOSE_STOP_NO_POSITION: (43023, _NO_POSITION),
    Refused.CLOSE_STOP_WRONG_SIDE: (43023, _NO_POSITION),
    Refused.CLOSE_STOP_WITH_QUANTITY: (40020, "Parameter size error"),
    Refused.CLOSE_STOP_WITH_REDUCE_ONLY: (40020, "Parameter reduceOnly error"),
    Refused.UNKNOWN_ORDER: (40768, "Order does not exist"),
    Refused.LEVERAGE_INVALID: (40797, "Exceeded the maximum settable leverage"),
    Refused.LEVERAGE_ISOLATED_DOWN: (40893, "The margin is not enough to adjust the leverage"),
    Refused.MARGIN_MODE_SAME: (45054, "The margin mode is not changed"),
    Refused.MARGIN_MODE_OPEN_ORDERS: (
        45117,
        "Currently holding positions or orders, the margin mode cannot be adjusted",
    ),
    Refused.MARGIN_MODE_POSITION: (
        45117,
        "Currently holding positions or orders, the margin mode cannot be adjusted",
    ),
    Refused.POSITION_MODE_SAME: (45054, "The position mode is not changed"),
    Refused.POSITION_MODE_OPEN_ORDERS: (
        40920,
        "Position or order exists, the position mode cannot be switched",
    ),
    Refused.POSITION_MODE_POSITION: (40920, "Position or order exists, the position mode cannot be switched"),
    Refused.AMEND_NOT_LIMIT: (40020, "Parameter newPrice error"),
    Refused.AMEND_NOTHING: (40923, "Order size and price have not changed"),
    Refused.LIQUIDATING: (40725, "service return an error"),
}
require(set(REFUSALS) == set(Refused), "every refusal of the core has its code")

_FIELDS = {"quantity": "size", "callback_rate": "callbackRatio"}


def refused(refusal: CoreRefusal) -> WireError:
    """The exchange's error for what the core refused."""
    field = str(refusal.detail.get("field", ""))
    detail = refusal.detail | {"field": _FIELDS.get(field, field)}
    return worded(REFUSALS, CoreRefusal(refusal.why, **detail))


# --- parameters ------------------------------------------------------------------------------------


def missing(name: str) -> WireError:
    return WireError(40019, f"Parameter {name} cannot be empty")


def wrong(name: str) -> WireError:
    return WireError(40020, f"Parameter {name} error")


def not_verified(msg: str = "Parameter verification failed") -> WireError:
    return WireError(400172, msg)


def no_such_symbol(text: str) -> WireError:
    return WireError(40034, f"Parameter {text} does not exist")


def condition(name: str) -> WireError:
    return WireError(40812, f"The condition {name} is not met")


def bad_client_id() -> WireError:
    return WireError(40305, "client_oid length is not greater than 64, and cannot be Martian characters")


def unilateral() -> WireError:
    return WireError(40774, _UNILATERAL)


# --- settings ---------------------------------------------------------------------------------------


def orders_exist() -> WireError:
    return WireError(40730, "The leverage cannot be adjusted while there are open orders")


def leverage_unchanged() -> WireError:
    return WireError(40814, "No change in leverage")


def leverage_margin() -> WireError:
    return WireError(*REFUSALS[Refused.LEVERAGE_ISOLATED_DOWN])


def not_isolated() -> WireError:
    return WireError(40804, "Margin can only be adjusted in isolated margin mode")


# --- orders and positions --------------------------------------------------------------------------


def no_position_for_tpsl() -> WireError:
    return WireError(43023, _NO_POSITION)


def no_position() -> WireError:
    return WireError(*REFUSALS[Refused.REDUCE_ONLY])


def not_enough_position() -> WireError:
    return WireError(*REFUSALS[Refused.REDUCE_ONLY_CONFLICT])


def too_small() -> WireError:
    return WireError(45110, "less than the minimum amount 5 USDT")


def duplicate_client_id() -> WireError:
    return WireError(*REFUSALS[Refused.DUPLICATE_CLIENT_ID])


def no_such_order() -> WireError:
    return WireError(40109, "The data of the order cannot be found, please confirm the order number")


def no_open_order() -> WireError:
    return WireError(*REFUSALS[Refused.UNKNOWN_ORDER])


def finalized() -> WireError:
    return WireError(45056, "The order has been finalized and cannot be cancelled")


def nothing_to_cancel() -> WireError:
    return WireError(22001, "No order to cancel")


def no_such_plan() -> WireError:
    return WireError(43025, "Plan order does not exist")


def cancelled_already() -> WireError:
    return WireError(45129, "This order has been cancelled within the last second, do not cancel it again")


_WRONG_SIDES = {
    (True, True): (40917, "Stop price for long positions please < mark price {price}"),
    (True, False): (45122, "Short position stop loss price please > mark price {price}"),
    (False, True): (40915, "Long position take profit price please > mark price {price}"),
    (False, False): (40832, "Short position take profit price please < mark price {price}"),
}


def wrong_side(*, loss: bool, long: bool, price: Decimal) -> WireError:
    """A stop or profit on the side of the price where it would trigger at once."""
    code, words = _WRONG_SIDES[loss, long]
    return WireError(code, words.format(price=plain(price)))


def tpsl_exists(*, loss: bool) -> WireError:
    kind = "loss" if loss else "profit"
    return WireError(43031 if loss else 43030, f"The stop {kind} order of the position already exists")


def execute_price() -> WireError:
    return WireError(43011, "The parameter does not meet the specification executePrice <= 0")


def reduce_only_plan() -> WireError:
    return WireError(22042, "When a one-way position is held, the trigger order cannot only reduce positions")


# --- who asks --------------------------------------------------------------------------------------


def no_header(name: str) -> WireError:
    codes = {"ACCESS-KEY": 40001, "ACCESS-SIGN": 40002, "ACCESS-TIMESTAMP": 40003}
    return WireError(codes.get(name, 40011), f"{name.replace('-', '_')} cannot be empty")


def bad_timestamp() -> WireError:
    return WireError(40005, "Invalid ACCESS_TIMESTAMP")


def invalid_key() -> WireError:
    return WireError(40006, "Invalid ACCESS_KEY")


def expired() -> WireError:
    return WireError(40008, "Request timestamp expired")


def bad_signature() -> WireError:
    return WireError(40009, "sign signature error")


def wrong_passphrase(code: int) -> WireError:
    return WireError(code, "passphrase is error" if code == 40036 else "apikey/password is incorrect")


def no_trading() -> WireError:
    return WireError(40014, "Incorrect permissions, need mix order write permissions")


def unknown_key() -> WireError:
    return WireError(40037, "Apikey does not exist")


def classic_account() -> WireError:
    return WireError(
        40084,
        "You are in Classic Account mode, and the Unified Account API is not supported at this time",
    )


def no_such_path() -> WireError:
    return WireError(40404, "Request URL NOT FOUND", status=404)


def too_many_requests() -> WireError:
    return WireError(429, "Too Many Requests", status=429)
