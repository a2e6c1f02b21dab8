"""Intents and questions as requests: endpoint, parameters, cost. Pure; nothing is sent here.

Parameters and paces: exchange sheet §3. Endpoints are ccxt's implicit methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.invariant import require
from holdfast.domain.numbers import plain
from holdfast.domain.orders import OrderType, PositionSide, Side, TimeInForce, TriggerSource
from holdfast.exchanges.limits import Costs, Limit, Scope
from holdfast.exchanges.names import Names

Params = dict[str, str]

MARKET, ACCOUNT = "market", "account"
PACES: Mapping[str, int] = {
    "swapV2PrivatePostTradeOrder": 5,
    "swapV2PrivateDeleteTradeOrder": 10,
    "swapV2PrivateGetTradeOrder": 30,
    "swapV2PrivateGetTradeOpenOrders": 5,
    "swapV1PrivateGetTradeFullOrder": 5,
    "swapV2PrivateGetTradeFillHistory": 5,
    "swapV2PrivateGetUserIncome": 5,
    "swapV2PrivateGetUserPositions": 5,
    "swapV3PrivateGetUserBalance": 5,
    "swapV2PrivateGetTradeLeverage": 5,
    "swapV2PrivatePostTradeLeverage": 4,
    "swapV2PrivateGetTradeMarginType": 2,
    "swapV2PrivatePostTradeMarginType": 2,
    "swapV1PrivateGetPositionSideDual": 2,
    "swapV1PrivateGetTradeAssetMode": 2,
    "userAuthPrivatePostUserDataStream": 2,
    "userAuthPrivatePutUserDataStream": 2,
}
"""What an account may ask of an endpoint in a second; of two figures of the sheet the lower one."""
SECOND_MS, TEN_SECONDS_MS = 1_000, 10_000
LEFT = "x-ratelimit-requests-remain"
LIMITS = (
    *(
        Limit(
            name=name,
            amount=amount,
            window_ms=TEN_SECONDS_MS,
            left_header=LEFT,
            left_above=max(PACES.values()),
        )
        for name, amount in ((MARKET, 500), (ACCOUNT, 1_000))
    ),
    *(
        Limit(name=endpoint, amount=amount, window_ms=SECOND_MS, scope=Scope.KEY)
        for endpoint, amount in PACES.items()
    ),
)
"""Exchange sheet §3: an address's two groups (its older text; unverified), and each endpoint's own for an
account.

What is left of a group a header tells. It does not say of which limit (unverified): a figure so small
that it may be an endpoint's is no word about the group. When a window begins nothing says: any ten
seconds count, any second.
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the exchange. *signed* ones get time and window when they are sent."""

    endpoint: str
    params: Mapping[str, str]
    signed: bool = True

    @property
    def costs(self) -> Costs:
        """What it uses of each of `LIMITS`."""
        if not self.signed:
            return {MARKET: 1}
        return {ACCOUNT: 1, self.endpoint: 1}


SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
POSITION_SIDES = {PositionSide.BOTH: "BOTH", PositionSide.LONG: "LONG", PositionSide.SHORT: "SHORT"}
TYPES = {OrderType.MARKET: "MARKET", OrderType.LIMIT: "LIMIT"}
TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "PostOnly",
}
TRIGGERS = {TriggerSource.MARK: "MARK_PRICE", TriggerSource.LAST: "CONTRACT_PRICE"}
MARGIN_MODES = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}
STOP_TYPE = "STOP_MARKET"


# --- requests that change something --------------------------------------------------------------


def submission(journaled: Journaled, names: Names) -> Request:
    """The one request that carries out a journaled intent."""
    return _BUILDERS[journaled.intent.purpose](journaled, names)


def _order(journaled: Journaled, names: Names) -> Request:
    intent = journaled.intent
    require(intent.quantity > 0, "an order has a quantity above 0")
    params = {
        **_head(journaled, names, TYPES[intent.type]),
        "quantity": plain(intent.quantity),
        **_limit_terms(intent),
        **_reduces(intent, only=intent.reduce_only or intent.purpose is Purpose.CLOSE),
    }
    return Request("swapV2PrivatePostTradeOrder", params)


def _head(journaled: Journaled, names: Names, type_: str) -> Params:
    """The exchange keeps client ids in lower case: another id would not be found under its own name."""
    intent, client_id = journaled.intent, journaled.client_id
    require(client_id == client_id.lower() and len(client_id) <= 40, "a client id in lower case, 40 at most")
    return {
        "symbol": names.wire(intent.symbol),
        "side": SIDES[intent.side],
        "positionSide": POSITION_SIDES[intent.position_side],
        "type": type_,
        "clientOrderID": client_id,
    }


def _limit_terms(intent: Intent) -> Params:
    if intent.type is not OrderType.LIMIT:
        return {}
    price = intent.price
    require(price is not None and price > 0, "a limit order has a price above 0")
    return {"price": plain(price or intent.quantity), "timeInForce": TIMES_IN_FORCE[intent.time_in_force]}


def _reduces(intent: Intent, *, only: bool) -> Params:
    """One-way only: in hedge mode the side says what is closed, and `reduceOnly` is refused (109400)."""
    return {"reduceOnly": "true"} if only and intent.position_side is PositionSide.BOTH else {}


def _stop(journaled: Journaled, names: Names) -> Request:
    """A client id is sent though the exchange promises to keep it for LIMIT and MARKET only."""
    intent = journaled.intent
    trigger = intent.trigger_price
    require(trigger is not None and trigger > 0, "a stop has a trigger price above 0")
    params = {
        **_head(journaled, names, STOP_TYPE),
        "stopPrice": plain(trigger or intent.quantity),
        "workingType": TRIGGERS[intent.trigger_source],
        **_stop_size(intent),
    }
    return Request("swapV2PrivatePostTradeOrder", params)


def _stop_size(intent: Intent) -> Params:
    """`closePosition` excludes quantity; a sized stop is not reduce-only unless it says so."""
    if intent.close_position or not intent.quantity:
        return {"closePosition": "true"}
    return {"quantity": plain(intent.quantity), **_reduces(intent, only=True)}


def _cancel(journaled: Journaled, names: Names) -> Request:
    """Orders and stops are in one book."""
    intent = journaled.intent
    require(bool(intent.target_id or intent.target_client_id), "a cancel names what it cancels")
    by_id = {"orderId": intent.target_id}
    target = by_id if intent.target_id else {"clientOrderID": intent.target_client_id}
    return Request("swapV2PrivateDeleteTradeOrder", {"symbol": names.wire(intent.symbol), **target})


_BUILDERS: Mapping[Purpose, Callable[[Journaled, Names], Request]] = {
    Purpose.ENTER: _order,
    Purpose.CLOSE: _order,
    Purpose.PLACE_STOP: _stop,
    Purpose.CANCEL_ORDER: _cancel,
    Purpose.CANCEL_STOP: _cancel,
}
require(set(_BUILDERS) == set(Purpose), "every purpose has a request")


def set_leverage(wire_id: str, leverage: int, side: PositionSide) -> Request:
    """One-way mode takes BOTH; hedge mode each side by itself."""
    params = {"symbol": wire_id, "side": POSITION_SIDES[side], "leverage": str(leverage)}
    return Request("swapV2PrivatePostTradeLeverage", params)


def set_margin_mode(wire_id: str, mode: MarginMode) -> Request:
    params = {"symbol": wire_id, "marginType": MARGIN_MODES[mode]}
    return Request("swapV2PrivatePostTradeMarginType", params)


# --- questions -----------------------------------------------------------------------------------

SERVER_TIME = Request("swapV2PublicGetServerTime", {}, signed=False)
CONTRACTS = Request("swapV2PublicGetQuoteContracts", {}, signed=False)
POSITIONS = Request("swapV2PrivateGetUserPositions", {})
BALANCE = Request("swapV3PrivateGetUserBalance", {})
POSITION_MODE = Request("swapV1PrivateGetPositionSideDual", {})
ASSET_MODE = Request("swapV1PrivateGetTradeAssetMode", {})
NEW_LISTEN_KEY = Request("userAuthPrivatePostUserDataStream", {})

FILLS_LIMIT = 100
FILLS_WINDOW_MS = 7 * 24 * 3600 * 1000
"""fillHistory answers for at most seven days per question."""
FILLS_HISTORY_MS = 90 * 24 * 3600 * 1000
"""What accounts did is kept for three months."""
INCOME_LIMIT = 1000
ORDERS_LIMIT = 1000
KLINES_LIMIT = 1440
MARKS_EACH_MAX = 3
"""More symbols are asked for in one question about the whole market."""


def keep_listen_key(key: str) -> Request:
    return Request("userAuthPrivatePutUserDataStream", {"listenKey": key})


def open_orders(wire_id: str | None) -> Request:
    """Orders and stops of every kind, in one list."""
    return Request("swapV2PrivateGetTradeOpenOrders", {"symbol": wire_id} if wire_id else {})


def find_order(wire_id: str, client_id: str, order_id: str = "") -> Request:
    """Never both ids, and never an empty one: what the exchange answers then is undefined."""
    which = {"orderId": order_id} if order_id else {"clientOrderId": client_id}
    return Request("swapV2PrivateGetTradeOrder", {"symbol": wire_id, **which})


def orders_since(wire_id: str, start_ms: int) -> Request:
    """Orders and stops, open and over, that were placed since *start_ms* (a week ago at most)."""
    params = {"symbol": wire_id, "startTime": str(start_ms), "limit": str(ORDERS_LIMIT)}
    return Request("swapV1PrivateGetTradeFullOrder", params)


def fills(wire_id: str, start_ms: int, end_ms: int, page: int) -> Request:
    params = {
        "symbol": wire_id,
        "startTs": str(start_ms),
        "endTs": str(end_ms),
        "pageIndex": str(page),
        "pageSize": str(FILLS_LIMIT),
    }
    return Request("swapV2PrivateGetTradeFillHistory", params)


def transfers(since_ms: int) -> Request:
    """Deposits and withdrawals; it knows three months, and says the newest first."""
    params = {"incomeType": "TRANSFER", "startTime": str(since_ms), "limit": str(INCOME_LIMIT)}
    return Request("swapV2PrivateGetUserIncome", params)


def leverage(wire_id: str) -> Request:
    return Request("swapV2PrivateGetTradeLeverage", {"symbol": wire_id})


def margin_mode(wire_id: str) -> Request:
    return Request("swapV2PrivateGetTradeMarginType", {"symbol": wire_id})


def candles(wire_id: str, timeframe: str, limit: int, end_ms: int | None) -> Request:
    params = {"symbol": wire_id, "interval": timeframe, "limit": str(limit)}
    if end_ms is not None:
        params["endTime"] = str(end_ms)
    return Request("swapV3PublicGetQuoteKlines", params, signed=False)


def marks(wire_ids: tuple[str, ...]) -> tuple[Request, ...]:
    return _each_or_all("swapV2PublicGetQuotePremiumIndex", wire_ids)


def quotes(wire_ids: tuple[str, ...]) -> tuple[Request, ...]:
    """Best bid and ask out of the ticker: the book ticker answers for one symbol only."""
    return _each_or_all("swapV2PublicGetQuoteTicker", wire_ids)


def _each_or_all(endpoint: str, wire_ids: tuple[str, ...]) -> tuple[Request, ...]:
    if len(wire_ids) > MARKS_EACH_MAX:
        return (Request(endpoint, {}, signed=False),)
    return tuple(Request(endpoint, {"symbol": wire_id}, signed=False) for wire_id in wire_ids)
