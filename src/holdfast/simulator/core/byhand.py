"""What a person does in the exchange's app, and what the exchange's operators do: for admin and drills."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.numbers import floor_to
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core import orders
from holdfast.simulator.core.book import end_order, new_order, set_algo
from holdfast.simulator.core.instruments import decimals_of
from holdfast.simulator.core.matching import allowed, fill
from holdfast.simulator.core.model import (
    AlgoStatus,
    ExpireReason,
    OrderKind,
    OrderRequest,
    SimOrder,
    Status,
)
from holdfast.simulator.core.positions import closing_side
from holdfast.simulator.core.risk import close_at_mark
from holdfast.simulator.core.world import Ledger, World


def close(
    world: World, ledger: Ledger, symbol: Symbol, side: PositionSide, share: Decimal
) -> SimOrder | None:
    """Market-close a share of a position, past every check; None when there is nothing to close."""
    quote = world.quote(symbol)
    position = ledger.held.get((symbol, side))
    if position is None:
        return None
    held = abs(position.quantity)
    quantity = held if share >= 1 else floor_to(held * share, quote.instrument.quantity_step)
    if quantity <= 0:
        return None
    request = OrderRequest(
        symbol=symbol,
        side=closing_side(position),
        kind=OrderKind.MARKET,
        quantity=quantity,
        reduce_only=not ledger.hedge,
        position_side=side,
        client_id=world.client_id("web_"),
    )
    order = new_order(world, ledger, request)
    orders.execute(world, ledger, order)
    return order


def open_position(world: World, ledger: Ledger, symbol: Symbol, side: Side, quantity: Decimal) -> SimOrder:
    """A market order as the app sends it: every check applies."""
    position_side = PositionSide.BOTH
    if ledger.hedge:
        position_side = PositionSide.LONG if side is Side.BUY else PositionSide.SHORT
    request = OrderRequest(
        symbol=symbol,
        side=side,
        kind=OrderKind.MARKET,
        quantity=quantity,
        position_side=position_side,
        client_id=world.client_id("web_"),
    )
    return orders.place(world, ledger, request)


def fill_resting_order(world: World, ledger: Ledger, order: SimOrder) -> None:
    """Fill the whole rest at the order's own price, as if the market had come by."""
    part = allowed(ledger, order)
    if part > 0:
        fill(world, ledger, order, order.price, part, maker=True)


def delist(world: World, symbol: Symbol) -> None:
    """Positions are settled at mark, orders expire, and nothing is traded any more."""
    for ledger in world.ledgers.values():
        for position in [one for one in ledger.held.values() if one.symbol == symbol]:
            close_at_mark(world, ledger, position, f"settlement_autoclose-{world.now_ms}")
    set_status(world, symbol, "CLOSE")


def set_status(world: World, symbol: Symbol, status: str) -> None:
    """CLOSE expires every order of the symbol as delisted."""
    world.quote(symbol).instrument.status = status
    if status != "CLOSE":
        return
    for ledger in world.ledgers.values():
        for order in [one for one in ledger.open_orders.values() if one.symbol == symbol]:
            end_order(world, ledger, order, Status.EXPIRED, ExpireReason.DELISTED)
        for algo in [one for one in ledger.open_algos.values() if one.symbol == symbol]:
            set_algo(world, ledger, algo, AlgoStatus.EXPIRED)


def set_filters(
    world: World,
    symbol: Symbol,
    price_step: Decimal | None,
    quantity_step: Decimal | None,
    quantity_min: Decimal | None,
    notional_min: Decimal | None,
) -> None:
    quote = world.quote(symbol)
    rules = quote.instrument
    if price_step is not None:
        rules.price_step = price_step
        rules.price_decimals = max(rules.price_decimals, decimals_of(price_step))
        quote.set_tick(price_step)
    if quantity_step is not None:
        rules.quantity_step = quantity_step
        rules.quantity_min = max(rules.quantity_min, quantity_step)
        rules.quantity_decimals = max(rules.quantity_decimals, decimals_of(quantity_step))
    if quantity_min is not None:
        rules.quantity_min = quantity_min
    if notional_min is not None:
        rules.notional_min = notional_min
