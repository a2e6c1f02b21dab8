"""Which stop covers a position: the rule the exchange's truth is counted by."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from holdfast.simulator.core.algo_checks import rising, watched_price
from holdfast.simulator.core.book import only_reduces
from holdfast.simulator.core.margin import MarginSummary, summarize
from holdfast.simulator.core.model import AlgoStatus, AlgoType, SimAlgo, SimPosition
from holdfast.simulator.core.positions import closes
from holdfast.simulator.core.world import Ledger, PositionId, World


def covered(world: World, ledger: Ledger) -> Iterator[tuple[SimPosition, bool]]:
    """Each held position, and whether one live stop closes all of it at market before liquidation.

    A stop covers when it is a STOP_MARKET that can only reduce, of the closing side, for the whole
    position (or at least its size), triggers on the loss side of the price it watches and nearer
    than the liquidation price. TRIGGERED counts until its order is final; TRIGGERING counts for
    `stuck_triggering_tolerance_ms`.
    """
    liquidations: dict[PositionId, Decimal] | None = None
    for key, position in ledger.held.items():
        fitting = [algo for algo in stops_of(ledger, position) if _fits(world, ledger, algo, position)]
        if fitting and liquidations is None:
            rows = summary_of(world, ledger).positions
            liquidations = {(row.symbol, row.side): row.liquidation_price for row in rows}
        yield position, any(_nearer(algo, position, (liquidations or {})[key]) for algo in fitting)


def _nearer(algo: SimAlgo, position: SimPosition, liquidation: Decimal) -> bool:
    if position.quantity > 0:
        return algo.trigger_price > liquidation
    return not liquidation or algo.trigger_price < liquidation


def stops_of(ledger: Ledger, position: SimPosition) -> list[SimAlgo]:
    """Live conditional orders of the position's closing side."""
    return [
        algo
        for algo in ledger.open_algos.values()
        if algo.symbol == position.symbol
        and algo.position_side is position.side
        and closes(algo.side, position)
    ]


def _fits(world: World, ledger: Ledger, algo: SimAlgo, position: SimPosition) -> bool:
    whole = algo.close_position or algo.quantity >= abs(position.quantity)
    if algo.type is not AlgoType.STOP_MARKET or not whole or not only_reduces(ledger, algo):
        return False
    if algo.status is AlgoStatus.TRIGGERING:
        waited_ms = world.now_ms - algo.triggered_ms
        return waited_ms <= world.config.stuck_triggering_tolerance_ms
    if algo.status is AlgoStatus.TRIGGERED:
        return True
    price = watched_price(world.quotes[algo.symbol], algo.working)
    return price <= algo.trigger_price if rising(algo.type, algo.side) else price >= algo.trigger_price


def summary_of(world: World, ledger: Ledger) -> MarginSummary:
    """The account's figures now."""
    return summarize(ledger.account, ledger.open_orders.values(), world.quotes, world.config.leverage)
