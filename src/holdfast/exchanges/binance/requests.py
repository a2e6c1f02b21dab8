"""Intents and questions as requests: endpoint, parameters, weight. Pure; nothing is sent here.

Weights and parameters: exchange sheet §3. Endpoints are ccxt's implicit methods.
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


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the exchange. *signed* ones get time and window when they are sent.

    *orders*: how many orders it counts as; the address's weight of an order is 0.
    """

    endpoint: str
    params: Mapping[str, str]
    weight: int
    signed: bool = True
    orders: int = 0

    @property
    def costs(self) -> Costs:
        """What it uses of each of `LIMITS`."""
        orders = {ORDERS_10S: self.orders, ORDERS_1M: self.orders} if self.orders else {}
        return {WEIGHT: self.weight, **orders}


WEIGHT, ORDERS_10S, ORDERS_1M = "weight", "orders_10s", "orders_1m"
LIMITS = (
    Limit(name=WEIGHT, amount=2_400, window_ms=60_000, header="x-mbx-used-weight-1m"),
    Limit(name=ORDERS_10S, amount=300, window_ms=10_000, scope=Scope.KEY, header="x-mbx-order-count-10s"),
    Limit(name=ORDERS_1M, amount=1_200, window_ms=60_000, scope=Scope.KEY, header="x-mbx-order-count-1m"),
)
"""Exchange sheet §3: weight for all keys of an address, orders for each account."""


SIDES = {Side.BUY: "BUY", Side.SELL: "SELL"}
POSITION_SIDES = {PositionSide.LONG: "LONG", PositionSide.SHORT: "SHORT"}
TYPES = {OrderType.MARKET: "MARKET", OrderType.LIMIT: "LIMIT"}
TIMES_IN_FORCE = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTX",
}
TRIGGERS = {TriggerSource.MARK: "MARK_PRICE", TriggerSource.LAST: "CONTRACT_PRICE"}
MARGIN_MODES = {MarginMode.CROSS: "CROSSED", MarginMode.ISOLATED: "ISOLATED"}


# --- requests that change something --------------------------------------------------------------


def submission(journaled: Journaled, names: Names) -> Request:
    """The one request that carries out a journaled intent."""
    return _BUILDERS[journaled.intent.purpose](journaled, names)


def _order(journaled: Journaled, names: Names) -> Request:
    intent = journaled.intent
    require(intent.quantity > 0, "an order has a quantity above 0")
    params = {
        "symbol": names.wire(intent.symbol),
        "side": SIDES[intent.side],
        "type": TYPES[intent.type],
        "quantity": plain(intent.quantity),
        "newClientOrderId": journaled.client_id,
        "newOrderRespType": "RESULT",  # an ACK says NEW even when the order filled at once
        **_limit_terms(intent),
        **_which_position(intent, reduces=intent.reduce_only or intent.purpose is Purpose.CLOSE),
    }
    return Request("fapiPrivatePostOrder", params, 0, orders=1)


def _limit_terms(intent: Intent) -> Params:
    if intent.type is not OrderType.LIMIT:
        return {}
    price = intent.price
    require(price is not None and price > 0, "a limit order has a price above 0")
    return {"price": plain(price or intent.quantity), "timeInForce": TIMES_IN_FORCE[intent.time_in_force]}


def _which_position(intent: Intent, *, reduces: bool) -> Params:
    """One-way: `reduceOnly`. Hedge: the side says what is closed, and `reduceOnly` is refused there."""
    if intent.position_side is not PositionSide.BOTH:
        return {"positionSide": POSITION_SIDES[intent.position_side]}
    return {"reduceOnly": "true"} if reduces else {}


def _stop(journaled: Journaled, names: Names) -> Request:
    intent = journaled.intent
    trigger = intent.trigger_price
    require(trigger is not None and trigger > 0, "a stop has a trigger price above 0")
    params = {
        "algoType": "CONDITIONAL",
        "symbol": names.wire(intent.symbol),
        "side": SIDES[intent.side],
        "type": "STOP_MARKET",
        "triggerPrice": plain(trigger or intent.quantity),
        "workingType": TRIGGERS[intent.trigger_source],
        "clientAlgoId": journaled.client_id,
        **_stop_size(intent),
    }
    return Request("fapiPrivatePostAlgoOrder", params, 0, orders=1)


def _stop_size(intent: Intent) -> Params:
    """`closePosition` excludes both quantity and `reduceOnly` (-4137, -4138)."""
    if intent.close_position or not intent.quantity:
        return {"closePosition": "true", **_which_position(intent, reduces=False)}
    return {"quantity": plain(intent.quantity), **_which_position(intent, reduces=True)}


def _cancel_order(journaled: Journaled, names: Names) -> Request:
    intent = journaled.intent
    target = _target(intent, by_id="orderId", by_client_id="origClientOrderId")
    return Request("fapiPrivateDeleteOrder", {"symbol": names.wire(intent.symbol), **target}, 1)


def _cancel_stop(journaled: Journaled, names: Names) -> Request:
    target = _target(journaled.intent, by_id="algoId", by_client_id="clientAlgoId")
    return Request("fapiPrivateDeleteAlgoOrder", target, 1)


def _target(intent: Intent, *, by_id: str, by_client_id: str) -> Params:
    require(bool(intent.target_id or intent.target_client_id), "a cancel names what it cancels")
    if intent.target_id:
        return {by_id: intent.target_id}
    return {by_client_id: intent.target_client_id}


_BUILDERS: Mapping[Purpose, Callable[[Journaled, Names], Request]] = {
    Purpose.ENTER: _order,
    Purpose.CLOSE: _order,
    Purpose.PLACE_STOP: _stop,
    Purpose.CANCEL_ORDER: _cancel_order,
    Purpose.CANCEL_STOP: _cancel_stop,
}
require(set(_BUILDERS) == set(Purpose), "every purpose has a request")


def set_leverage(wire_id: str, leverage: int) -> Request:
    return Request("fapiPrivatePostLeverage", {"symbol": wire_id, "leverage": str(leverage)}, 1)


def set_margin_mode(wire_id: str, mode: MarginMode) -> Request:
    return Request("fapiPrivatePostMarginType", {"symbol": wire_id, "marginType": MARGIN_MODES[mode]}, 1)


# --- questions -----------------------------------------------------------------------------------

SERVER_TIME = Request("fapiPublicGetTime", {}, 1, signed=False)
EXCHANGE_INFO = Request("fapiPublicGetExchangeInfo", {}, 1, signed=False)
BRACKETS = Request("fapiPrivateGetLeverageBracket", {}, 1)
POSITIONS = Request("fapiPrivateV3GetPositionRisk", {}, 5)
ACCOUNT = Request("fapiPrivateV3GetAccount", {}, 5)
ACCOUNT_CONFIG = Request("fapiPrivateGetAccountConfig", {}, 5)
SYMBOL_CONFIG = Request("fapiPrivateGetSymbolConfig", {}, 5)
NEW_LISTEN_KEY = Request("fapiPrivatePostListenKey", {}, 1, signed=False)
KEEP_LISTEN_KEY = Request("fapiPrivatePutListenKey", {}, 1, signed=False)

FILLS_LIMIT = 1000
FILLS_WINDOW_MS = 7 * 24 * 3600 * 1000
"""userTrades answers for at most seven days per question."""
FILLS_HISTORY_MS = 90 * 24 * 3600 * 1000
"""userTrades knows three months."""
INCOME_LIMIT = 1000
KLINES_LIMIT = 1500
_ALL_MARKS_WEIGHT = 10
_QUOTE_WEIGHT, _ALL_QUOTES_WEIGHT = 2, 5


def open_orders(wire_id: str | None) -> Request:
    """Dear without a symbol: weight 40."""
    return _of_one_or_all("fapiPrivateGetOpenOrders", wire_id)


def open_stops(wire_id: str | None) -> Request:
    """The algo book; dear without a symbol: weight 40."""
    return _of_one_or_all("fapiPrivateGetOpenAlgoOrders", wire_id)


def _of_one_or_all(endpoint: str, wire_id: str | None) -> Request:
    return Request(endpoint, {"symbol": wire_id}, 1) if wire_id else Request(endpoint, {}, 40)


def find_order(wire_id: str, client_id: str, order_id: str = "") -> Request:
    which = {"orderId": order_id} if order_id else {"origClientOrderId": client_id}
    return Request("fapiPrivateGetOrder", {"symbol": wire_id, **which}, 1)


def find_stop(client_id: str) -> Request:
    return Request("fapiPrivateGetAlgoOrder", {"clientAlgoId": client_id}, 1)


def fills(wire_id: str, **where: int) -> Request:
    """*where*: startTime and endTime, or fromId (the exchange refuses both together)."""
    params = {
        "symbol": wire_id,
        "limit": str(FILLS_LIMIT),
        **{key: str(value) for key, value in where.items()},
    }
    return Request("fapiPrivateGetUserTrades", params, 5)


def transfers(since_ms: int) -> Request:
    """Deposits and withdrawals; it knows three months, and says the oldest first."""
    params = {"incomeType": "TRANSFER", "startTime": str(since_ms), "limit": str(INCOME_LIMIT)}
    return Request("fapiPrivateGetIncome", params, 30)


def candles(wire_id: str, timeframe: str, limit: int, end_ms: int | None) -> Request:
    params = {"symbol": wire_id, "interval": timeframe, "limit": str(limit)}
    if end_ms is not None:
        params["endTime"] = str(end_ms)
    return Request("fapiPublicGetKlines", params, _klines_weight(limit), signed=False)


def _klines_weight(limit: int) -> int:
    return next((weight for below, weight in ((100, 1), (500, 2), (1001, 5)) if limit < below), 10)


def marks(wire_ids: tuple[str, ...]) -> tuple[Request, ...]:
    """One question each, or one for the whole market where that is cheaper."""
    if len(wire_ids) > _ALL_MARKS_WEIGHT:
        return (Request("fapiPublicGetPremiumIndex", {}, _ALL_MARKS_WEIGHT, signed=False),)
    return tuple(
        Request("fapiPublicGetPremiumIndex", {"symbol": wire_id}, 1, signed=False) for wire_id in wire_ids
    )


def quotes(wire_ids: tuple[str, ...]) -> tuple[Request, ...]:
    """Best bid and ask: one question each, or one for the whole market where that is cheaper."""
    endpoint = "fapiPublicGetTickerBookTicker"
    if len(wire_ids) * _QUOTE_WEIGHT > _ALL_QUOTES_WEIGHT:
        return (Request(endpoint, {}, _ALL_QUOTES_WEIGHT, signed=False),)
    return tuple(Request(endpoint, {"symbol": wire_id}, _QUOTE_WEIGHT, signed=False) for wire_id in wire_ids)
