"""Regular orders: placing, amending, cancelling."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.book import end_order, new_order, only_reduces, open_order, tell_order
from holdfast.simulator.core.checks import (
    AMEND_CHECKS,
    Case,
    check_order,
    funds,
    unservable,
    unserved,
    would_take,
)
from holdfast.simulator.core.matching import after_taking, take
from holdfast.simulator.core.model import (
    CoreRefusal,
    Execution,
    OrderKind,
    OrderRequest,
    Refused,
    SimOrder,
    Status,
    Tif,
)
from holdfast.simulator.core.world import Ledger, World


def validate(world: World, ledger: Ledger, request: OrderRequest) -> Case:
    """Every check before matching. Raises `CoreRefusal`."""
    case = Case(world, ledger, world.quote(request.symbol), request)
    check_order(case)
    return case


def place(world: World, ledger: Ledger, request: OrderRequest) -> SimOrder:
    """Check, accept and match. Raises `CoreRefusal`; then nothing was recorded."""
    case = validate(world, ledger, request)
    why = unservable(case)
    if why is not None and world.config.refuse_unmatched:
        raise unserved(case, why)
    order = new_order(world, ledger, request)
    ledger.watch.accepted("order", order.client_id)
    if world.config.reduce_only_displaces and only_reduces(ledger, order):
        _displace(world, ledger, order)
    if why is not None:
        open_order(world, ledger, order)
        end_order(world, ledger, order, Status.CANCELED)
    else:
        execute(world, ledger, order)
    return order


def _displace(world: World, ledger: Ledger, order: SimOrder) -> None:
    """Cancel older orders that reduce the same position until what is left fits beside *order*."""
    position = ledger.held.get((order.symbol, order.position_side))
    elders = [
        one
        for one in ledger.open_orders.values()
        if (one.symbol, one.position_side) == (order.symbol, order.position_side)
        and only_reduces(ledger, one)
    ]
    room = abs(position.quantity) - order.quantity if position else ZERO
    excess = sum((one.remaining for one in elders), ZERO) - max(ZERO, room)
    for one in elders:
        if excess <= 0:
            return
        excess -= one.remaining
        end_order(world, ledger, one, Status.CANCELED)


def execute(world: World, ledger: Ledger, order: SimOrder) -> None:
    """Into the book, against the market, and what becomes of the rest."""
    open_order(world, ledger, order)
    match(world, ledger, order)


def match(world: World, ledger: Ledger, order: SimOrder) -> None:
    take(world, ledger, order)
    after_taking(world, ledger, order)
    if only_reduces(ledger, order):
        world.moved[order.account_id, (order.symbol, order.position_side)] = ledger


def find_open(ledger: Ledger, symbol: Symbol, order_id: int | None, client_id: str | None) -> SimOrder:
    """The open order of that id (the id rules over the client id); UNKNOWN_ORDER refused."""
    for order in ledger.open_orders.values():
        named = order.order_id == order_id if order_id is not None else order.client_id == client_id
        if named and order.symbol == symbol:
            return order
    raise CoreRefusal(Refused.UNKNOWN_ORDER)


def amend(
    world: World,
    ledger: Ledger,
    order: SimOrder,
    side: Side,
    quantity: Decimal,
    price: Decimal,
) -> SimOrder:
    """Change quantity and price; see `Core.amend_order`."""
    if side is not order.side:
        raise CoreRefusal(Refused.UNKNOWN_ORDER)
    if order.kind is not OrderKind.LIMIT:
        raise CoreRefusal(Refused.AMEND_NOT_LIMIT)
    if (quantity, price) == (order.quantity, order.price):
        raise CoreRefusal(Refused.AMEND_NOTHING)
    _check_amendment(world, ledger, order, quantity, price)
    crossing = order.tif is Tif.POST_ONLY and would_take(world.quotes[order.symbol], side, price)
    if crossing or quantity <= order.filled:
        end_order(world, ledger, order, Status.CANCELED)
        return order
    order.quantity, order.price = quantity, price
    world.resting[order.symbol].pop(order.order_id, None)
    tell_order(world, ledger, order, Execution.AMENDMENT)
    match(world, ledger, order)
    return order


def _check_amendment(
    world: World, ledger: Ledger, order: SimOrder, quantity: Decimal, price: Decimal
) -> None:
    request = OrderRequest(
        symbol=order.symbol,
        side=order.side,
        kind=order.kind,
        quantity=quantity,
        price=price,
        tif=order.tif,
        reduce_only=order.reduce_only,
        position_side=order.position_side,
        client_id=order.client_id,
    )
    case = Case(world, ledger, world.quote(order.symbol), request, replaces=order)
    for check in AMEND_CHECKS:
        check(case)
    if quantity > order.filled:
        funds(replace(case, request=replace(request, quantity=quantity - order.filled)))


def cancel(world: World, ledger: Ledger, order: SimOrder) -> SimOrder:
    end_order(world, ledger, order, Status.CANCELED)
    return order


def cancel_all(world: World, ledger: Ledger, symbol: Symbol) -> int:
    world.quote(symbol)
    mine = [order for order in ledger.open_orders.values() if order.symbol == symbol]
    for order in mine:
        end_order(world, ledger, order, Status.CANCELED)
    return len(mine)
