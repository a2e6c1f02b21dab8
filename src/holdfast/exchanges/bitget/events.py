"""Stream messages as news (exchange sheet §7). Raises `BadAnswer` and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TypeVar

from holdfast.domain.account import Mark
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Fill, Order, PositionSide, Stop, StopStatus
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import decode, wire
from holdfast.exchanges.decoding import Reader, amount, price, word
from holdfast.exchanges.names import Names
from holdfast.exchanges.port import MarkNews, News, OrderNews, PositionNews, StopNews

Heard = list[News]
V = TypeVar("V")

CHANNELS = ("orders", "orders-algo", "fill", "positions")
"""What a private connection listens to."""
WAITING_MAX = 256
"""So many halves of an execution, and ended stops, are remembered."""

FRAME = Reader(wire.Frame)
_ORDERS = Reader(list[wire.OrderEvent])
_PLANS = Reader(list[wire.PlanEvent])
_FILLS = Reader(list[wire.FillRow])
_POSITIONS = Reader(list[wire.PositionEvent])
_TICKERS = Reader(list[wire.TickerEvent])


class UserNews:
    """What pushes of the private channels say, with what has to be remembered between them.

    An execution comes in two halves, by `orders` and by `fill` (only that tells its own result), in
    either order. A closed position is only missing from the next list. A stop does not tell which order
    it became; that order's client id is the stop's, or the stop's own id.
    """

    def __init__(self) -> None:
        self._fills: dict[str, wire.FillRow] = {}
        self._orders: dict[str, Order] = {}
        self._ended: dict[str, Stop] = {}
        self._held: dict[tuple[Symbol, PositionSide], Decimal] = {}

    def read(self, frame: wire.Frame, names: Names) -> Heard | None:
        """The news of one push; None for channels we do not use."""
        channel = frame.arg.channel if frame.arg is not None else ""
        convert = _USER.get(channel)
        return convert(self, frame, names) if convert is not None else None

    def read_orders(self, frame: wire.Frame, names: Names) -> Heard:
        heard: Heard = []
        for row in _ORDERS.read(frame.data):
            order = _order(row, names)
            heard.extend(self._became(order, frame.ts))
            fill = None
            if row.tradeId and order.filled:
                half = self._fills.pop(row.tradeId, None)
                fill = _fill(half, order, names) if half is not None else None
                if fill is None:
                    _remember(self._orders, row.tradeId, order)
            heard.append(OrderNews(order=order, fill=fill, exchange_ms=frame.ts))
        return heard

    def _became(self, order: Order, exchange_ms: int) -> Heard:
        """The stop that turned into this order is told once more, with the order's id."""
        stop = self._ended.pop(order.client_id, None) if order.client_id else None
        if stop is None:
            return []
        return [StopNews(stop=replace(stop, order_id=order.order_id), exchange_ms=exchange_ms)]

    def read_fills(self, frame: wire.Frame, names: Names) -> Heard:
        heard: Heard = []
        for row in _FILLS.read(frame.data):
            order = self._orders.pop(row.tradeId, None)
            if order is None:
                _remember(self._fills, row.tradeId, row)
            else:
                fill = _fill(row, order, names)
                heard.append(OrderNews(order=order, fill=fill, exchange_ms=frame.ts))
        return heard

    def read_plans(self, frame: wire.Frame, names: Names) -> Heard:
        stops = [_stop(row, names) for row in _PLANS.read(frame.data)]
        for stop in stops:
            if stop.status is StopStatus.FINISHED:
                for name in (stop.stop_id, stop.client_id):
                    _remember(self._ended, name, stop)
        return [StopNews(stop=stop, exchange_ms=frame.ts) for stop in stops]

    def read_positions(self, frame: wire.Frame, names: Names) -> Heard:
        """The whole list each time: what was in the last one and is not in this one is flat."""
        news = [_position(row, frame.ts, names) for row in _POSITIONS.read(frame.data)]
        held = {(item.symbol, item.side): item.quantity for item in news if item.quantity}
        gone = [
            PositionNews(symbol=symbol, side=side, quantity=ZERO, entry_price=ZERO, exchange_ms=frame.ts)
            for symbol, side in self._held
            if (symbol, side) not in held
        ]
        self._held = held
        return [*gone, *news]


_USER: Mapping[str, Callable[[UserNews, wire.Frame, Names], Heard]] = {
    "orders": UserNews.read_orders,
    "orders-algo": UserNews.read_plans,
    "fill": UserNews.read_fills,
    "positions": UserNews.read_positions,
}


def _remember(memory: dict[str, V], name: str, value: V) -> None:
    memory[name] = value
    while len(memory) > WAITING_MAX:
        del memory[next(iter(memory))]


def _order(row: wire.OrderEvent, names: Names) -> Order:
    as_row = wire.OrderRow(
        symbol=row.instId,
        orderId=row.orderId,
        size=row.size,
        side=row.side,
        tradeSide=row.tradeSide,
        posMode=row.posMode,
        orderType=row.orderType,
        cTime=row.cTime,
        clientOid=row.clientOid,
        posSide=row.posSide if decode.hedged(row.posMode) else None,
        baseVolume=row.accBaseVolume,
        price=row.price,
        priceAvg=row.priceAvg,
        reduceOnly=row.reduceOnly,
        status=row.status,
        uTime=row.uTime,
    )
    return decode.order(as_row, names)


def _fill(row: wire.FillRow, order: Order, names: Names) -> Fill:
    """Its sides are the order's: in hedge mode this channel says them otherwise than all others."""
    return replace(
        decode.fill(row, names),
        client_id=order.client_id,
        side=order.side,
        position_side=order.position_side,
    )


def _stop(row: wire.PlanEvent, names: Names) -> Stop:
    as_row = wire.PlanRow(
        planType=decode.STREAM_PLANS.get(row.planType, row.planType),
        symbol=row.instId,
        orderId=row.orderId,
        side=row.side,
        tradeSide=row.tradeSide,
        posMode=row.posMode,
        planStatus=row.status,
        triggerPrice=row.triggerPrice,
        cTime=row.cTime,
        clientOid=row.clientOid,
        size=row.size,
        executePrice=row.executePrice,
        triggerType=row.triggerType,
        posSide=row.posSide if decode.hedged(row.posMode) else None,
        uTime=row.uTime,
    )
    return decode.stop(as_row, names)


def _position(row: wire.PositionEvent, exchange_ms: int, names: Names) -> PositionNews:
    held = word(decode.HELD, row.holdSide.lower(), "side of a position")
    size = amount(row.total)
    return PositionNews(
        symbol=decode.symbol(row.instId, names),
        side=held if decode.hedged(row.posMode) else PositionSide.BOTH,
        quantity=size if held is PositionSide.LONG else -size,
        entry_price=amount(row.openPriceAvg),
        exchange_ms=exchange_ms,
    )


def mark_news(frame: wire.Frame, names: Names, heard_ms: int) -> Heard:
    """The mark prices in a push of `ticker`."""
    return [
        MarkNews(
            symbol=decode.symbol(row.instId, names),
            mark=Mark(price=price(row.markPrice), exchange_ms=row.ts, heard_ms=heard_ms, source="ws"),
        )
        for row in _TICKERS.read(frame.data)
    ]
