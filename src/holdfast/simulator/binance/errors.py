"""How Binance says no: codes, HTTP statuses and exact words (exchange sheet §2, §6).

The core refuses in words of its own (`Refused`); `REFUSALS` gives each the exchange's. What the
dialect itself refuses (a missing parameter, a bad signature) is made by the functions below.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.domain.invariant import require
from holdfast.simulator.core.model import CoreRefusal, Refused
from holdfast.simulator.wire.errors import WireError, worded

# `{limit}` and the like are filled from the refusal's detail.
REFUSALS: Mapping[Refused, tuple[int, str]] = {
    Refused.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    Refused.SYMBOL_CLOSED: (-4141, "Symbol is closed."),
    Refused.PRECISION: (-1111, "Precision is over the maximum defined for this asset."),
    Refused.TICK: (-4014, "Price not increased by tick size."),
    Refused.STEP: (-4023, "Quantity not increased by step size."),
    Refused.QUANTITY_NOT_POSITIVE: (-4003, "Quantity less than or equal to zero."),
    Refused.QUANTITY_MIN: (-4004, "Quantity less than min quantity."),
    Refused.QUANTITY_MAX: (-4005, "Quantity greater than max quantity."),
    Refused.PRICE_NOT_POSITIVE: (-4001, "Price less than 0."),
    Refused.PRICE_MIN: (-4013, "Price less than min price."),
    Refused.PRICE_MAX: (-4002, "Price greater than max price."),
    Refused.PRICE_TOO_HIGH: (-4016, "Limit price can't be higher than {limit}."),
    Refused.PRICE_TOO_LOW: (-4024, "Limit price can't be lower than {limit}."),
    Refused.NOTIONAL_MIN: (
        -4164,
        "Order's notional must be no smaller than {limit} (unless you choose reduce only).",
    ),
    Refused.POSITION_SIDE: (-4061, "Order's position side does not match user's setting."),
    Refused.REDUCE_ONLY_IN_HEDGE: (-1106, "Parameter 'reduceonly' sent when not required."),
    Refused.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    Refused.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Refused.REDUCE_ONLY_CONFLICT: (
        -4118,
        "ReduceOnly Order Failed. Please check your existing position and open orders",
    ),
    Refused.BRACKET: (-2027, "Exceeded the maximum allowable position at current leverage."),
    Refused.MARGIN: (-2019, "Margin is insufficient."),
    Refused.MAX_ORDERS: (-2025, "Reach max open order limit."),
    Refused.MAX_ALGO_ORDERS: (-4045, "Reach max stop order limit."),
    Refused.NO_COUNTERPARTY: (
        -4131,
        "The counterparty's best price does not meet the PERCENT_PRICE filter limit.",
    ),
    Refused.FOK_UNFILLABLE: (
        -5021,
        (
            "Due to the order could not be filled immediately, the FOK order has been rejected. "
            "The order will not be recorded in the order history"
        ),
    ),
    Refused.POST_ONLY_WOULD_TAKE: (
        -5022,
        (
            "Due to the order could not be executed as maker, the Post Only order will be rejected. "
            "The order will not be recorded in the order history"
        ),
    ),
    Refused.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
    Refused.CLOSE_STOP_EXISTS: (
        -4130,
        "An open stop or take profit order with GTE and closePosition in the direction is existing.",
    ),
    Refused.CLOSE_STOP_NO_POSITION: (
        -4509,
        (
            "Time in Force (TIF) GTE can only be used with open positions. "
            "Please ensure that positions are available."
        ),
    ),
    Refused.CLOSE_STOP_WRONG_SIDE: (-4136, "Target strategy invalid for orderType {type},closePosition true"),
    Refused.CLOSE_STOP_WITH_QUANTITY: (-4137, "Quantity must be zero with closePosition equals true"),
    Refused.CLOSE_STOP_WITH_REDUCE_ONLY: (-1106, "Parameter 'reduceonly' sent when not required."),
    Refused.UNKNOWN_ORDER: (-2011, "Unknown order sent."),
    Refused.LEVERAGE_INVALID: (-4028, "Leverage {leverage} is not valid"),
    Refused.LEVERAGE_ISOLATED_DOWN: (
        -4161,
        "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
    ),
    Refused.MARGIN_MODE_SAME: (-4046, "No need to change margin type."),
    Refused.MARGIN_MODE_OPEN_ORDERS: (
        -4047,
        "Margin type cannot be changed if there exists open orders.",
    ),
    Refused.MARGIN_MODE_POSITION: (-4048, "Margin type cannot be changed if there exists position."),
    Refused.POSITION_MODE_SAME: (-4059, "No need to change position side."),
    Refused.POSITION_MODE_OPEN_ORDERS: (
        -4067,
        "Position side cannot be changed if there exists open orders.",
    ),
    Refused.POSITION_MODE_POSITION: (-4068, "Position side cannot be changed if there exists position."),
    Refused.AMEND_NOT_LIMIT: (-5025, "Only limit order is supported"),
    Refused.AMEND_NOTHING: (-5027, "No need to modify the order."),
    Refused.LIQUIDATING: (-2023, "User in liquidation mode now."),
}
require(set(REFUSALS) == set(Refused), "every refusal of the core has its code")


def refused(refusal: CoreRefusal) -> WireError:
    """The exchange's error for what the core refused."""
    return worded(REFUSALS, refusal)


def missing(name: str) -> WireError:
    return WireError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def either(first: str, second: str) -> WireError:
    return WireError(
        -1102,
        f"Param '{first}' or '{second}' must be sent, but both were empty/null!",
    )


def illegal(name: str, legal: str) -> WireError:
    return WireError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def not_required(name: str) -> WireError:
    return WireError(-1106, f"Parameter '{name}' sent when not required.")


def not_valid(name: str) -> WireError:
    return WireError(-1130, f"Data sent for parameter '{name}' is not valid.")


def no_such_order() -> WireError:
    return WireError(-2013, "Order does not exist.")


def unknown_order() -> WireError:
    return WireError(*REFUSALS[Refused.UNKNOWN_ORDER])


def no_such_path(path: str, method: str) -> WireError:
    return WireError(-5000, f"Path {path}, Method {method} is invalid", status=404)


def unknown_key(address: str) -> WireError:
    return WireError(
        -2015,
        f"Invalid API-key, IP, or permissions for action, request ip: {address}",
        status=401,
    )


def malformed_key() -> WireError:
    return WireError(-2014, "API-key format invalid.", status=401)


def bad_signature() -> WireError:
    return WireError(-1022, "Signature for this request is not valid.")


def too_late() -> WireError:
    return WireError(-1021, "Timestamp for this request is outside of the recvWindow.")


def too_early() -> WireError:
    return WireError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")


def no_listen_key() -> WireError:
    return WireError(-1125, "This listenKey does not exist.")
