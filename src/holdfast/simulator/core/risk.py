"""Margin calls, liquidation, insurance, auto-deleveraging (binance.md §5)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal

from holdfast.domain.numbers import ZERO, ceil_to, floor_to
from holdfast.simulator.core.book import end_order, new_order, open_order, set_algo
from holdfast.simulator.core.margin import maintenance, unrealized
from holdfast.simulator.core.matching import credit, fill, take
from holdfast.simulator.core.model import (
    AlgoStatus,
    ExpireReason,
    MarginCallEvent,
    OrderKind,
    OrderRequest,
    SimOrder,
    SimPosition,
    Status,
    Tif,
)
from holdfast.simulator.core.positions import closing_side
from holdfast.simulator.core.world import Ledger, World


def watch_margin(world: World, ledger: Ledger) -> None:
    """Liquidate what its margin no longer carries at mark: isolated positions each for itself, cross
    positions together; call for margin before. Positions must be held."""
    cross: list[SimPosition] = []
    thin: list[SimPosition] = []
    balance, needed = ledger.account.wallet, ZERO
    call_ratio = world.config.margin_call_ratio
    for position in list(ledger.held.values()):
        quote = world.quotes[position.symbol]
        gain = unrealized(position, quote.mark)
        maintained = maintenance(quote.instrument, abs(position.quantity) * quote.mark)
        if ledger.isolated(position.symbol):
            balance -= position.isolated_wallet
            own = position.isolated_wallet + gain
            if own <= maintained:
                liquidate(world, ledger, [position], own)
            elif maintained > own * call_ratio:
                thin.append(position)
        else:
            cross.append(position)
            balance += gain
            needed += maintained
    if cross and balance <= needed:
        liquidate(world, ledger, cross, balance)
    elif needed > balance * call_ratio:
        thin += cross
    if thin and not ledger.margin_called:
        _call(world, ledger, thin)
    ledger.margin_called = bool(thin)


def _call(world: World, ledger: Ledger, positions: Sequence[SimPosition]) -> None:
    """Told once, and again only after the margin had recovered."""
    told = tuple(copy.copy(position) for position in positions)
    account_id = ledger.account.account_id
    world.emit(MarginCallEvent(at_ms=world.now_ms, account_id=account_id, positions=told))


def liquidate(world: World, ledger: Ledger, positions: Sequence[SimPosition], equity: Decimal) -> None:
    """Close *positions*, which *equity* no longer carries, each at its share's bankruptcy price or better."""
    if not ledger.margin_called:
        _call(world, ledger, positions)
    for position in positions:
        _end_orders(world, ledger, position)
    isolated = ledger.isolated(positions[0].symbol)
    own = sum((p.isolated_wallet for p in ledger.held.values()), ZERO) if not isolated else ZERO
    floor = ledger.account.wallet - positions[0].isolated_wallet if isolated else own
    notionals = [abs(p.quantity) * world.quotes[p.symbol].mark for p in positions]
    total = sum(notionals, ZERO)
    for position, notional in zip(positions, notionals, strict=True):
        ledger.watch.liquidations += 1
        _auto_close(world, ledger, position, equity * notional / total)
    if ledger.account.wallet < floor:
        credit(world, ledger, "INSURANCE_CLEAR", floor - ledger.account.wallet)
        world.tell_account(ledger, "INSURANCE_CLEAR")


def _end_orders(world: World, ledger: Ledger, position: SimPosition) -> None:
    for order in list(ledger.open_orders.values()):
        if order.symbol == position.symbol:
            end_order(world, ledger, order, Status.EXPIRED, ExpireReason.LIQUIDATION)
    for algo in list(ledger.open_algos.values()):
        if algo.symbol == position.symbol:
            set_algo(world, ledger, algo, AlgoStatus.EXPIRED)


def _auto_close(world: World, ledger: Ledger, position: SimPosition, equity: Decimal) -> None:
    """An `autoclose-` order at the price where *equity* is gone; what the book does not take at that
    price or better the insurance fund takes at it. The liquidation fee is charged."""
    quote, quantity = world.quotes[position.symbol], abs(position.quantity)
    if position.quantity > 0:
        price = ceil_to(quote.mark - equity / quantity, quote.tick)
    else:
        price = floor_to(quote.mark + equity / quantity, quote.tick)
    order = _closing_order(world, ledger, position, max(quote.tick, price), f"autoclose-{world.now_ms}")
    open_order(world, ledger, order)
    take(world, ledger, order)
    if order.remaining:
        fill(world, ledger, order, order.price, order.remaining, maker=False)


def close_at_mark(world: World, ledger: Ledger, position: SimPosition, client_id: str) -> None:
    """Close *position* at mark, without a fee, as auto-deleveraging and settlement do."""
    quote = world.quotes[position.symbol]
    order = _closing_order(world, ledger, position, quote.mark, client_id)
    open_order(world, ledger, order)
    fill(world, ledger, order, quote.mark, order.quantity, maker=False, free=True)


def _closing_order(
    world: World, ledger: Ledger, position: SimPosition, price: Decimal, client_id: str
) -> SimOrder:
    request = OrderRequest(
        symbol=position.symbol,
        side=closing_side(position),
        kind=OrderKind.LIMIT,
        quantity=abs(position.quantity),
        price=price,
        tif=Tif.IOC,
        reduce_only=not ledger.hedge,
        position_side=position.side,
        client_id=client_id,
    )
    order = new_order(world, ledger, request)
    order.liquidation = True
    return order
