"""Opening and ending orders: the registers, and what is told about it."""

from __future__ import annotations

import copy

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.model import (
    AlgoEvent,
    AlgoStatus,
    Execution,
    ExpireReason,
    OrderEvent,
    OrderKind,
    OrderRequest,
    SimAlgo,
    SimFill,
    SimOrder,
    Status,
)
from holdfast.simulator.core.positions import closes
from holdfast.simulator.core.world import Ledger, World


def new_order(world: World, ledger: Ledger, request: OrderRequest) -> SimOrder:
    """An order of *request*, not yet in any book."""
    return SimOrder(
        order_id=next(world.order_ids),
        client_id=request.client_id or world.client_id(),
        account_id=ledger.account.account_id,
        symbol=request.symbol,
        side=request.side,
        position_side=request.position_side,
        kind=request.kind,
        tif=request.tif,
        price=request.price if request.kind is OrderKind.LIMIT and request.price else ZERO,
        quantity=request.quantity,
        reduce_only=request.reduce_only,
        attached=request.attached,
        created_ms=world.now_ms,
        updated_ms=world.now_ms,
    )


def open_order(world: World, ledger: Ledger, order: SimOrder) -> None:
    """The order is in the exchange's book and told NEW."""
    ledger.account.orders[order.order_id] = order
    ledger.open_orders[order.order_id] = order
    tell_order(world, ledger, order, Execution.NEW)


def end_order(
    world: World,
    ledger: Ledger,
    order: SimOrder,
    status: Status,
    reason: ExpireReason = ExpireReason.NONE,
) -> None:
    """The order is final. Told, unless it was filled (its last trade told that)."""
    order.status, order.expire_reason = status, reason
    ledger.open_orders.pop(order.order_id, None)
    world.resting[order.symbol].pop(order.order_id, None)
    if status is not Status.FILLED:
        execution = Execution.CANCELED if status is Status.CANCELED else Execution.EXPIRED
        tell_order(world, ledger, order, execution)
    if order.attached and order.filled:
        world.fulfilled.append((ledger, order))
    algo = ledger.open_algos.get(order.algo_id)
    if algo is not None:
        algo.actual_price, algo.actual_quantity = order.average_price, order.filled
        set_algo(world, ledger, algo, AlgoStatus.FINISHED)


def tell_order(
    world: World, ledger: Ledger, order: SimOrder, execution: Execution, fill: SimFill | None = None
) -> None:
    """The order changed: its version, its time, its event."""
    order.updated_ms = world.now_ms
    ledger.history.orders_changed[order.order_id] = order
    world.touch(ledger)
    if world.listeners:
        world.emit(
            OrderEvent(
                at_ms=world.now_ms,
                account_id=order.account_id,
                order=copy.copy(order),
                execution=execution,
                fill=fill,
            )
        )


def open_algo(world: World, ledger: Ledger, algo: SimAlgo) -> None:
    ledger.account.algos[algo.algo_id] = algo
    ledger.open_algos[algo.algo_id] = algo
    world.armed[algo.symbol][algo.algo_id] = (ledger, algo)
    tell_algo(world, ledger, algo)


def set_algo(world: World, ledger: Ledger, algo: SimAlgo, status: AlgoStatus, why: str = "") -> None:
    """Move a conditional order to *status*; it is armed only while NEW."""
    algo.status, algo.reject_reason = status, why
    if status is not AlgoStatus.NEW:
        world.armed[algo.symbol].pop(algo.algo_id, None)
    if status.final:
        ledger.open_algos.pop(algo.algo_id, None)
    tell_algo(world, ledger, algo)


def tell_algo(world: World, ledger: Ledger, algo: SimAlgo) -> None:
    algo.updated_ms = world.now_ms
    ledger.history.algos_changed[algo.algo_id] = algo
    world.touch(ledger)
    if world.listeners:
        world.emit(AlgoEvent(at_ms=world.now_ms, account_id=algo.account_id, algo=copy.copy(algo)))


def only_reduces(ledger: Ledger, order: SimOrder | SimAlgo) -> bool:
    """The order may make a position smaller and nothing else."""
    if order.reduce_only or order.close_position:
        return True
    return ledger.hedge and order.side is closing(order.position_side)


def closing(side: PositionSide) -> Side:
    """In hedge mode: the side that closes LONG or SHORT."""
    return Side.BUY if side is PositionSide.SHORT else Side.SELL


def has_what_it_closes(ledger: Ledger, order: SimOrder | SimAlgo) -> bool:
    """There is a position that the order would make smaller."""
    position = ledger.held.get((order.symbol, order.position_side))
    return position is not None and closes(order.side, position)
