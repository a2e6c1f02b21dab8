"""Intents and questions as requests: endpoint, parameters, cost. Pure; nothing is sent here.

Parameters and limits: exchange sheet §3. Endpoints are ccxt's implicit methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.invariant import require
from holdfast.domain.numbers import plain
from holdfast.domain.orders import OrderType, PositionSide, Side, TimeInForce, TriggerSource
from holdfast.exchanges.limits import Costs, Limit, Scope
from holdfast.exchanges.names import Names

PRODUCT = "USDT-FUTURES"
COIN = "USDT"
Params = dict[str, object]

ADDRESS = "requests_1m"
_KEY_PER_SECOND: Mapping[str, tuple[str, int]] = {
    "privateMixPostV2MixOrderPlaceOrder": ("place_order", 10),
    "privateMixPostV2MixOrderCancelOrder": ("cancel_order", 10),
    "privateMixPostV2MixOrderPlaceTpslOrder": ("place_tpsl", 10),
    "privateMixPostV2MixOrderCancelPlanOrder": ("cancel_plan", 10),
    "privateMixPostV2MixAccountSetLeverage": ("set_leverage", 5),
    "privateMixPostV2MixAccountSetMarginMode": ("set_margin_mode", 5),
    "privateMixGetV2MixPositionAllPosition": ("all_position", 5),
    "privateMixGetV2MixPositionSinglePosition": ("single_position", 10),
    "privateMixGetV2MixAccountAccounts": ("accounts", 10),
    "privateMixGetV2MixAccountAccount": ("account", 10),
    "privateMixGetV2MixOrderOrdersPending": ("orders_pending", 10),
    "privateMixGetV2MixOrderOrdersPlanPending": ("plans_pending", 10),
    "privateMixGetV2MixOrderOrdersPlanHistory": ("plans_history", 10),
    "privateMixGetV2MixOrderDetail": ("order_detail", 10),
    "privateMixGetV2MixOrderFills": ("fills", 10),
    "privateMixGetV2MixAccountBill": ("bills", 10),
}
_ADDRESS_PER_SECOND: Mapping[str, tuple[str, int]] = {
    "publicCommonGetV2PublicTime": ("time", 20),
    "publicMixGetV2MixMarketContracts": ("contracts", 20),
    "publicMixGetV2MixMarketTicker": ("ticker", 20),
    "publicMixGetV2MixMarketTickers": ("tickers", 20),
    "publicMixGetV2MixMarketCandles": ("candles", 20),
    "publicMixGetV2MixMarketHistoryCandles": ("old_candles", 20),
}
_LIMIT_OF = {endpoint: name for endpoint, (name, _) in {**_KEY_PER_SECOND, **_ADDRESS_PER_SECOND}.items()}


def _per_second(table: Mapping[str, tuple[str, int]], scope: Scope) -> tuple[Limit, ...]:
    return tuple(
        Limit(name=name, amount=amount, window_ms=1_000, scope=scope) for name, amount in table.values()
    )


LIMITS = (
    Limit(name=ADDRESS, amount=6_000, window_ms=60_000),
    *_per_second(_KEY_PER_SECOND, Scope.KEY),
    *_per_second(_ADDRESS_PER_SECOND, Scope.ADDRESS),
)
"""Exchange sheet §3: a minute's total for all keys of an address; each endpoint by the second, for each
account (private) or address (public). No answer tells what is used, or when a window begins (unverified:
it may be any): it is added up here over any such stretch."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the exchange. Signed ones get their time when they are sent."""

    endpoint: str
    params: Mapping[str, object]

    @property
    def costs(self) -> Costs:
        """What it uses of each of `LIMITS`."""
        return {ADDRESS: 1, _LIMIT_OF[self.endpoint]: 1}


SIDES = {Side.BUY: "buy", Side.SELL: "sell"}
HELD_BY = {PositionSide.LONG: Side.BUY, PositionSide.SHORT: Side.SELL}
"""What opens a position of hedge mode; on the wire it is the side of its closing orders, too."""
TYPES = {OrderType.MARKET: "market", OrderType.LIMIT: "limit"}
TIMES_IN_FORCE = {
    TimeInForce.GTC: "gtc",
    TimeInForce.IOC: "ioc",
    TimeInForce.FOK: "fok",
    TimeInForce.POST_ONLY: "post_only",
}
TRIGGERS = {TriggerSource.MARK: "mark_price", TriggerSource.LAST: "fill_price"}
MARGIN_MODES = {MarginMode.CROSS: "crossed", MarginMode.ISOLATED: "isolated"}
WHOLE, SIZED = "pos_loss", "loss_plan"
"""The two forms of a stop: of the whole position whatever its size, and of a part."""
BOOKS = ("profit_loss", "normal_plan", "track_plan")
"""The books of plan orders; each has to be asked for by its own name."""
STOPS_BOOK = "profit_loss"


def _of(wire_id: str) -> Params:
    return {"symbol": wire_id, "productType": PRODUCT}


# --- requests that change something --------------------------------------------------------------


def order(journaled: Journaled, names: Names, margin_mode: MarginMode) -> Request:
    """An entry or a close. *margin_mode* is the symbol's: another one would change it, or be refused."""
    intent = journaled.intent
    require(intent.quantity > 0, "an order has a quantity above 0")
    params = {
        **_of(names.wire(intent.symbol)),
        "marginCoin": COIN,
        "marginMode": MARGIN_MODES[margin_mode],
        "orderType": TYPES[intent.type],
        "size": plain(intent.quantity),
        "clientOid": journaled.client_id,
        **_limit_terms(intent),
        **_which_position(intent),
    }
    return Request("privateMixPostV2MixOrderPlaceOrder", params)


def _limit_terms(intent: Intent) -> Params:
    if intent.type is not OrderType.LIMIT:
        return {}
    price = intent.price
    require(price is not None and price > 0, "a limit order has a price above 0")
    return {"price": plain(price or intent.quantity), "force": TIMES_IN_FORCE[intent.time_in_force]}


def _which_position(intent: Intent) -> Params:
    """One-way: what is traded, and `reduceOnly`. Hedge: the *position's* side, and whether it is closed."""
    if intent.position_side is PositionSide.BOTH:
        reduces = intent.reduce_only or intent.purpose is Purpose.CLOSE
        return {"side": SIDES[intent.side], **({"reduceOnly": "YES"} if reduces else {})}
    opening = HELD_BY[intent.position_side]
    return {"side": SIDES[opening], "tradeSide": "open" if intent.side is opening else "close"}


def stop(journaled: Journaled, names: Names) -> Request:
    """A stop of the whole position (`pos_loss`), or with a quantity of a part (`loss_plan`), at market."""
    intent = journaled.intent
    trigger = intent.trigger_price
    require(trigger is not None and trigger > 0, "a stop has a trigger price above 0")
    whole = intent.close_position or not intent.quantity
    params = {
        **_of(names.wire(intent.symbol)),
        "marginCoin": COIN,
        "planType": WHOLE if whole else SIZED,
        "holdSide": _hold_side(intent),
        "triggerPrice": plain(trigger or intent.quantity),
        "triggerType": TRIGGERS[intent.trigger_source],
        "clientOid": journaled.client_id,
        **({} if whole else {"size": plain(intent.quantity)}),
    }
    return Request("privateMixPostV2MixOrderPlaceTpslOrder", params)


def _hold_side(intent: Intent) -> str:
    """Hedge: the position's side. One-way: the side the position was opened with."""
    if intent.position_side is PositionSide.BOTH:
        return SIDES[intent.side.opposite]
    return intent.position_side.value


def cancel_order(journaled: Journaled, names: Names) -> Request:
    intent = journaled.intent
    return Request(
        "privateMixPostV2MixOrderCancelOrder", {**_of(names.wire(intent.symbol)), **target(intent)}
    )


def target(intent: Intent) -> dict[str, str]:
    """What a cancel is about, by the exchange's id where it is known."""
    require(bool(intent.target_id or intent.target_client_id), "a cancel names what it cancels")
    if intent.target_id:
        return {"orderId": intent.target_id}
    return {"clientOid": intent.target_client_id}


def cancel_plan(wire_id: str, plan_type: str, order_id: str) -> Request:
    """A cancel reaches only its own planType, and is silent about the others (sheet §3.4)."""
    params = {**_of(wire_id), "planType": plan_type, "orderIdList": [{"orderId": order_id}]}
    return Request("privateMixPostV2MixOrderCancelPlanOrder", params)


def set_leverage(wire_id: str, leverage: int) -> Request:
    params = {**_of(wire_id), "marginCoin": COIN, "leverage": str(leverage)}
    return Request("privateMixPostV2MixAccountSetLeverage", params)


def set_margin_mode(wire_id: str, mode: MarginMode) -> Request:
    params = {**_of(wire_id), "marginCoin": COIN, "marginMode": MARGIN_MODES[mode]}
    return Request("privateMixPostV2MixAccountSetMarginMode", params)


# --- questions -----------------------------------------------------------------------------------

SERVER_TIME = Request("publicCommonGetV2PublicTime", {})
CONTRACTS = Request("publicMixGetV2MixMarketContracts", {"productType": PRODUCT})
POSITIONS = Request("privateMixGetV2MixPositionAllPosition", {"productType": PRODUCT, "marginCoin": COIN})
BALANCES = Request("privateMixGetV2MixAccountAccounts", {"productType": PRODUCT})

PAGE = 100
FILLS_WINDOW_MS = 7 * 24 * 3600 * 1000
FILLS_HISTORY_MS = 90 * 24 * 3600 * 1000
"""The list of fills knows three months."""
TRANSFERS = ("trans_from_exchange", "trans_to_exchange")
"""The kinds of bills that move money between this account and the customer's others."""
BARS_LIMIT, OLD_BARS_LIMIT = 1000, 200
GRANULARITIES: Mapping[str, str] = {
    **{word: word for word in ("1m", "3m", "5m", "15m", "30m")},
    **{f"{hours}h": f"{hours}H" for hours in (1, 2, 4)},
    **{f"{hours}h": f"{hours}Hutc" for hours in (6, 12)},
    **{f"{days}d": f"{days}Dutc" for days in (1, 3)},
    "1w": "1Wutc",
}
"""Bars by their usual names; long ones begin at midnight UTC."""
_MINUTE_MS = 60_000
LENGTHS_MS: Mapping[str, int] = {
    word: int(word[:-1])
    * {"m": _MINUTE_MS, "h": 60 * _MINUTE_MS, "d": 1440 * _MINUTE_MS, "w": 10_080 * _MINUTE_MS}[word[-1]]
    for word in GRANULARITIES
}


def positions(wire_id: str | None) -> Request:
    """Those of one symbol have a limit of their own."""
    if wire_id is None:
        return POSITIONS
    return Request("privateMixGetV2MixPositionSinglePosition", {**_of(wire_id), "marginCoin": COIN})


def account(wire_id: str) -> Request:
    """Position mode, and margin mode and leverage of a symbol."""
    return Request("privateMixGetV2MixAccountAccount", {**_of(wire_id), "marginCoin": COIN})


def _page(wire_id: str | None, before: str) -> Params:
    return {
        "productType": PRODUCT,
        "limit": str(PAGE),
        **({"symbol": wire_id} if wire_id else {}),
        **({"idLessThan": before} if before else {}),
    }


def open_orders(wire_id: str | None, before: str = "") -> Request:
    """Regular orders only. *before*: the last id of the page before."""
    return Request("privateMixGetV2MixOrderOrdersPending", _page(wire_id, before))


def open_plans(book: str, wire_id: str | None, before: str = "", **which: str) -> Request:
    """What waits in one book; *which*: an orderId or a clientOid."""
    params = {**_page(wire_id, before), "planType": book, **which}
    return Request("privateMixGetV2MixOrderOrdersPlanPending", params)


def past_plans(book: str, wire_id: str, client_id: str) -> Request:
    params = {**_page(wire_id, ""), "planType": book, "clientOid": client_id}
    return Request("privateMixGetV2MixOrderOrdersPlanHistory", params)


def find_order(wire_id: str, client_id: str, order_id: str = "") -> Request:
    which = {"orderId": order_id} if order_id else {"clientOid": client_id}
    return Request("privateMixGetV2MixOrderDetail", {**_of(wire_id), **which})


def fills(wire_id: str, start_ms: int, end_ms: int, before: str = "") -> Request:
    params = {**_page(wire_id, before), "startTime": str(start_ms), "endTime": str(end_ms)}
    return Request("privateMixGetV2MixOrderFills", params)


def transfers(kind: str, since_ms: int, before: str = "") -> Request:
    """Bills of one of `TRANSFERS`; it answers for at most thirty days."""
    params = {**_page(None, before), "businessType": kind, "coin": COIN, "startTime": str(since_ms)}
    return Request("privateMixGetV2MixAccountBill", params)


def candles(wire_id: str, timeframe: str, limit: int, end_ms: int | None) -> Request:
    """The newest bars, or those up to *end_ms* from the history; raises `ValueError` for unknown lengths."""
    if timeframe not in GRANULARITIES:
        raise ValueError(f"expected a timeframe out of {', '.join(GRANULARITIES)}, found {timeframe!r}")
    params = {**_of(wire_id), "granularity": GRANULARITIES[timeframe], "limit": str(limit)}
    if end_ms is None:
        return Request("publicMixGetV2MixMarketCandles", params)
    return Request("publicMixGetV2MixMarketHistoryCandles", {**params, "endTime": str(end_ms)})


def tickers(wire_ids: tuple[str, ...]) -> Request:
    """Mark price, best bid and ask: of one symbol, or of all."""
    if len(wire_ids) == 1:
        return Request("publicMixGetV2MixMarketTicker", _of(wire_ids[0]))
    return Request("publicMixGetV2MixMarketTickers", {"productType": PRODUCT})
