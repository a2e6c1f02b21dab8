"""What happened to accounts, kept for drills and for people: the admin API's `/events`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from holdfast.domain.numbers import plain
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoEvent,
    ConfigEvent,
    CoreEvent,
    MarginCallEvent,
    OrderEvent,
    PriceEvent,
    SimAlgo,
    SimFill,
    SimOrder,
    SimPosition,
    TradeEvent,
)

KEPT = 20_000

Row = dict[str, object]


def order_json(order: SimOrder) -> Row:
    return {
        "order_id": order.order_id,
        "client_id": order.client_id,
        "symbol": str(order.symbol),
        "side": order.side.value,
        "position_side": order.position_side.value,
        "type": order.kind.value,
        "price": plain(order.price),
        "quantity": plain(order.quantity),
        "filled": plain(order.filled),
        "average_price": plain(order.average_price),
        "status": order.status.value,
        "reduce_only": order.reduce_only,
        "algo_id": order.algo_id,
        "created_ms": order.created_ms,
        "updated_ms": order.updated_ms,
    }


def algo_json(algo: SimAlgo) -> Row:
    return {
        "algo_id": algo.algo_id,
        "client_id": algo.client_id,
        "symbol": str(algo.symbol),
        "side": algo.side.value,
        "position_side": algo.position_side.value,
        "type": algo.type.value,
        "trigger_price": plain(algo.trigger_price),
        "price": plain(algo.price),
        "quantity": plain(algo.quantity),
        "close_position": algo.close_position,
        "reduce_only": algo.reduce_only,
        "working": algo.working.value,
        "status": algo.status.value,
        "order_id": algo.order_id,
        "reject_reason": algo.reject_reason,
        "created_ms": algo.created_ms,
        "updated_ms": algo.updated_ms,
    }


def fill_json(fill: SimFill) -> Row:
    return {
        "trade_id": fill.trade_id,
        "price": plain(fill.price),
        "quantity": plain(fill.quantity),
        "fee": plain(fill.fee),
        "realized": plain(fill.realized),
        "maker": fill.maker,
    }


def _position_json(position: SimPosition) -> Row:
    return {
        "symbol": str(position.symbol),
        "side": position.side.value,
        "quantity": plain(position.quantity),
        "entry_price": plain(position.entry_price),
    }


def event_json(event: OrderEvent | AlgoEvent | AccountEvent | ConfigEvent | MarginCallEvent) -> Row:
    """One event as the admin API tells it."""
    match event:
        case OrderEvent():
            row: Row = {"execution": event.execution.value, "order": order_json(event.order)}
            return row if event.fill is None else row | {"fill": fill_json(event.fill)}
        case AlgoEvent():
            return {"algo": algo_json(event.algo)}
        case AccountEvent():
            positions = [_position_json(position) for position in event.positions]
            return {"reason": event.reason, "wallet": plain(event.wallet), "positions": positions}
        case ConfigEvent():
            symbol = str(event.symbol) if event.symbol else None
            return {"symbol": symbol, "leverage": event.leverage, "position_mode": event.position_mode}
        case MarginCallEvent():
            return {"positions": [_position_json(position) for position in event.positions]}


_KINDS: dict[type, str] = {
    OrderEvent: "order",
    AlgoEvent: "algo",
    AccountEvent: "account",
    ConfigEvent: "config",
    MarginCallEvent: "margin_call",
}


@dataclass(frozen=True, slots=True)
class Kept:
    seq: int
    account: str
    row: Row


class EventLog:
    """A ring of the last account events; `hear` is a listener of the core."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[Kept] = deque(maxlen=kept)
        self._seq = 0

    def hear(self, event: CoreEvent) -> None:
        if isinstance(event, PriceEvent | TradeEvent):
            return
        self._seq += 1
        head: Row = {"seq": self._seq, "at_ms": event.at_ms, "account": event.account_id}
        row = head | {"kind": _KINDS[type(event)]} | event_json(event)
        self._kept.append(Kept(self._seq, event.account_id, row))

    def since(self, seq: int, account: str = "") -> list[Row]:
        """Events after number *seq*, oldest first."""
        return [kept.row for kept in self._kept if kept.seq > seq and account in ("", kept.account)]
