"""Plain orders over REST: place, change, cancel, close, list, and their fills (bitget.md §3.3, §4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from holdfast.domain.account import MarginMode
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.bitget.pages import listed, page
from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.plans import NO_PRESETS, Presets
from holdfast.simulator.bitget.render import fill_row, order_row
from holdfast.simulator.bitget.venue import Call, Filled, hedge, held
from holdfast.simulator.core.book import closing
from holdfast.simulator.core.model import (
    CoreRefusal,
    OrderKind,
    OrderRequest,
    SimAccount,
    SimFill,
    SimOrder,
    SimPosition,
    Tif,
)
from holdfast.simulator.core.positions import closing_side
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.venue import margin_mode

SIDES: Mapping[str, Side] = {side.value: side for side in Side}
KINDS: Mapping[str, OrderKind] = {kind.value: kind for kind in OrderKind}
FORCES: Mapping[str, Tif] = {tif.value: tif for tif in Tif}
MARGIN_MODES: Mapping[str, MarginMode] = {"isolated": MarginMode.ISOLATED, "crossed": MarginMode.CROSS}
TRADE_SIDES: Mapping[str, bool] = {"open": False, "close": True}
HOLD_SIDES: Mapping[str, PositionSide] = {"long": PositionSide.LONG, "short": PositionSide.SHORT}
COMMON = ("symbol", "productType", "marginMode", "marginCoin")
BATCH_MAX = 50
AGAIN_MS = 1_000
"""For so long the same id may not be cancelled again."""


# --- reading what is wanted ------------------------------------------------------------------------


def order_kind(params: Params) -> OrderKind:
    """market or limit; everything else is a condition's business (400172)."""
    return params.choice("orderType", KINDS, errors.not_verified("The order type is illegal"))


def sides(call: Call, params: Params) -> tuple[Side, PositionSide]:
    """What is traded, and for which position. In hedge mode `side` is the position's direction."""
    side = params.choice("side", SIDES)
    if not hedge(call.now()):
        if "tradeSide" in params and call.switches.one_way_trade_side == "refused":
            raise errors.unilateral()
        return side, PositionSide.BOTH
    if "tradeSide" not in params:
        raise errors.unilateral()
    closes = params.choice("tradeSide", TRADE_SIDES)
    position_side = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    return (side.opposite if closes else side), position_side


def own_id(call: Call, params: Params, name: str, names: Mapping[tuple[str, str], int]) -> str:
    """The client's id, or one like the exchange makes; 40786 when it was used before, ever."""
    own = params.client_id(name) or call.venue.own_name()
    if (call.account_id, own) in names:
        raise errors.duplicate_client_id()
    return own


def presets_of(params: Params, profit: str, loss: str) -> Presets:
    """Stop and profit to come, by their parameters' names without `Price`."""
    return Presets(
        loss=params.decimal(f"{loss}Price") or ZERO,
        loss_execute=params.decimal(f"{loss.replace('Trigger', '')}ExecutePrice") or ZERO,
        profit=params.decimal(f"{profit}Price") or ZERO,
        profit_execute=params.decimal(f"{profit.replace('Trigger', '')}ExecutePrice") or ZERO,
    )


def order_request(call: Call, params: Params) -> OrderRequest:
    """The order a client asks for; whether it may be is judged later."""
    params.product()
    symbol = call.core.instrument(params.symbol()).symbol
    call.check_margin_coin(params)
    kind = order_kind(params)
    side, position_side = sides(call, params)
    price = params.need_decimal("price") if kind is OrderKind.LIMIT else None
    tif = params.choice_or(
        "force", FORCES, Tif.GTC, errors.not_verified("The order validity period is invalid")
    )
    return OrderRequest(
        symbol=symbol,
        side=side,
        kind=kind,
        quantity=params.need_decimal("size"),
        price=price,
        tif=tif if kind is OrderKind.LIMIT else Tif.GTC,
        reduce_only=params.yes("reduceOnly") and position_side is PositionSide.BOTH,
        position_side=position_side,
        client_id=own_id(call, params, "clientOid", call.venue.order_names),
    )


# --- what only Bitget checks -----------------------------------------------------------------------


def closes(request: OrderRequest) -> bool:
    """It can only make a position smaller."""
    in_hedge = request.position_side is not PositionSide.BOTH
    return request.reduce_only or (in_hedge and request.side is closing(request.position_side))


def resting(account: SimAccount, symbol: Symbol, side: PositionSide) -> Decimal:
    """What open orders already close of a hedge position."""
    orders = (account.orders[order_id] for order_id in account.live_orders)
    return sum(
        (
            order.remaining
            for order in orders
            if (order.symbol, order.position_side) == (symbol, side) and order.side is closing(side)
        ),
        ZERO,
    )


def fitted(call: Call, request: OrderRequest) -> OrderRequest:
    """A closing order as it may be: something to close, not dust, in hedge mode not more than is free."""
    if not closes(request):
        return request
    account = call.now()
    position = held(account, request.symbol, request.position_side)
    if position is None or closing_side(position) is not request.side:
        raise errors.no_position()
    if request.position_side is not PositionSide.BOTH:
        request = _cut(call, account, request, position)
    price = request.price or call.core.prices(request.symbol).mark
    whole = request.quantity >= abs(position.quantity)
    least = call.core.instrument(request.symbol).notional_min
    if request.quantity * price < least and not (whole and call.switches.dust_closes):
        raise errors.too_small()
    return request


def _cut(call: Call, account: SimAccount, request: OrderRequest, position: SimPosition) -> OrderRequest:
    """In hedge mode: resting closes are never displaced, the new one gets what they leave."""
    free = abs(position.quantity) - resting(account, request.symbol, request.position_side)
    if request.quantity <= free:
        return request
    may = request.kind is OrderKind.MARKET and call.switches.hedge_close_beyond == "cut"
    if not may or free <= 0:
        raise errors.not_enough_position()
    return replace(request, quantity=free)


def check_presets(call: Call, request: OrderRequest, presets: Presets) -> None:
    """A long's stop stands below the price it starts at and its profit above; a short's the other way."""
    start = request.price or call.core.prices(request.symbol).mark
    long = request.side is Side.BUY
    if presets.loss and (presets.loss >= start if long else presets.loss <= start):
        raise errors.wrong_side(loss=True, long=long, price=start)
    if presets.profit and (presets.profit <= start if long else presets.profit >= start):
        raise errors.wrong_side(loss=False, long=long, price=start)


def adopt_margin_mode(call: Call, params: Params, symbol: Symbol) -> None:
    """The order's margin mode is the symbol's, or becomes it where nothing stands against that."""
    wanted, account = params.choice("marginMode", MARGIN_MODES), call.now()
    if wanted is margin_mode(account, symbol):
        return
    if not call.switches.order_sets_margin_mode:
        raise errors.condition("marginMode")
    try:
        call.core.set_margin_mode(call.account_id, symbol, wanted)
    except CoreRefusal as refusal:
        raise errors.condition("marginMode") from refusal


# --- placing ---------------------------------------------------------------------------------------


def place(call: Call, params: Params) -> Row:
    request = fitted(call, order_request(call, params))
    presets = presets_of(params, "presetStopSurplus", "presetStopLoss")
    check_presets(call, request, presets)
    adopt_margin_mode(call, params, request.symbol)
    before = set(call.now().live_orders)
    order = send(call, request, presets)
    row: Row = {"orderId": str(order.order_id), "clientOid": order.client_id}
    displaced = request.reduce_only and before - set(call.now().live_orders)
    if displaced and not call.switches.displacing_order_id:
        del row["orderId"]
    return row


def send(call: Call, request: OrderRequest, presets: Presets = NO_PRESETS) -> SimOrder:
    """Place it; its presets come to life with its fills."""
    venue = call.venue
    order = call.core.place_order(call.account_id, request)
    if presets:
        venue.presets[order.order_id] = presets
        if order.filled:
            venue.filled.append(Filled(call.account_id, order.symbol, order.position_side, presets))
    return order


def post_order(call: Call) -> Row:
    return place(call, call.params)


def each(call: Call, one: Callable[[Call, Params], Row], rows: list[Params]) -> tuple[list[Row], list[Row]]:
    """What became of every row: answers, and failures with their code."""
    done: list[Row] = []
    failed: list[Row] = []
    for row in rows:
        try:
            done.append(one(call, row))
        except CoreRefusal as refusal:
            failed.append(_failure(row, errors.refused(refusal)))
        except WireError as error:
            failed.append(_failure(row, error))
    return done, failed


def _failure(row: Params, error: WireError) -> Row:
    """In lists a duplicate has another code."""
    code, msg = (43118, "clientOrderId duplicate") if error.code == 40786 else (error.code, error.msg)
    return {
        "orderId": row.text("orderId"),
        "clientOid": row.text("clientOid"),
        "errorMsg": msg,
        "errorCode": str(code),
    }


def lists(done: list[Row], failed: list[Row]) -> Row:
    return {"successList": done, "failureList": failed}


def post_batch(call: Call) -> Row:
    rows = call.params.rows("orderList")
    if not 0 < len(rows) <= BATCH_MAX:
        raise errors.wrong("orderList")
    return lists(*each(call, place, [row.beside(call.params, *COMMON) for row in rows]))


# --- changing and cancelling -----------------------------------------------------------------------


def find(account: SimAccount, names: Mapping[tuple[str, str], int], params: Params) -> int | None:
    """The order asked for by either id; None when there is none."""
    number = params.integer_or_none("orderId")
    if number is not None:
        return number
    if "clientOid" not in params:
        raise errors.missing("orderId")
    return names.get((account.account_id, params.text("clientOid")))


def _order(call: Call, account: SimAccount, params: Params) -> SimOrder | None:
    number = find(account, call.venue.order_names, params)
    order = account.orders.get(number) if number is not None else None
    symbol = params.symbol_or_none()
    return order if order is not None and symbol in (None, order.symbol) else None


def _open(call: Call, params: Params) -> SimOrder:
    order = _order(call, call.now(), params)
    if order is None:
        raise errors.no_open_order()
    if order.status.final:
        raise errors.finalized()
    return order


def cancel(call: Call, params: Params) -> Row:
    named = params.text("orderId") or params.text("clientOid")
    key, now_ms = (call.account_id, named), call.now_ms
    last_ms = call.venue.cancelled.get(key)
    if last_ms is not None and now_ms - last_ms < AGAIN_MS:
        raise errors.cancelled_already()
    order = _open(call, params)
    call.core.cancel_order(call.account_id, order.symbol, order_id=order.order_id)
    call.venue.cancelled[key] = now_ms
    return {"orderId": str(order.order_id), "clientOid": order.client_id}


def post_cancel(call: Call) -> Row:
    call.params.product()
    call.params.need("symbol")
    return cancel(call, call.params)


def post_batch_cancel(call: Call) -> Row:
    """Those named, or without a list all (of a symbol); plan orders stay."""
    call.params.product()
    if "orderIdList" in call.params:
        rows = call.params.rows("orderIdList")
        if not 0 < len(rows) <= BATCH_MAX:
            raise errors.wrong("orderIdList")
    else:
        wanted, account = set(call.symbols()), call.now()
        rows = [
            Params({"orderId": str(order_id)})
            for order_id in account.live_orders
            if account.orders[order_id].symbol in wanted
        ]
        if not rows:
            raise errors.nothing_to_cancel()
    return lists(*each(call, cancel, rows))


def post_modify(call: Call) -> Row:
    """Cancel and make anew, under the new client id; what comes of the new one is not told."""
    params = call.params
    params.product()
    order = _open(call, params)
    params.need("newClientOid")
    own = own_id(call, params, "newClientOid", call.venue.order_names)
    if ("newSize" in params) != ("newPrice" in params):
        raise errors.missing("newPrice" if "newSize" in params else "newSize")
    quantity = params.decimal("newSize") or order.quantity
    request = OrderRequest(
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        quantity=quantity - order.filled,
        price=params.decimal("newPrice") or order.price,
        tif=order.tif,
        reduce_only=order.reduce_only,
        position_side=order.position_side,
        client_id=own,
    )
    call.core.test_order(call.account_id, request)
    presets = call.venue.presets.get(order.order_id, NO_PRESETS)
    changed = presets_of(params, "newPresetStopSurplus", "newPresetStopLoss") or presets
    call.core.cancel_order(call.account_id, order.symbol, order_id=order.order_id)
    send(call, request, changed)
    return {"orderId": None, "clientOid": own}


def post_close(call: Call) -> Row:
    """Flash close at market: of a symbol and side, of a symbol, or of everything."""
    params, account = call.params, call.now()
    params.product()
    wanted = set(call.symbols())
    side = params.choice_or("holdSide", HOLD_SIDES, None) if hedge(account) else None
    found = [
        position
        for (symbol, position_side), position in account.positions.items()
        if symbol in wanted and position.quantity and side in (None, position_side)
    ]
    if not found:
        raise errors.no_position()
    return lists(*each(call, _close, [_named(position) for position in found]))


def _named(position: SimPosition) -> Params:
    return Params({"symbol": position.symbol.compact, "holdSide": position.side.value})


def _close(call: Call, params: Params) -> Row:
    symbol, side = params.symbol(), PositionSide(params.text("holdSide"))
    position = call.now().positions[symbol, side]
    request = OrderRequest(
        symbol=symbol,
        side=closing_side(position),
        kind=OrderKind.MARKET,
        quantity=abs(position.quantity),
        reduce_only=side is PositionSide.BOTH,
        position_side=side,
        client_id=call.venue.own_name(),
    )
    order = send(call, request)
    return {"orderId": str(order.order_id), "clientOid": order.client_id, "symbol": symbol.compact}


# --- reading ---------------------------------------------------------------------------------------


def get_detail(call: Call) -> Row:
    call.params.product()
    call.params.need("symbol")
    view = call.view()
    order = _order(call, view, call.params)
    if order is None:
        raise errors.no_such_order()
    return order_row(call.venue, view, order, call.switches.detail_status)


def _orders(call: Call, *, final: bool) -> Row:
    params, view = call.params, call.view()
    params.product()
    wanted = set(call.symbols())
    named = find(view, call.venue.order_names, params) if _names_one(params) else None
    found = [
        order
        for order in view.orders.values()
        if order.status.final is final and order.symbol in wanted and named in (None, order.order_id)
    ]
    orders = page(params, found, lambda order: order.order_id, lambda order: order.created_ms)
    last = orders[-1].order_id if orders else None
    return listed(
        call.switches, "entrustedList", [order_row(call.venue, view, order) for order in orders], last
    )


def _names_one(params: Params) -> bool:
    return "orderId" in params or "clientOid" in params


def get_pending(call: Call) -> Row:
    return _orders(call, final=False)


def get_history(call: Call) -> Row:
    return _orders(call, final=True)


def get_fills(call: Call) -> Row:
    params, view = call.params, call.view()
    params.product()
    wanted, order_id = set(call.symbols()), params.integer_or_none("orderId")
    found = [fill for fill in view.fills if fill.symbol in wanted and order_id in (None, fill.order_id)]
    fills: list[SimFill] = page(params, found, lambda fill: fill.trade_id, lambda fill: fill.at_ms)
    rows = [fill_row(fill, call.venue, view.orders[fill.order_id]) for fill in fills]
    return listed(call.switches, "fillList", rows, fills[-1].trade_id if fills else None)
