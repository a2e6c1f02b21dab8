"""Putting the truth about an account together."""

from __future__ import annotations

from decimal import Decimal

from holdfast.simulator.core.book import has_what_it_closes, only_reduces
from holdfast.simulator.core.cover import stops_of, summary_of
from holdfast.simulator.core.truth import PositionTruth, Truth
from holdfast.simulator.core.world import Ledger, World


def testify(world: World, ledger: Ledger) -> Truth:
    """What is so, whatever the bot believes."""
    positions = tuple(
        ledger.watch.position(symbol, side, world.now_ms, position.quantity, len(stops_of(ledger, position)))
        for (symbol, side), position in ledger.held.items()
    )
    every: tuple[PositionTruth, ...] = (*ledger.watch.past, *positions)
    duplicates, duplicate_ids = ledger.watch.duplicates()
    return Truth(
        at_ms=world.now_ms,
        account_id=ledger.account.account_id,
        positions=positions,
        past_positions=tuple(ledger.watch.past),
        naked_seconds_max=_seconds(max((one.naked_ms_max for one in every), default=0)),
        naked_seconds_total=_seconds(sum(one.naked_ms_total for one in every)),
        unprotected_now=tuple((one.symbol, one.side) for one in positions if not one.covered),
        entries=len(ledger.watch.entries),
        exits=len(ledger.watch.exits),
        duplicate_orders=duplicates,
        duplicate_client_ids=duplicate_ids,
        orphan_stops=_orphans(ledger),
        fills=len(ledger.account.fills),
        liquidations=ledger.watch.liquidations,
        refused=dict(sorted(ledger.watch.refused.items())),
        equity=summary_of(world, ledger).equity,
        wallet=ledger.account.wallet,
    )


def _orphans(ledger: Ledger) -> tuple[int, ...]:
    return tuple(
        algo.algo_id
        for algo in ledger.open_algos.values()
        if only_reduces(ledger, algo) and not has_what_it_closes(ledger, algo)
    )


def _seconds(duration_ms: int) -> Decimal:
    return Decimal(duration_ms) / 1000
