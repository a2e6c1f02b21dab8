"""Orders over REST: place, change, cancel, list, batches, trades (exchange sheet §3.4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.errors import (
    either,
    illegal,
    missing,
    no_such_order,
    not_required,
    refused,
)
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.render import (
    NO_EXTRAS,
    Extras,
    history_row,
    order_ack,
    order_result,
    order_row,
    trade_row,
)
from holdfast.simulator.binance.venue import Call
from holdfast.simulator.core.model import (
    AlgoType,
    CoreRefusal,
    OrderKind,
    OrderRequest,
    Refused,
    SimAccount,
    SimOrder,
    Tif,
)
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.params import texts

WEEK_MS = 7 * 86_400_000

SIDES: Mapping[str, Side] = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES: Mapping[str, PositionSide] = {side.value.upper(): side for side in PositionSide}
# GTD and RPI exist on the real exchange; this one does not know them and says so in exchangeInfo.
TIFS: Mapping[str, Tif] = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "GTX": Tif.POST_ONLY}
KINDS: Mapping[str, OrderKind] = {"LIMIT": OrderKind.LIMIT, "MARKET": OrderKind.MARKET}
CONDITIONAL = frozenset(type_.value.upper() for type_ in AlgoType)
SELF_TRADES = {word: word for word in ("NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH")}
RESPONSES = {"ACK": order_ack, "RESULT": order_result}
# (ours or theirs, how deep in the book)
PRICE_MATCHES: Mapping[str, tuple[bool, int]] = {
    "OPPONENT": (False, 1),
    "OPPONENT_5": (False, 5),
    "OPPONENT_10": (False, 10),
    "OPPONENT_20": (False, 20),
    "QUEUE": (True, 1),
    "QUEUE_5": (True, 5),
    "QUEUE_10": (True, 10),
    "QUEUE_20": (True, 20),
}
DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}

_CLIENT_ID = re.compile(r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
_BAD_SIDE = WireError(-1117, "Invalid side.")
_BAD_TYPE = WireError(-1116, "Invalid orderType.")
_BAD_TIF = WireError(-1115, "Invalid timeInForce.")
_BAD_POSITION_SIDE = WireError(-4060, "Invalid position side.")
_BAD_SELF_TRADE = WireError(-5038, "Invalid selfTradePreventionMode.")
_BAD_PRICE_MATCH = WireError(-5037, "Invalid price match")


# --- reading what is wanted ----------------------------------------------------------------------


def client_id(params: Params, name: str) -> str:
    """The client's own id, "" when not sent; -4015 when too long, -1100 for other characters."""
    text = params.text(name)
    if len(text) > 36:
        raise WireError(-4015, "Client order id length should not be more than 36 chars")
    if text and not _CLIENT_ID.match(text):
        raise illegal(name, r"^[\.A-Z\:/a-z0-9_-]{1,36}$")
    return text


def side_of(params: Params) -> Side:
    return params.choice("side", SIDES, _BAD_SIDE)


def position_side_of(params: Params) -> PositionSide:
    return params.choice_or("positionSide", POSITION_SIDES, PositionSide.BOTH, _BAD_POSITION_SIDE)


def extras_of(params: Params) -> Extras:
    return Extras(
        price_match=params.text("priceMatch", "NONE"),
        self_trade=params.choice_or(
            "selfTradePreventionMode", SELF_TRADES, NO_EXTRAS.self_trade, _BAD_SELF_TRADE
        ),
    )


def matched_price(call: Call, params: Params, symbol: Symbol, side: Side) -> Decimal | None:
    """The limit price: as sent, or taken from the book by `priceMatch`."""
    if params.text("priceMatch", "NONE") == "NONE":
        return params.decimal("price")
    ours, depth = params.choice("priceMatch", PRICE_MATCHES, _BAD_PRICE_MATCH)
    if "price" in params:
        raise not_required("price")
    bids, asks = call.core.depth(symbol, depth)
    levels = bids if ours is (side is Side.BUY) else asks
    if len(levels) < depth:
        raise WireError(-5041, "No depth matches this BBO order.")
    return levels[depth - 1][0]


def order_request(call: Call, params: Params) -> OrderRequest:
    """The order a client asks for, checked in the exchange's order (sheet §4)."""
    symbol = call.core.instrument(params.symbol()).symbol
    params.require_all(("side", "type"))
    if params.need("type") in CONDITIONAL:
        raise WireError(
            -4120,
            "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
        )
    kind = params.choice("type", KINDS, _BAD_TYPE)
    side = side_of(params)
    quantity = params.need_decimal("quantity")
    _check_shape(params, kind)
    tif = params.choice("timeInForce", TIFS, _BAD_TIF) if kind is OrderKind.LIMIT else Tif.GTC
    price = matched_price(call, params, symbol, side) if kind is OrderKind.LIMIT else None
    if kind is OrderKind.LIMIT and price is None:
        raise missing("price")
    return OrderRequest(
        symbol=symbol,
        side=side,
        kind=kind,
        quantity=quantity,
        price=price,
        tif=tif,
        reduce_only=params.flag("reduceOnly"),
        position_side=position_side_of(params),
        client_id=client_id(params, "newClientOrderId"),
    )


def _check_shape(params: Params, kind: OrderKind) -> None:
    """What a type does not take is refused, not ignored."""
    unwanted = ["stopPrice", "triggerPrice", "callbackRate", "activationPrice", "activatePrice"]
    if kind is OrderKind.MARKET:
        unwanted += ["price", "timeInForce"]
    for name in unwanted:
        if name in params:
            raise not_required(name.lower())


# --- placing, changing, cancelling ---------------------------------------------------------------


def place(call: Call, params: Params) -> Row:
    request, extras = order_request(call, params), extras_of(params)
    render = params.choice_or("newOrderRespType", RESPONSES, order_ack, missing("newOrderRespType"))
    order = call.core.place_order(call.account_id, request)
    if extras != NO_EXTRAS:
        call.venue.extras[order.order_id] = extras
    instrument = call.core.instrument(order.symbol)
    return render(instrument, order, extras, call.venue.config.legacy_ack_fields)


def result(call: Call, order: SimOrder) -> Row:
    extras = call.venue.extras.get(order.order_id, NO_EXTRAS)
    instrument = call.core.instrument(order.symbol)
    return order_result(instrument, order, extras, call.venue.config.legacy_ack_fields)


def post_order(call: Call) -> Row:
    return place(call, call.params)


def post_order_test(call: Call) -> Row:
    """Validates only; real and recorded answers are an empty object."""
    call.core.test_order(call.account_id, order_request(call, call.params))
    return {}


def amend(call: Call, params: Params) -> Row:
    symbol = call.core.instrument(params.symbol()).symbol
    order_id, own_id = selectors(params)
    side, quantity = side_of(params), params.need_decimal("quantity")
    price = matched_price(call, params, symbol, side)
    if price is None:
        raise missing("price")
    _check_reduce_only(call, params, symbol)
    try:
        order = call.core.amend_order(
            call.account_id,
            symbol,
            side=side,
            quantity=quantity,
            price=price,
            order_id=order_id,
            client_id=own_id,
        )
    except CoreRefusal as refusal:
        raise no_such_order() if refusal.why is Refused.UNKNOWN_ORDER else refused(refusal) from refusal
    modify_id = params.integer_or_none("modifyId")
    return result(call, order) | ({} if modify_id is None else {"modifyId": modify_id})


def _check_reduce_only(call: Call, params: Params, symbol: Symbol) -> None:
    """`reduceOnly` on a change is a check, not a change (sheet §0)."""
    if "reduceOnly" not in params:
        return
    order = find(call, call.core.view(call.account_id), params, symbol)
    if order is not None and order.reduce_only != params.flag("reduceOnly"):
        raise WireError(-5047, "The reduceOnly value does not match the original order.")


def put_order(call: Call) -> Row:
    return amend(call, call.params)


def selectors(params: Params) -> tuple[int | None, str | None]:
    """The exchange's id, or the client's (ignored when both are sent)."""
    order_id = params.integer_or_none("orderId")
    own_id = params.text("origClientOrderId") or None
    if order_id is None and own_id is None:
        raise either("origClientOrderId", "orderId")
    return order_id, (own_id if order_id is None else None)


def cancel(call: Call, params: Params) -> Row:
    symbol = call.core.instrument(params.symbol()).symbol
    order_id, own_id = selectors(params)
    order = call.core.cancel_order(call.account_id, symbol, order_id=order_id, client_id=own_id)
    return result(call, order)


def delete_order(call: Call) -> Row:
    return cancel(call, call.params)


def delete_all(call: Call) -> Row:
    call.core.cancel_all_orders(call.account_id, call.instrument().symbol)
    return dict(DONE)


def countdown(call: Call) -> Row:
    """The dead-man switch: without another call in time the symbol's orders are cancelled."""
    symbol, wait_ms = call.instrument().symbol, call.params.need_integer("countdownTime")
    key = (call.account_id, symbol)
    if wait_ms > 0:
        call.venue.countdowns[key] = call.now_ms + wait_ms
    else:
        call.venue.countdowns.pop(key, None)
    return {"symbol": symbol.compact, "countdownTime": str(wait_ms)}


# --- batches -------------------------------------------------------------------------------------


def each(call: Call, one: Callable[[Call, Params], Row], params: Params) -> Row:
    """One element of a batch: its answer, or its error in its place."""
    try:
        return one(call, params)
    except CoreRefusal as refusal:
        return refused(refusal).body()
    except WireError as error:
        return error.body()


def _batch(call: Call) -> list[Params]:
    orders = call.params.list_of("batchOrders")
    if len(orders) > 5:
        raise WireError(-4082, "Invalid number of batch place orders.")
    if not orders or not all(isinstance(order, dict) for order in orders):
        raise missing("batchOrders")
    return [Params(texts(order)) for order in orders if isinstance(order, dict)]


def post_batch(call: Call) -> list[Row]:
    return [each(call, place, item) for item in _batch(call)]


def put_batch(call: Call) -> list[Row]:
    return [each(call, amend, item) for item in _batch(call)]


def delete_batch(call: Call) -> list[Row]:
    params, symbol = call.params, call.instrument().symbol
    name = "orderIdList" if "orderIdList" in params else "origClientOrderIdList"
    ids = params.list_of(name)
    if not ids or len(ids) > 10:
        raise WireError(-4083, "Invalid number of batch cancel orders.")
    selector = "orderId" if name == "orderIdList" else "origClientOrderId"
    singles = [Params({"symbol": symbol.compact, selector: str(one)}) for one in ids]
    return [each(call, cancel, item) for item in singles]


# --- reading -------------------------------------------------------------------------------------


def find(call: Call, view: SimAccount, params: Params, symbol: Symbol) -> SimOrder | None:
    """The order asked for by either id, None when it is not (yet) seen."""
    order_id, own_id = selectors(params)
    if order_id is not None:
        order = view.orders.get(order_id)
        return order if order is not None and order.symbol == symbol else None
    return call.core.order_by_client_id(view, symbol, own_id or "")


def _row(call: Call, order: SimOrder) -> Row:
    extras = call.venue.extras.get(order.order_id, NO_EXTRAS)
    return order_row(call.core.instrument(order.symbol), order, extras)


def get_order(call: Call) -> Row:
    order = find(call, call.view(), call.params, call.instrument().symbol)
    if order is None:
        raise no_such_order()
    return _row(call, order)


def get_open_order(call: Call) -> Row:
    order = find(call, call.view(), call.params, call.instrument().symbol)
    if order is None or order.status.final:
        raise no_such_order()
    return _row(call, order)


def get_open_orders(call: Call) -> list[Row]:
    wanted = set(call.symbols())
    orders = (order for order in call.view().orders.values() if not order.status.final)
    return [_row(call, order) for order in orders if order.symbol in wanted]


def span(params: Params, now_ms: int) -> tuple[int, int]:
    """startTime and endTime, both inclusive; a week from the start, or the last week."""
    start, end = params.integer_or_none("startTime"), params.integer_or_none("endTime")
    if start is not None and end is not None and start > end:
        raise WireError(-1023, "Start time is greater than end time.")
    if start is None:
        start = (now_ms if end is None else end) - WEEK_MS
    return start, (start + WEEK_MS if end is None else end)


def get_all_orders(call: Call) -> list[Row]:
    wanted, limit = set(call.symbols()), call.params.limit(500, 1000)
    orders = [order for order in call.view().orders.values() if order.symbol in wanted]
    first = call.params.integer_or_none("orderId")
    if first is not None:
        orders = [order for order in orders if order.order_id >= first][:limit]
    else:
        start, end = span(call.params, call.now_ms)
        orders = [order for order in orders if start <= order.created_ms <= end][-limit:]
    return [_history(call, order) for order in orders]


def _history(call: Call, order: SimOrder) -> Row:
    extras = call.venue.extras.get(order.order_id, NO_EXTRAS)
    return history_row(call.core.instrument(order.symbol), order, extras)


def get_trades(call: Call) -> list[Row]:
    params, instrument = call.params, call.instrument()
    limit = params.limit(500, 1000)
    fills = [fill for fill in call.view().fills if fill.symbol == instrument.symbol]
    order_id, first = params.integer_or_none("orderId"), params.integer_or_none("fromId")
    if order_id is not None:
        fills = [fill for fill in fills if fill.order_id == order_id]
    if first is not None:
        fills = [fill for fill in fills if fill.trade_id >= first][:limit]
    elif order_id is None or "startTime" in params or "endTime" in params:
        start, end = span(params, call.now_ms)
        fills = [fill for fill in fills if start <= fill.at_ms <= end]
        fills = fills[:limit] if "startTime" in params else fills[-limit:]
    return [trade_row(instrument, fill) for fill in fills]


def get_force_orders(call: Call) -> list[Row]:
    """Liquidations and auto-deleveraging of this account."""
    wanted, kinds = set(call.symbols()), call.params.text("autoCloseType")
    start, end = span(call.params, call.now_ms)
    orders: Iterable[SimOrder] = (
        order
        for order in call.view().orders.values()
        if order.symbol in wanted and start <= order.created_ms <= end
    )
    forced = [order for order in orders if _force_kind(order) and kinds in ("", _force_kind(order))]
    return [_row(call, order) for order in forced[-call.params.limit(50, 100) :]]


def _force_kind(order: SimOrder) -> str:
    if order.client_id.startswith("adl_autoclose"):
        return "ADL"
    return "LIQUIDATION" if order.liquidation else ""
