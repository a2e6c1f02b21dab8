"""What a client wants placed: one endpoint for every type of order (exchange sheet §3.3, §4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from holdfast.domain.account import PositionMode
from holdfast.domain.numbers import ZERO, floor_to
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.bingx import errors
from holdfast.simulator.bingx.params import Params
from holdfast.simulator.bingx.venue import Call, Extras
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import (
    AlgoRequest,
    AlgoType,
    OrderKind,
    OrderRequest,
    Tif,
    Working,
)
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.params import texts

SIDES: Mapping[str, Side] = {"BUY": Side.BUY, "SELL": Side.SELL}
POSITION_SIDES: Mapping[str, PositionSide] = {side.value.upper(): side for side in PositionSide}
TIFS: Mapping[str, Tif] = {"GTC": Tif.GTC, "IOC": Tif.IOC, "FOK": Tif.FOK, "PostOnly": Tif.POST_ONLY}
KINDS: Mapping[str, OrderKind] = {"LIMIT": OrderKind.LIMIT, "MARKET": OrderKind.MARKET}
PROTECTIVE: Mapping[str, AlgoType] = {type_.value.upper(): type_ for type_ in AlgoType}
# (fires when the price rises?, of the side that buys?) → the core's type of that direction
_TRIGGERS: Mapping[tuple[bool, bool], tuple[AlgoType, AlgoType]] = {
    (True, True): (AlgoType.STOP_MARKET, AlgoType.STOP),
    (False, False): (AlgoType.STOP_MARKET, AlgoType.STOP),
    (True, False): (AlgoType.TAKE_PROFIT_MARKET, AlgoType.TAKE_PROFIT),
    (False, True): (AlgoType.TAKE_PROFIT_MARKET, AlgoType.TAKE_PROFIT),
}
TRIGGERS = ("TRIGGER_MARKET", "TRIGGER_LIMIT")
PRICED = (AlgoType.STOP, AlgoType.TAKE_PROFIT)
LOSSES = (AlgoType.STOP, AlgoType.STOP_MARKET, AlgoType.TRAILING_STOP_MARKET)
WORKINGS: Mapping[str, Working] = {"MARK_PRICE": Working.MARK, "CONTRACT_PRICE": Working.LAST}
_CLIENT_ID = re.compile(r"^[A-Za-z0-9_-]{1,40}$")


@dataclass(frozen=True, slots=True)
class Common:
    """What every type has."""

    type: str
    side: Side
    position_side: PositionSide
    client_id: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for the core, and what else is to be remembered of it."""

    request: OrderRequest | AlgoRequest
    extras: Extras


def read_wish(call: Call, params: Params) -> Wish:
    """Raises `WireError` in the exchange's words, mode errors first."""
    instrument = call.core.instrument(params.symbol())
    type_, side = params.need("type"), params.choice("side", SIDES, errors.invalid("side"))
    common = Common(type_, side, position_side_of(call, params), client_id(params))
    if type_ in KINDS:
        return _regular(call, params, instrument, common)
    if type_ in PROTECTIVE or type_ in TRIGGERS:
        if "stopLoss" in params or "takeProfit" in params:
            raise errors.invalid("stopLoss/takeProfit: only with MARKET and LIMIT orders.")
        return _conditional(call, params, instrument, common)
    raise errors.invalid(f"type: {type_} is not supported.")


def position_side_of(call: Call, params: Params) -> PositionSide:
    """109400 unless it fits the account's mode; reduceOnly does not exist in hedge mode."""
    side = params.choice_or("positionSide", POSITION_SIDES, PositionSide.BOTH, errors.invalid("positionSide"))
    hedge = call.account.position_mode is PositionMode.HEDGE
    if hedge and side is PositionSide.BOTH:
        raise errors.needs_side()
    if not hedge and side is not PositionSide.BOTH:
        raise errors.needs_both()
    if hedge and params.flag("reduceOnly"):
        raise errors.error(109400, "In the Hedge mode, the 'ReduceOnly' field can not be filled.")
    return side


def client_id(params: Params) -> str:
    """The client's own id in lower case, "" when not sent."""
    text = params.text("clientOrderId")
    if text and not _CLIENT_ID.match(text):
        raise errors.invalid("clientOrderId: 1 to 40 letters, digits, _ and -.")
    return text.lower()


def quantity_of(call: Call, params: Params, instrument: SimInstrument) -> Decimal:
    """In coins, cut to the step; of a market order also given as a quote amount."""
    if "quantity" not in params and "quoteOrderQty" in params:
        last = call.core.prices(instrument.symbol).last
        return floor_to(params.need_decimal("quoteOrderQty") / last, instrument.quantity_step)
    wanted = params.need_decimal("quantity")
    if not call.switches.truncates_quantity:
        return wanted
    cut = floor_to(wanted, instrument.quantity_step)
    if wanted > 0 and not cut:
        raise errors.error(110422, f"The minimum order amount is {instrument.quantity_min}.")
    return cut


# --- LIMIT and MARKET ------------------------------------------------------------------------------


def _regular(call: Call, params: Params, instrument: SimInstrument, common: Common) -> Wish:
    kind = KINDS[common.type]
    request = OrderRequest(
        symbol=instrument.symbol,
        side=common.side,
        kind=kind,
        quantity=quantity_of(call, params, instrument),
        price=params.need_decimal("price") if kind is OrderKind.LIMIT else None,
        tif=params.choice_or("timeInForce", TIFS, Tif.GTC, errors.invalid("timeInForce")),
        reduce_only=params.flag("reduceOnly"),
        position_side=common.position_side,
        client_id=common.client_id,
    )
    if kind is OrderKind.MARKET:
        request = replace(request, tif=Tif.GTC)
    attached = [_attached(call, params, request, name) for name in ("stopLoss", "takeProfit")]
    extras = Extras(
        type=common.type,
        client_id=common.client_id,
        stop_loss=attached[0][1] if attached[0] else None,
        take_profit=attached[1][1] if attached[1] else None,
    )
    algos = tuple(found[0] for found in attached if found)
    return Wish(replace(request, attached=algos), extras)


def _attached(call: Call, params: Params, order: OrderRequest, name: str) -> tuple[AlgoRequest, Row] | None:
    """A stop or profit sent along as JSON text; on the right side of the price, or 110411 to 110414."""
    if name not in params:
        return None
    inner = _inner(params.need(name), name)
    type_ = inner.choice("type", PROTECTIVE, errors.invalid(f"{name}.type"))
    working = inner.choice_or("workingType", WORKINGS, Working.MARK, errors.invalid(f"{name}.workingType"))
    stop = inner.need_decimal("stopPrice")
    prices, long = call.core.prices(order.symbol), order.side is Side.BUY
    reference = order.price or (prices.mark if working is Working.MARK else prices.last)
    loss = type_ in LOSSES
    if stop >= reference if loss is long else stop <= reference:
        raise errors.passed(loss, long)
    request = AlgoRequest(
        symbol=order.symbol,
        side=Side.SELL if long else Side.BUY,
        type=type_,
        trigger_price=stop,
        quantity=inner.decimal("quantity") or ZERO,
        price=inner.decimal("price") if type_ in PRICED else None,
        working=working,
        reduce_only=order.position_side is PositionSide.BOTH,
        position_side=order.position_side,
        tied=call.switches.stops_end_with_position,
    )
    row: Row = {
        "type": inner.need("type"),
        "quantity": float(request.quantity),
        "stopPrice": float(stop),
        "price": float(inner.decimal("price") or ZERO),
        "workingType": inner.text("workingType", "MARK_PRICE"),
    }
    return request, row


def _inner(text: str, name: str) -> Params:
    try:
        value = msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise errors.invalid(f"{name}: expected JSON.") from error
    if not isinstance(value, dict):
        raise errors.invalid(f"{name}: expected JSON.")
    return Params(texts(value))


# --- stops, profits, triggers ----------------------------------------------------------------------


def _conditional(call: Call, params: Params, instrument: SimInstrument, common: Common) -> Wish:
    working = params.choice_or("workingType", WORKINGS, Working.MARK, errors.invalid("workingType"))
    plain = common.type in TRIGGERS
    trailing = common.type == "TRAILING_STOP_MARKET"
    stop = None if trailing else params.need_decimal("stopPrice")
    type_ = PROTECTIVE.get(common.type) or _trigger_type(call, common, instrument, working, stop or ZERO)
    closes_all = params.flag("closePosition")
    keep = call.switches.stops_keep_client_ids
    own_id = common.client_id if keep else ""
    request = AlgoRequest(
        symbol=instrument.symbol,
        side=common.side,
        type=type_,
        trigger_price=stop,
        quantity=ZERO if closes_all else quantity_of(call, params, instrument),
        price=params.need_decimal("price") if type_ in PRICED else None,
        working=working,
        close_position=closes_all,
        reduce_only=_reduces(call, params, common, plain=plain, closes_all=closes_all),
        position_side=common.position_side,
        activate_price=params.decimal("activationPrice") if trailing else None,
        callback_rate=_callback(params) if trailing else None,
        callback_distance=params.decimal("price") if trailing and "priceRate" not in params else None,
        client_id=own_id,
        tied=not plain and call.switches.stops_end_with_position,
    )
    word = params.text("workingType", "MARK_PRICE")
    return Wish(request, Extras(type=common.type, client_id=own_id, working_type=word))


def _reduces(call: Call, params: Params, common: Common, *, plain: bool, closes_all: bool) -> bool:
    """Whether the core is to see to it; in hedge mode the side says it, with closePosition the flag."""
    if closes_all or common.position_side is not PositionSide.BOTH:
        return False
    return params.flag("reduceOnly") or (not plain and call.switches.stops_only_reduce)


def _trigger_type(
    call: Call, common: Common, instrument: SimInstrument, working: Working, stop: Decimal
) -> AlgoType:
    """A plain trigger fires from whichever side the price comes."""
    prices = call.core.prices(instrument.symbol)
    reference = prices.mark if working is Working.MARK else prices.last
    at_market, priced = _TRIGGERS[stop > reference, common.side is Side.BUY]
    return priced if common.type == "TRIGGER_LIMIT" else at_market


def _callback(params: Params) -> Decimal | None:
    """Per cent; None when a distance (`price`) is given instead."""
    rate = params.decimal("priceRate")
    if rate is None and "price" not in params:
        raise errors.invalid("priceRate: This field is required.")
    return None if rate is None else rate * 100
