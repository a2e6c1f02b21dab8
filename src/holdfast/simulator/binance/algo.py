"""The Algo service: conditional orders, a book and an id space of their own (exchange sheet §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.errors import either, missing, no_such_order, not_valid
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.render import NO_EXTRAS, algo_detail, algo_row
from holdfast.simulator.binance.trade import (
    DONE,
    TIFS,
    client_id,
    extras_of,
    matched_price,
    position_side_of,
    side_of,
    span,
)
from holdfast.simulator.binance.venue import Call
from holdfast.simulator.core.model import AlgoRequest, AlgoType, SimAccount, SimAlgo, Tif, Working
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.figures import Row

TYPES: Mapping[str, AlgoType] = {type_.value.upper(): type_ for type_ in AlgoType}
WORKINGS: Mapping[str, Working] = {"CONTRACT_PRICE": Working.LAST, "MARK_PRICE": Working.MARK}
# GTE_GTC is what the exchange itself calls a stop that lives as long as the position.
ALGO_TIFS: Mapping[str, Tif] = {**TIFS, "GTE_GTC": Tif.GTC}
WITH_PRICE = (AlgoType.STOP, AlgoType.TAKE_PROFIT)


def algo_request(call: Call) -> AlgoRequest:
    """The conditional order a client asks for, checked in the exchange's order."""
    params = call.params
    symbol = call.core.instrument(params.symbol()).symbol
    params.require_all(("algoType", "side", "type"))
    if params.need("algoType") != "CONDITIONAL":
        raise not_valid("algoType")
    type_ = params.choice("type", TYPES, WireError(-1116, "Invalid orderType."))
    side = side_of(params)
    return AlgoRequest(
        symbol=symbol,
        side=side,
        type=type_,
        trigger_price=_trigger(params, type_),
        quantity=_quantity(params),
        price=matched_price(call, params, symbol, side) if _needs_price(params, type_) else None,
        working=params.choice_or("workingType", WORKINGS, Working.LAST, not_valid("workingType")),
        close_position=params.flag("closePosition"),
        reduce_only=params.flag("reduceOnly"),
        price_protect=params.flag("priceProtect"),
        position_side=position_side_of(params),
        tif=params.choice_or("timeInForce", ALGO_TIFS, Tif.GTC, WireError(-1115, "Invalid timeInForce.")),
        activate_price=params.decimal("activatePrice"),
        callback_rate=_callback(params, type_),
        client_id=client_id(params, "clientAlgoId"),
    )


def _trigger(params: Params, type_: AlgoType) -> Decimal | None:
    if type_ is AlgoType.TRAILING_STOP_MARKET:
        return None
    return params.need_decimal("triggerPrice")


def _quantity(params: Params) -> Decimal:
    if params.flag("closePosition"):
        return params.decimal("quantity") or ZERO
    return params.need_decimal("quantity")


def _needs_price(params: Params, type_: AlgoType) -> bool:
    if type_ not in WITH_PRICE:
        return False
    if "price" not in params and "priceMatch" not in params:
        raise missing("price")
    return True


def _callback(params: Params, type_: AlgoType) -> Decimal | None:
    """Per cent; 0.1 to 10 for a trailing stop, which needs it."""
    if type_ is not AlgoType.TRAILING_STOP_MARKET:
        return None
    rate = params.need_decimal("callbackRate")
    if not Decimal("0.1") <= rate <= 10:
        raise not_valid("callbackRate")
    return rate


def post_algo(call: Call) -> Row:
    request, extras = algo_request(call), extras_of(call.params)
    algo = call.core.place_algo(call.account_id, request)
    if extras != NO_EXTRAS:
        call.venue.extras[algo.algo_id] = extras
    return algo_row(call.core.instrument(algo.symbol), algo, extras)


def selectors(params: Params) -> tuple[int | None, str | None]:
    algo_id, own_id = params.integer_or_none("algoId"), params.text("clientAlgoId") or None
    if algo_id is None and own_id is None:
        raise either("algoId", "clientAlgoId")
    return algo_id, (own_id if algo_id is None else None)


def delete_algo(call: Call) -> Row:
    algo_id, own_id = selectors(call.params)
    algo = call.core.cancel_algo(call.account_id, algo_id=algo_id, client_id=own_id)
    # The code is a string here, and only here.
    return {"algoId": algo.algo_id, "clientAlgoId": algo.client_id, "code": "200", "msg": "success"}


def delete_all_algos(call: Call) -> Row:
    call.core.cancel_all_algos(call.account_id, call.instrument().symbol)
    return dict(DONE)


def _find(call: Call, view: SimAccount) -> SimAlgo | None:
    algo_id, own_id = selectors(call.params)
    if algo_id is not None:
        return view.algos.get(algo_id)
    return call.core.algo_by_client_id(view, own_id or "")


def _row(call: Call, algo: SimAlgo) -> Row:
    extras = call.venue.extras.get(algo.algo_id, NO_EXTRAS)
    return algo_detail(call.core.instrument(algo.symbol), algo, extras)


def get_algo(call: Call) -> Row:
    algo = _find(call, call.view())
    if algo is None:
        raise no_such_order()
    return _row(call, algo)


def _listed(call: Call) -> list[SimAlgo]:
    """The account's conditional orders that the parameters ask for, by id."""
    wanted: frozenset[Symbol] = frozenset(call.symbols())
    algo_id = call.params.integer_or_none("algoId")
    return [
        algo
        for algo in call.view().algos.values()
        if algo.symbol in wanted and (algo_id is None or algo.algo_id == algo_id)
    ]


def get_open_algos(call: Call) -> list[Row]:
    return [_row(call, algo) for algo in _listed(call) if not algo.status.final]


def get_all_algos(call: Call) -> list[Row]:
    call.params.need("symbol")
    start, end = span(call.params, call.now_ms)
    algos = [algo for algo in _listed(call) if start <= algo.created_ms <= end]
    return [_row(call, algo) for algo in algos[-call.params.limit(500, 1000) :]]
