"""How BingX says no: HTTP 200 with a code (exchange sheet §2, §6)."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.domain.invariant import require
from holdfast.simulator.core.model import CoreRefusal, Refused
from holdfast.simulator.wire.errors import WireError, worded

OK = 200
RATE_LIMITED = 100410


def error(code: int, msg: str) -> WireError:
    return WireError(code, msg, OK)


# `{limit}` and the like are filled from the refusal's detail.
REFUSALS: Mapping[Refused, tuple[int, str]] = {
    Refused.UNKNOWN_SYMBOL: (109425, "symbol not exist"),
    Refused.SYMBOL_CLOSED: (101415, "This trading pair is suspended from opening new position"),
    Refused.PRECISION: (109400, "Invalid parameters, err:{field}: too many decimals."),
    Refused.TICK: (109400, "Invalid parameters, err:price: not a multiple of {tick}."),
    Refused.STEP: (109400, "Invalid parameters, err:quantity: not a multiple of {step}."),
    Refused.QUANTITY_NOT_POSITIVE: (109400, "Invalid parameters, err:quantity: must be greater than 0."),
    Refused.QUANTITY_MIN: (110422, "The minimum order amount is {limit}."),
    Refused.QUANTITY_MAX: (101209, "The maximum position value for this leverage is exceeded: {limit}"),
    Refused.PRICE_NOT_POSITIVE: (109400, "Invalid parameters, err:price: must be greater than 0."),
    Refused.PRICE_MIN: (110402, "The order price should be higher than {limit}"),
    Refused.PRICE_MAX: (110402, "The order price should be lower than {limit}"),
    Refused.PRICE_TOO_HIGH: (101211, "The order price should be lower than {limit}"),
    Refused.PRICE_TOO_LOW: (101211, "The order price should be higher than {limit}"),
    Refused.NOTIONAL_MIN: (101400, "The minimum order amount is {limit} USDT"),
    Refused.POSITION_SIDE: (109400, "Invalid parameters, err:positionSide"),
    Refused.REDUCE_ONLY_IN_HEDGE: (
        109400,
        "In the Hedge mode, the 'ReduceOnly' field can not be filled.",
    ),
    Refused.DUPLICATE_CLIENT_ID: (101481, "clientOrderID cannot be repeated"),
    Refused.REDUCE_ONLY: (101290, "Reduce Only order can only decrease position"),
    Refused.REDUCE_ONLY_CONFLICT: (
        110424,
        "The order size must be less than the available amount of {available}",
    ),
    Refused.BRACKET: (101209, "The maximum position value for this leverage is {limit} USDT"),
    Refused.MARGIN: (101204, "Insufficient margin"),
    Refused.MAX_ORDERS: (101419, "The number of pending orders has reached the limit of {limit}"),
    Refused.MAX_ALGO_ORDERS: (110206, "The number of TP/SL orders has reached the limit of {limit}"),
    Refused.NO_COUNTERPARTY: (101211, "The order price is outside of the band, limit {limit}"),
    Refused.FOK_UNFILLABLE: (101400, "The FOK order could not be filled completely"),
    Refused.POST_ONLY_WOULD_TAKE: (101215, "The maker (Post Only) order would be filled immediately"),
    Refused.WOULD_TRIGGER: (109400, "Invalid parameters, err:stopPrice: equals the current price."),
    Refused.CLOSE_STOP_EXISTS: (110406, "A stop loss order for the entire position already exists"),
    Refused.CLOSE_STOP_NO_POSITION: (109420, "position not exist"),
    Refused.CLOSE_STOP_WRONG_SIDE: (109420, "position not exist"),
    Refused.CLOSE_STOP_WITH_QUANTITY: (
        109400,
        "Invalid parameters, err:quantity: not accepted with closePosition.",
    ),
    Refused.CLOSE_STOP_WITH_REDUCE_ONLY: (
        109400,
        "Invalid parameters, err:reduceOnly: not accepted with closePosition.",
    ),
    Refused.UNKNOWN_ORDER: (109421, "order not exist"),
    Refused.LEVERAGE_INVALID: (101414, "The maximum leverage is exceeded: {leverage}"),
    Refused.LEVERAGE_ISOLATED_DOWN: (101222, "The leverage cannot be lowered: margin is insufficient"),
    Refused.MARGIN_MODE_SAME: (0, ""),
    Refused.MARGIN_MODE_OPEN_ORDERS: (
        109400,
        "There are open orders: the margin mode cannot be switched.",
    ),
    Refused.MARGIN_MODE_POSITION: (109400, "There are positions: the margin mode cannot be switched."),
    Refused.POSITION_MODE_SAME: (0, ""),
    Refused.POSITION_MODE_OPEN_ORDERS: (
        104103,
        "The position mode cannot be switched while there are positions or orders",
    ),
    Refused.POSITION_MODE_POSITION: (
        104103,
        "The position mode cannot be switched while there are positions or orders",
    ),
    Refused.AMEND_NOT_LIMIT: (109400, "Only limit orders can be amended."),
    Refused.AMEND_NOTHING: (109400, "The quantity is the same."),
    Refused.LIQUIDATING: (109403, "The account is in risk control"),
}
require(set(REFUSALS) == set(Refused), "every refusal of the core has its code")


OLD_CODES: Mapping[int, int] = {
    101204: 80012,
    101419: 80013,
    109400: 80014,
    109414: 80014,
    109421: 80016,
    109420: 80017,
    109403: 80020,
    101400: 80001,
    110422: 80001,
}
"""What a code was called before October 2025."""


def refused(refusal: CoreRefusal) -> WireError:
    """The exchange's error for what the core refused."""
    if refusal.why is Refused.REDUCE_ONLY and not refusal.detail.get("held"):
        return error(101205, "No position to close")
    return worded(REFUSALS, refusal, OK)


def invalid(what: str) -> WireError:
    return error(109400, f"Invalid parameters, err:{what}")


def missing(name: str) -> WireError:
    return invalid(f"{name}: This field is required.")


def needs_side() -> WireError:
    return error(109400, "In the Hedge mode, the 'PositionSide' field can only be set to LONG or SHORT.")


def needs_both() -> WireError:
    return error(109400, "In the One-way mode, the 'PositionSide' field can only be set to BOTH.")


def no_position() -> WireError:
    return error(109420, "position not exist")


def no_order() -> WireError:
    return error(109421, "order not exist")


def not_available(available: str) -> WireError:
    return error(110424, f"The order size must be less than the available amount of {available}")


def settling() -> WireError:
    return error(101214, "The funding fee is being settled, please retry in a few seconds")


def same_request() -> WireError:
    return error(109201, "The same order number is only allowed to be submitted once within 1 second")


# (stop loss?, of a long position?): the price has already passed it
PASSED: Mapping[tuple[bool, bool], tuple[int, str]] = {
    (True, True): (110411, "The Stop Loss price of a long should be lower than the current price"),
    (True, False): (110412, "The Stop Loss price of a short should be higher than the current price"),
    (False, True): (110413, "The Take Profit price of a long should be higher than the current price"),
    (False, False): (110414, "The Take Profit price of a short should be lower than the current price"),
}


def passed(stop_loss: bool, long: bool) -> WireError:
    return error(*PASSED[stop_loss, long])


# --- the gateway -----------------------------------------------------------------------------------


def bad_signature() -> WireError:
    return error(100001, "Signature verification failed")


def no_signature() -> WireError:
    return error(100412, "Null signature")


def bad_key() -> WireError:
    return error(100413, "Incorrect apiKey")


def no_permission() -> WireError:
    return error(100004, "Permission denied as the API key was created without the permission")


def bad_time() -> WireError:
    return error(100421, "Null timestamp or timestamp mismatch")


def no_such_path(path: str) -> WireError:
    return error(100400, f"this api is not exist, path: {path}")


def rate_limited() -> WireError:
    return error(RATE_LIMITED, "rate limited")


def told_to_pause(until_ms: int) -> WireError:
    return error(109429, f"too many invalid requests, can retry after time: {until_ms}")
