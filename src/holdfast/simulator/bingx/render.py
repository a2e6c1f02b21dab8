"""Orders, stops and fills as BingX writes them (exchange sheet §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from holdfast.domain.account import PositionMode
from holdfast.domain.numbers import ZERO
from holdfast.simulator.bingx import ids
from holdfast.simulator.bingx.venue import Extras, Venue
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.model import (
    AlgoStatus,
    AlgoType,
    SimAccount,
    SimAlgo,
    SimFill,
    SimOrder,
    Status,
    Tif,
    Working,
)
from holdfast.simulator.wire.figures import Row, price, quantity

WORKINGS: Mapping[Working, str] = {Working.LAST: "CONTRACT_PRICE", Working.MARK: "MARK_PRICE"}
STATUSES: Mapping[Status, str] = {
    Status.NEW: "PENDING",
    Status.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    Status.FILLED: "FILLED",
    Status.CANCELED: "CANCELLED",
    Status.EXPIRED: "EXPIRED",
}
_NOTHING: Row = {"type": "", "quantity": 0, "stopPrice": 0, "price": 0, "workingType": ""}


def money(value: Decimal) -> str:
    """Quote amounts of accounts and positions: four decimals."""
    return f"{value:.4f}"


def fee_text(value: Decimal) -> str:
    return f"{value:.6f}"


def number(value: Decimal) -> int | float:
    """A JSON number."""
    return int(value) if value == value.to_integral_value() else float(value)


def times(at_ms: int) -> Row:
    """A fill's time twice, with the same digits, as recorded: only `filledTm` means what it says."""
    moment = datetime.fromtimestamp(at_ms / 1_000, UTC)
    return {
        "filledTm": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "filledTime": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1_000:03d}+0800",
    }


# --- what is remembered of an order ----------------------------------------------------------------


def of_order(venue: Venue, order: SimOrder) -> Extras:
    known = venue.extras.get(order.order_id)
    if known is not None:
        return known
    return Extras(type="LIQUIDATION" if order.liquidation else order.kind.value.upper())


def of_stop(venue: Venue, algo: SimAlgo) -> Extras:
    return venue.extras.get(algo.algo_id) or Extras(type=algo.type.value.upper())


def wire_id(venue: Venue, order: SimOrder) -> int:
    """The id an order is known by: its own, or that of the stop it came from."""
    if order.algo_id and not venue.switches.child_gets_new_id:
        return ids.of_stop(order.algo_id)
    return ids.of_order(order.order_id)


# --- rows ------------------------------------------------------------------------------------------


class Sheet:
    """What rows of one account are written with; its fills are sorted by order once, when asked for."""

    def __init__(self, venue: Venue, view: SimAccount) -> None:
        self.venue, self.view = venue, view
        self._by_order: dict[int, list[SimFill]] | None = None

    def _fills(self, order_id: int) -> list[SimFill]:
        if self._by_order is None:
            self._by_order = {}
            for fill in self.view.fills:
                self._by_order.setdefault(fill.order_id, []).append(fill)
        return self._by_order.get(order_id, [])

    def row(self, order: SimOrder | SimAlgo) -> Row:
        return self.order(order) if isinstance(order, SimOrder) else self.stop(order)

    def order(self, order: SimOrder) -> Row:
        instrument, extras = self.venue.core.instrument(order.symbol), of_order(self.venue, order)
        stop = price(instrument, order.stop_price) if order.stop_price else ""
        return self._head(order, wire_id(self.venue, order), extras) | {
            "origQty": quantity(instrument, order.quantity),
            "price": price(instrument, order.price or order.average_price),
            "stopPrice": stop if not self.venue.switches.child_gets_new_id else "",
            "status": STATUSES[order.status],
            **_filled(instrument, order, self._fills(order.order_id)),
            **self._tail(order, extras),
            "workingType": extras.working_type or "MARK_PRICE",
            "triggerOrderId": ids.of_stop(order.algo_id) if order.algo_id else 0,
            "postOnly": order.tif is Tif.POST_ONLY,
            "reduceOnly": order.reduce_only,
            "closePosition": "true" if order.close_position else "",
        }

    def stop(self, algo: SimAlgo) -> Row:
        """A conditional order; where its order goes on under its id, with what came of that."""
        instrument, extras = self.venue.core.instrument(algo.symbol), of_stop(self.venue, algo)
        child = None if self.venue.switches.child_gets_new_id else self.view.orders.get(algo.order_id)
        trailing = algo.type is AlgoType.TRAILING_STOP_MARKET
        fills = self._fills(child.order_id) if child else []
        return self._head(algo, ids.of_stop(algo.algo_id), extras) | {
            "origQty": quantity(instrument, algo.quantity),
            "price": price(instrument, algo.price),
            "stopPrice": "" if trailing else price(instrument, algo.trigger_price),
            "status": STATUSES[child.status] if child else self._status(algo),
            **_filled(instrument, child, fills),
            **self._tail(algo, extras),
            "workingType": WORKINGS[algo.working],
            "triggerOrderId": ids.of_order(algo.order_id) if algo.order_id and child is None else 0,
            "trailingStopRate": float(algo.callback_rate / 100) if algo.callback_rate else 0,
            "trailingStopDistance": number(algo.callback_distance or ZERO),
            "priceRate": float(algo.callback_rate / 100) if algo.callback_rate else 0,
            "postOnly": False,
            "reduceOnly": algo.reduce_only,
            "closePosition": "true" if algo.close_position else "",
        }

    def _status(self, algo: SimAlgo) -> str:
        if algo.status in (AlgoStatus.TRIGGERED, AlgoStatus.FINISHED):
            return self.venue.switches.triggered_as
        if algo.status is AlgoStatus.EXPIRED:
            return {"CANCELED": "CANCELLED", "EXPIRED": "EXPIRED"}[self.venue.switches.orphans_end_as]
        words = {AlgoStatus.CANCELED: "CANCELLED", AlgoStatus.REJECTED: "FAILED"}
        return words.get(algo.status, "NEW")

    def _head(self, order: SimOrder | SimAlgo, wire: int, extras: Extras) -> Row:
        return {
            "symbol": order.symbol.dashed,
            "orderId": wire,
            "side": order.side.value.upper(),
            "positionSide": order.position_side.value.upper(),
            "type": extras.type,
            "time": order.created_ms,
            "updateTime": order.updated_ms,
            "clientOrderId": extras.client_id,
        }

    def _tail(self, order: SimOrder | SimAlgo, extras: Extras) -> Row:
        leverage = self.venue.side_leverage(self.view, order.symbol, order.position_side)
        return {
            "leverage": f"{leverage}X",
            "takeProfit": extras.take_profit or dict(_NOTHING),
            "stopLoss": extras.stop_loss or dict(_NOTHING),
            "advanceAttr": 0,
            "positionID": 0,
            "takeProfitEntrustPrice": 0,
            "stopLossEntrustPrice": 0,
            "orderType": "",
            "stopGuaranteed": False,
            "trailingStopRate": 0,
            "trailingStopDistance": 0,
            "onlyOnePosition": self.view.position_mode is PositionMode.ONE_WAY,
        }


def _filled(instrument: SimInstrument, order: SimOrder | None, done: list[SimFill]) -> Row:
    """What was executed; `cumQuote` is rounded to whole quote, as recorded."""
    filled, average = (order.filled, order.average_price) if order else (ZERO, ZERO)
    return {
        "executedQty": quantity(instrument, filled),
        "avgPrice": price(instrument, average),
        "cumQuote": f"{order.quote_filled if order else ZERO:.0f}",
        "profit": money(sum((fill.realized for fill in done), ZERO)),
        "commission": fee_text(-sum((fill.fee for fill in done), ZERO)),
    }


def ack(venue: Venue, order: SimOrder | SimAlgo) -> Row:
    """The answer to placing: taken, and not a word about fills."""
    if isinstance(order, SimOrder):
        wire, extras, stop = ids.of_order(order.order_id), of_order(venue, order), ""
    else:
        wire, extras = ids.of_stop(order.algo_id), of_stop(venue, order)
        stop = price(venue.core.instrument(order.symbol), order.trigger_price)
    return {
        "symbol": order.symbol.dashed,
        "orderId": wire,
        "orderID": str(wire),
        "side": order.side.value.upper(),
        "positionSide": order.position_side.value.upper(),
        "type": extras.type,
        "clientOrderID": extras.client_id,
        "clientOrderId": extras.client_id,
        "workingType": extras.working_type or "MARK_PRICE",
        "status": "NEW",
        "avgPrice": "0",
        "executedQty": "0",
        "stopPrice": stop,
        "reduceOnly": order.reduce_only,
    }


# --- fills -----------------------------------------------------------------------------------------


def fill_row(venue: Venue, order: SimOrder, fill: SimFill) -> Row:
    """One row of `allFillOrders`: no trade id, no side."""
    instrument = venue.core.instrument(fill.symbol)
    return times(fill.at_ms) | {
        "volume": quantity(instrument, fill.quantity),
        "price": price(instrument, fill.price),
        "amount": money(fill.price * fill.quantity),
        "commission": money(-fill.fee),
        "currency": fill.symbol.settle,
        "orderId": str(wire_id(venue, order)),
        "liquidatedPrice": price(instrument, fill.price) if order.liquidation else "",
        "liquidatedMarginRatio": "",
        "clientOrderID": of_order(venue, order).client_id,
        "symbol": fill.symbol.dashed,
    }


def history_row(venue: Venue, order: SimOrder, fill: SimFill) -> Row:
    """One row of `fillHistory`."""
    instrument = venue.core.instrument(fill.symbol)
    size = quantity(instrument, fill.quantity)
    return times(fill.at_ms) | {
        "volume": size,
        "price": price(instrument, fill.price),
        "qty": size,
        "quoteQty": f"{fill.price * fill.quantity:.2f}",
        "commission": money(-fill.fee),
        "commissionAsset": fill.symbol.settle,
        "orderId": str(wire_id(venue, order)),
        "tradeId": str(fill.trade_id),
        "symbol": fill.symbol.dashed,
        "role": "maker" if fill.maker else "taker",
        "side": fill.side.value,
        "positionSide": fill.position_side.value,
    }
