"""Numbers, orders, stops and fills as the exchange writes them (exchange sheet §3.4, §3.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.numbers import plain
from holdfast.domain.orders import Side
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import (
    AlgoStatus,
    AlgoType,
    ExpireReason,
    Income,
    OrderKind,
    SimAlgo,
    SimFill,
    SimOrder,
    Tif,
    Working,
)
from holdfast.simulator.wire.figures import Row, price, quantity


@dataclass(frozen=True, slots=True)
class Extras:
    """What the exchange echoes of an order though the core has no use for it."""

    price_match: str = "NONE"
    self_trade: str = "EXPIRE_MAKER"


NO_EXTRAS = Extras()


TIFS: Mapping[Tif, str] = {Tif.GTC: "GTC", Tif.IOC: "IOC", Tif.FOK: "FOK", Tif.POST_ONLY: "GTX"}
WORKINGS: Mapping[Working, str] = {Working.LAST: "CONTRACT_PRICE", Working.MARK: "MARK_PRICE"}
EXPIRE_REASONS: Mapping[ExpireReason, str] = {
    ExpireReason.NONE: "0",
    ExpireReason.IOC_REST: "2",
    ExpireReason.REDUCE_ONLY: "4",
    ExpireReason.LIQUIDATION: "5",
    ExpireReason.GTE_UNSATISFIED: "6",
    ExpireReason.DELISTED: "7",
    ExpireReason.STOP_TRIGGERED: "8",
    ExpireReason.MARKET_REST: "9",
}
_MARKET_TYPES = (AlgoType.STOP_MARKET, AlgoType.TAKE_PROFIT_MARKET, AlgoType.TRAILING_STOP_MARKET)
# After these the real order exists, or existed.
_TRIGGERED = (AlgoStatus.TRIGGERED, AlgoStatus.FINISHED)


def amount(value: Decimal) -> str:
    """Quote amounts: eight decimals."""
    return f"{value:.8f}"


def amount_or_zero(value: Decimal) -> str:
    """The bare "0" where the exchange writes it so: clients tell cross from isolated by it."""
    return amount(value) if value else "0"


def average(instrument: SimInstrument, value: Decimal) -> str:
    return f"{value:.{max(5, instrument.price_decimals)}f}"


def order_type(order: SimOrder) -> str:
    """What it is by now: a triggered stop is a market or limit order."""
    return order.kind.value.upper()


def original_type(order: SimOrder) -> str:
    """What it was placed as."""
    return order.algo_type.value.upper() if order.algo_type else order_type(order)


def _common(instrument: SimInstrument, order: SimOrder, extras: Extras) -> Row:
    return {
        "orderId": order.order_id,
        "symbol": order.symbol.compact,
        "status": order.status.value.upper(),
        "clientOrderId": order.client_id,
        "price": price(instrument, order.price),
        "origQty": quantity(instrument, order.quantity),
        "executedQty": quantity(instrument, order.filled),
        "timeInForce": TIFS[order.tif],
        "type": order_type(order),
        "reduceOnly": order.reduce_only,
        "closePosition": order.close_position,
        "side": order.side.value.upper(),
        "positionSide": order.position_side.value.upper(),
        "stopPrice": price(instrument, order.stop_price),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": original_type(order),
        "priceMatch": extras.price_match,
        "selfTradePreventionMode": extras.self_trade,
        "goodTillDate": 0,
        "updateTime": order.updated_ms,
    }


def order_result(instrument: SimInstrument, order: SimOrder, extras: Extras, legacy: bool) -> Row:
    """The answer to placing, changing and cancelling: without prices since mid-2026."""
    row = _common(instrument, order, extras) | {"cumQty": quantity(instrument, order.filled)}
    if legacy:
        row |= _money(instrument, order)
    return row


def order_ack(instrument: SimInstrument, order: SimOrder, extras: Extras, legacy: bool) -> Row:
    """`newOrderRespType=ACK`: taken, and not a word about fills."""
    nothing = quantity(instrument, Decimal(0))
    row = order_result(instrument, order, extras, legacy)
    row |= {"status": "NEW", "executedQty": nothing, "cumQty": nothing}
    if legacy:
        row |= {"avgPrice": price(instrument, Decimal(0)), "cumQuote": "0.00000"}
    return row


def _money(instrument: SimInstrument, order: SimOrder) -> Row:
    return {
        "avgPrice": average(instrument, order.average_price),
        "cumQuote": f"{order.quote_filled:.5f}",
    }


def order_row(instrument: SimInstrument, order: SimOrder, extras: Extras = NO_EXTRAS) -> Row:
    """A query's row."""
    return _common(instrument, order, extras) | _money(instrument, order) | {"time": order.created_ms}


def history_row(instrument: SimInstrument, order: SimOrder, extras: Extras = NO_EXTRAS) -> Row:
    """`allOrders` tells a little more."""
    row = order_row(instrument, order, extras)
    return row | {"pair": order.symbol.compact, "cumBase": quantity(instrument, order.filled)}


def algo_row(instrument: SimInstrument, algo: SimAlgo, extras: Extras = NO_EXTRAS) -> Row:
    """The answer to placing a conditional order."""
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type.value.upper(),
        "symbol": algo.symbol.compact,
        "side": algo.side.value.upper(),
        "positionSide": algo.position_side.value.upper(),
        "timeInForce": TIFS[algo.tif],
        "quantity": quantity(instrument, algo.quantity),
        "algoStatus": algo.status.value.upper(),
        "triggerPrice": price(instrument, algo.trigger_price),
        "price": price(instrument, algo.price),
        "icebergQuantity": None,
        "selfTradePreventionMode": extras.self_trade,
        "workingType": WORKINGS[algo.working],
        "priceMatch": extras.price_match,
        "closePosition": algo.close_position,
        "priceProtect": algo.price_protect,
        "reduceOnly": algo.reduce_only,
        "activatePrice": price(instrument, algo.activate_price) if algo.activate_price else "",
        "callbackRate": plain(algo.callback_rate) if algo.callback_rate else "",
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.triggered_ms,
        "goodTillDate": 0,
    }


def algo_detail(instrument: SimInstrument, algo: SimAlgo, extras: Extras = NO_EXTRAS) -> Row:
    """A query's row: what came of it, too. Quantity and type appear only once it has triggered."""
    zero = f"{0:.{instrument.price_decimals}f}"
    row = algo_row(instrument, algo, extras) | {
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
        "actualPrice": average(instrument, algo.actual_price) if algo.actual_price else zero,
        "tpTriggerPrice": "0.000",
        "tpPrice": "0.000",
        "slTriggerPrice": "0.000",
        "slPrice": "0.000",
        "tpOrderType": "",
    }
    if algo.status in _TRIGGERED:
        row["actualType"] = algo_order_kind(algo).value.upper()
        row["actualQty"] = quantity(instrument, algo.actual_quantity)
    return row


def algo_order_kind(algo: SimAlgo) -> OrderKind:
    """The kind of the real order it becomes."""
    return OrderKind.MARKET if algo.type in _MARKET_TYPES else OrderKind.LIMIT


def trade_row(instrument: SimInstrument, fill: SimFill) -> Row:
    """One row of `userTrades`; a positive commission was paid."""
    return {
        "symbol": fill.symbol.compact,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.value.upper(),
        "price": price(instrument, fill.price),
        "qty": quantity(instrument, fill.quantity),
        "realizedPnl": amount_or_zero(fill.realized),
        "quoteQty": f"{fill.price * fill.quantity:.5f}",
        "baseQty": "0",
        "commission": amount(fill.fee),
        "commissionAsset": fill.symbol.quote,
        "marginAsset": fill.symbol.quote,
        "time": fill.at_ms,
        "positionSide": fill.position_side.value.upper(),
        "maker": fill.maker,
        "buyer": fill.side is Side.BUY,
        "pair": fill.symbol.compact,
    }


def income_row(income: Income) -> Row:
    return {
        "symbol": income.symbol.compact if income.symbol else "",
        "incomeType": income.type,
        "income": amount(income.amount),
        "asset": income.asset,
        "info": income.info or income.type,
        "time": income.at_ms,
        "tranId": income.tran_id,
        "tradeId": income.trade_id,
    }
