"""After anything happened: what a changed position ends or cuts, what covers it, a new version to read."""

from __future__ import annotations

from functools import partial

from holdfast.domain.orders import Side
from holdfast.simulator.core.algos import attach
from holdfast.simulator.core.book import (
    end_order,
    has_what_it_closes,
    only_reduces,
    set_algo,
    tell_order,
)
from holdfast.simulator.core.cover import covered
from holdfast.simulator.core.model import AlgoStatus, Execution, ExpireReason, SimAlgo, SimOrder, Status
from holdfast.simulator.core.world import Ledger, PositionId, World


def settle(world: World) -> None:
    """Bring everything that depends on what changed up to date. Cheap when nothing changed."""
    while world.fulfilled or world.moved:
        if world.fulfilled:
            attach(world, *world.fulfilled.pop(0))
            continue
        key = next(iter(world.moved))
        _follow_position(world, world.moved.pop(key), key[1])
    while world.touched:
        ledger = world.touched.pop(next(iter(world.touched)))
        _judge(world, ledger)
        ledger.history.commit(world.now_ms, tuple(ledger.open_orders), tuple(ledger.open_algos))


def judge_all(world: World) -> None:
    """Cover depends on marks too (the liquidation price moves): asked for now and then."""
    for ledger in world.ledgers.values():
        if ledger.held:
            _judge(world, ledger)


def _judge(world: World, ledger: Ledger) -> None:
    for position, is_covered in covered(world, ledger):
        ledger.watch.cover(position.symbol, position.side, world.now_ms, covered=is_covered)


def _follow_position(world: World, ledger: Ledger, key: PositionId) -> None:
    """What closes a position ends with it (sheet §4); reduce-only orders end or are cut."""
    delay_ms = world.config.tied_end_delay_ms
    if delay_ms and _orphans(ledger, key):
        world.later(delay_ms, partial(_end_tied, world, ledger, key))
    else:
        _end_tied(world, ledger, key)
    if not _reducing(ledger, key):
        return
    delay_ms = world.config.ro_cancel_delay_ms
    if delay_ms and key not in ledger.held:
        world.later(delay_ms, partial(_cut_reducing, world, ledger, key))
    else:
        _cut_reducing(world, ledger, key)


def _orphans(ledger: Ledger, key: PositionId) -> list[SimAlgo]:
    """Waiting conditional orders that end with the position, and have nothing left to close."""
    return [
        algo
        for algo in ledger.open_algos.values()
        if (algo.symbol, algo.position_side) == key
        and algo.status is AlgoStatus.NEW
        and (algo.close_position or algo.tied)
        and not has_what_it_closes(ledger, algo)
    ]


def _end_tied(world: World, ledger: Ledger, key: PositionId) -> None:
    for algo in _orphans(ledger, key):
        set_algo(world, ledger, algo, AlgoStatus.EXPIRED)


def _reducing(ledger: Ledger, key: PositionId) -> list[SimOrder]:
    """Open orders on the position that can only reduce it, those of better price first."""
    mine = [
        order
        for order in ledger.open_orders.values()
        if (order.symbol, order.position_side) == key and only_reduces(ledger, order)
    ]
    return sorted(mine, key=lambda order: order.price if order.side is Side.SELL else -order.price)


def _cut_reducing(world: World, ledger: Ledger, key: PositionId) -> None:
    """The sum of open reduce-only orders is kept at or below the position (er 4)."""
    position = ledger.held.get(key)
    left = abs(position.quantity) if position else None
    for order in _reducing(ledger, key):
        if left is None or left <= 0 or not has_what_it_closes(ledger, order):
            end_order(world, ledger, order, Status.EXPIRED, ExpireReason.REDUCE_ONLY)
            continue
        if order.remaining > left:
            order.quantity = order.filled + left
            tell_order(world, ledger, order, Execution.AMENDMENT)
        left -= order.remaining
