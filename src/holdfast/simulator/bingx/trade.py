"""Placing, cancelling, replacing and closing over REST (exchange sheet §3.3, §4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

from holdfast.domain.numbers import ZERO, plain
from holdfast.domain.orders import PositionSide
from holdfast.domain.symbol import Symbol
from holdfast.simulator.bingx import errors, ids
from holdfast.simulator.bingx.params import Params
from holdfast.simulator.bingx.render import Sheet, ack, number, of_order, of_stop
from holdfast.simulator.bingx.venue import Call, Whole, stamped
from holdfast.simulator.bingx.wishes import LOSSES, Wish, read_wish
from holdfast.simulator.core.model import (
    AlgoRequest,
    AlgoStatus,
    CoreRefusal,
    OrderRequest,
    Refused,
    SimAccount,
    SimAlgo,
    SimOrder,
)
from holdfast.simulator.core.positions import closes
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.params import texts

SAME_REQUEST_MS = 1_000
BATCH_MAX = 5
CANCEL_MAX = 10


# --- placing ---------------------------------------------------------------------------------------


def place(call: Call, params: Params) -> SimOrder | SimAlgo:
    """Take one order of any type. Raises `WireError`, `CoreRefusal`."""
    wish = read_wish(call, params)
    own_id = wish.request.client_id
    if own_id:
        _check_unused(call, own_id)
    _check_settled(call, wish.request.symbol)
    made = _place(call, wish)
    call.venue.extras[made.order_id if isinstance(made, SimOrder) else made.algo_id] = wish.extras
    if own_id:
        call.venue.client_ids[call.account_id, own_id] = call.now_ms
    return made


def _check_unused(call: Call, own_id: str) -> None:
    """A client id is good for one order, for ever."""
    used_ms = call.venue.client_ids.get((call.account_id, own_id))
    if used_ms is None:
        return
    if call.now_ms - used_ms < SAME_REQUEST_MS:
        raise errors.same_request()
    code = call.switches.duplicate_code
    words = {101481: "clientOrderID cannot be repeated", 101400: "clientOrderID unique check failed"}
    raise errors.error(code, words[code])


def _check_settled(call: Call, symbol: Symbol) -> None:
    past = call.core.funding_history(symbol)
    if past and call.now_ms - past[-1][0] < call.switches.settlement_ms:
        raise errors.settling()


def _place(call: Call, wish: Wish) -> SimOrder | SimAlgo:
    request = wish.request
    if isinstance(request, OrderRequest):
        return call.core.place_order(call.account_id, request)
    protective = not wish.extras.type.startswith("TRIGGER")
    long = _check_protective(call, request) if protective else False
    try:
        return call.core.place_algo(call.account_id, request)
    except CoreRefusal as refusal:
        loss = request.type in LOSSES
        if refusal.why is Refused.WOULD_TRIGGER and protective:
            raise errors.passed(loss, long) from refusal
        if refusal.why is Refused.CLOSE_STOP_EXISTS and not loss:
            raise errors.error(
                110407, "A take profit order for the entire position already exists"
            ) from refusal
        raise


def _check_protective(call: Call, request: AlgoRequest) -> bool:
    """A stop needs the position it protects, and all of its kind together may not exceed it; is it long?"""
    view = call.core.view(call.account_id)
    position = view.positions.get((request.symbol, request.position_side))
    if position is None or not closes(request.side, position):
        raise errors.no_position()
    loss, held = request.type in LOSSES, abs(position.quantity)
    taken = sum((algo.quantity for algo in live_stops(view, request, loss)), ZERO)
    if request.quantity > held - taken:
        raise errors.not_available(plain(max(ZERO, held - taken)))
    return position.quantity > 0


def live_stops(view: SimAccount, like: AlgoRequest, loss: bool) -> Iterable[SimAlgo]:
    """Waiting stop losses (or profits) of the same position."""
    wanted = (like.symbol, like.position_side, like.side)
    for algo_id in view.live_algos:
        algo = view.algos[algo_id]
        if (algo.symbol, algo.position_side, algo.side) == wanted and (algo.type in LOSSES) == loss:
            yield algo


def post_order(call: Call) -> Row:
    return {"order": ack(call.venue, place(call, call.params))}


def post_test(call: Call) -> Row:
    """Validates only."""
    wish = read_wish(call, call.params)
    if isinstance(wish.request, OrderRequest):
        call.core.test_order(call.account_id, wish.request)
    else:
        _check_protective(call, wish.request)
    return {"order": {"symbol": wish.request.symbol.dashed, "orderId": 0, "type": wish.extras.type}}


def post_batch(call: Call) -> Row | Whole:
    orders = call.params.list_of("batchOrders")
    if not orders or len(orders) > BATCH_MAX or not all(isinstance(order, dict) for order in orders):
        raise errors.invalid(f"batchOrders: expected 1 to {BATCH_MAX} orders.")
    rows: list[Row] = []
    failed: WireError | None = None
    for order in orders:
        assert isinstance(order, dict)
        try:
            rows.append(ack(call.venue, place(call, Params(texts(order)))))
        except CoreRefusal as refusal:
            failed = failed or errors.refused(refusal)
        except WireError as wrong:
            failed = failed or wrong
    if failed is not None and (call.switches.batch_failure == "code" or not rows):
        raise failed
    return {"orders": rows}


# --- which one is meant ----------------------------------------------------------------------------


def selected(call: Call, params: Params, view: SimAccount) -> SimOrder | SimAlgo | None:
    """The order of that id, or of that client id; None when there is none."""
    given = params.text("orderId")
    if given and not given.isdigit():
        if call.switches.junk_order_id == "refuse" or "clientOrderId" not in params:
            raise errors.invalid(f"orderId: expected an integer, found {given}.")
        given = ""
    if given:
        return by_wire_id(view, int(given))
    own_id = params.need("clientOrderId").lower()
    for order in reversed(view.orders.values()):
        if of_order(call.venue, order).client_id == own_id:
            return order
    for algo in reversed(view.algos.values()):
        if of_stop(call.venue, algo).client_id == own_id:
            return algo
    return None


def by_wire_id(view: SimAccount, wire_id: int) -> SimOrder | SimAlgo | None:
    order_id, algo_id = ids.core_id(wire_id)
    return view.orders.get(order_id) if order_id is not None else view.algos.get(algo_id or 0)


# --- cancelling ------------------------------------------------------------------------------------


def cancel(call: Call, order: SimOrder | SimAlgo | None) -> Row:
    """Cancel it and return its full row; 109201 when that was just asked for, 109421 when it is over."""
    if order is None:
        raise errors.no_order()
    wire = ids.of_order(order.order_id) if isinstance(order, SimOrder) else ids.of_stop(order.algo_id)
    asked_ms = call.venue.cancelled.get((call.account_id, wire))
    if asked_ms is not None and call.now_ms - asked_ms < SAME_REQUEST_MS:
        raise errors.same_request()
    call.venue.cancelled[call.account_id, wire] = call.now_ms
    if isinstance(order, SimOrder):
        ended: SimOrder | SimAlgo = call.core.cancel_order(
            call.account_id, order.symbol, order_id=order.order_id
        )
    else:
        ended = call.core.cancel_algo(call.account_id, algo_id=order.algo_id)
    row = Sheet(call.venue, call.core.view(call.account_id)).row(ended)
    return row | {"status": call.switches.cancel_answers}


def fill_first(call: Call) -> None:
    """By a fault: let what *call* cancels happen; what is over already stays as it is."""
    order = selected(call, call.params, call.core.view(call.account_id))
    with suppress(CoreRefusal):
        if isinstance(order, SimOrder):
            call.core.fill_by_hand(call.account_id, order.symbol, order_id=order.order_id)
        elif order is not None:
            call.core.trigger_by_hand(call.account_id, algo_id=order.algo_id)


def delete_order(call: Call) -> Row:
    symbol = call.instrument().symbol
    if call.raced:
        fill_first(call)
    order = selected(call, call.params, call.core.view(call.account_id))
    if order is not None and order.symbol != symbol:
        order = None
    return {"order": cancel(call, order)}


def _cancel_each(call: Call, orders: Iterable[tuple[Row, Callable[[], SimOrder | SimAlgo | None]]]) -> Row:
    """Cancel one by one: rows of those that were, reasons of those that were not."""
    success: list[Row] = []
    failed: list[Row] = []
    for name, find in orders:
        try:
            success.append(cancel(call, find()))
        except CoreRefusal as refusal:
            wrong = errors.refused(refusal)
            failed.append(name | {"errorCode": wrong.code, "errorMessage": wrong.msg})
        except WireError as wrong:
            failed.append(name | {"errorCode": wrong.code, "errorMessage": wrong.msg})
    return {"success": success, "failed": failed or None}


def delete_batch(call: Call) -> Row:
    params, view = call.params, call.core.view(call.account_id)
    by_id = "orderIdList" in params
    wanted = params.list_of("orderIdList" if by_id else "clientOrderIdList")
    if not wanted or len(wanted) > CANCEL_MAX:
        raise errors.invalid(f"orderIdList: expected 1 to {CANCEL_MAX} ids.")
    selector = "orderId" if by_id else "clientOrderId"
    return _cancel_each(
        call,
        [
            (
                {"orderId": one if by_id else 0, "clientOrderId": "" if by_id else one},
                lambda one=one: selected(call, Params({selector: str(one)}), view),  # type: ignore[misc]
            )
            for one in wanted
        ],
    )


def open_ones(call: Call, view: SimAccount) -> list[SimOrder | SimAlgo]:
    """Everything that waits or rests, stops included, oldest first."""
    wanted, type_ = set(call.symbols()), call.params.text("type")
    orders: list[SimOrder | SimAlgo] = [view.orders[order_id] for order_id in view.live_orders]
    if not call.switches.child_gets_new_id:
        orders = [order for order in orders if isinstance(order, SimOrder) and not order.algo_id]
    orders += [
        view.algos[algo_id] for algo_id in view.live_algos if view.algos[algo_id].status is AlgoStatus.NEW
    ]
    return sorted(
        (one for one in orders if one.symbol in wanted and type_ in ("", _type(call, one))),
        key=lambda one: one.created_ms,
    )


def _type(call: Call, one: SimOrder | SimAlgo) -> str:
    return (of_order(call.venue, one) if isinstance(one, SimOrder) else of_stop(call.venue, one)).type


def delete_all(call: Call) -> Row:
    """Every open order, protective stops included."""
    found = open_ones(call, call.core.view(call.account_id))
    return _cancel_each(call, [({}, lambda one=one: one) for one in found])  # type: ignore[misc]


def cancel_all_after(call: Call) -> Row:
    """The dead-man switch of the whole account."""
    kind, seconds = call.params.need("type"), call.params.need_integer("timeOut")
    key = (call.account_id, None)
    if kind == "CLOSE":
        call.venue.countdowns.pop(key, None)
        return {"triggerTime": 0, "status": "CLOSED", "note": ""}
    if kind != "ACTIVATE" or not 10 <= seconds <= 120:
        raise errors.invalid("timeOut: expected 10 to 120 seconds.")
    due_ms = call.venue.countdowns[key] = call.now_ms + seconds * 1_000
    when = datetime.fromtimestamp(due_ms // 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    note = f"All your perpetual pending orders will be closed automatically at {when} UTC(+0)"
    return {"triggerTime": due_ms // 1_000, "status": "ACTIVATED", "note": note}


# --- replacing -------------------------------------------------------------------------------------


def cancel_replace(call: Call) -> Whole:
    """Cancel, then place: between the two there is nothing."""
    params = call.params
    given = {"cancelOrderId": "orderId", "cancelClientOrderId": "clientOrderId"}
    selector = Params({given[name]: params.text(name) for name in given if name in params})
    view = call.core.view(call.account_id)
    answer: Row = {"cancelResult": "true", "cancelMsg": "", "cancelResponse": {}}
    answer |= {"replaceResult": "true", "replaceMsg": "", "newOrderResponse": {}}
    try:
        row = cancel(call, selected(call, selector, view))
        answer["cancelResponse"] = _cancelled_row(row)
    except (CoreRefusal, WireError) as failure:
        wrong = errors.refused(failure) if isinstance(failure, CoreRefusal) else failure
        answer |= {"cancelResult": "false", "cancelMsg": wrong.msg}
        if params.text("cancelReplaceMode", "STOP_ON_FAILURE") == "STOP_ON_FAILURE":
            raise wrong from failure
    try:
        answer["newOrderResponse"] = _replacement(call, place(call, params))
    except (CoreRefusal, WireError) as failure:
        wrong = errors.refused(failure) if isinstance(failure, CoreRefusal) else failure
        answer |= {"replaceResult": "false", "replaceMsg": wrong.msg}
    return Whole({"code": "0", "msg": "", "data": answer})


_NOT_OF_REPLACED = (
    "takeProfit",
    "stopLoss",
    "advanceAttr",
    "positionID",
    "takeProfitEntrustPrice",
    "stopLossEntrustPrice",
    "orderType",
)


def _cancelled_row(row: Row) -> Row:
    """A row as `cancelReplace` shows it."""
    kept = {name: value for name, value in row.items() if name not in _NOT_OF_REPLACED}
    return {"cancelClientOrderId": "", "cancelOrderId": row["orderId"], **kept}


def _replacement(call: Call, made: SimOrder | SimAlgo) -> Row:
    row = ack(call.venue, made)
    trigger = made.trigger_price if isinstance(made, SimAlgo) else ZERO
    kept = ("orderId", "symbol", "positionSide", "side", "type", "workingType", "clientOrderId", "reduceOnly")
    return {name: row[name] for name in kept} | {
        "clientOrderID": row["clientOrderID"],
        "price": number(made.price),
        "quantity": number(made.quantity),
        "stopPrice": number(trigger),
        "timeInForce": "GTC",
        "priceRate": 0,
        "stopLoss": call.params.text("stopLoss"),
        "takeProfit": call.params.text("takeProfit"),
    }


def amend(call: Call) -> Row:
    """Change a limit order's quantity, and nothing else."""
    order = selected(call, call.params, call.core.view(call.account_id))
    if not isinstance(order, SimOrder):
        raise errors.no_order()
    quantity = call.params.need_decimal("quantity")
    changed = call.core.amend_order(
        call.account_id,
        order.symbol,
        side=order.side,
        quantity=quantity,
        price=order.price,
        order_id=order.order_id,
    )
    return {
        "orderId": ids.of_order(changed.order_id),
        "clientOrderId": of_order(call.venue, changed).client_id,
        "symbol": changed.symbol.dashed,
        "quantity": number(changed.quantity),
    }


# --- closing ---------------------------------------------------------------------------------------


def close_all(call: Call) -> Row:
    """Market-close every position (of a symbol)."""
    wanted, view = set(call.symbols()), call.core.view(call.account_id)
    held = [key for key, position in view.positions.items() if position.quantity and key[0] in wanted]
    closed = [call.core.close_by_hand(call.account_id, symbol, side) for symbol, side in held]
    return {"success": [ids.of_order(order.order_id) for order in closed if order], "failed": None}


def close_position(call: Call) -> Whole:
    found = call.venue.positions.by_id(call.account_id, call.params.need_integer("positionId"))
    if found is None:
        raise errors.no_position()
    (_, symbol, side), life = found
    order = call.core.close_by_hand(call.account_id, symbol, side)
    if order is None:
        raise errors.no_position()
    row = {
        "orderId": ids.of_order(order.order_id),
        "positionId": str(life.position_id),
        "symbol": symbol.dashed,
        "side": "Ask" if life.side is PositionSide.LONG else "Bid",
        "type": "MARKET",
        "positionSide": life.side.value.capitalize(),
        "origQty": plain(order.quantity),
    }
    return stamped(call, row)
