"""Rows of the gauntlet about what covers: a stop cancelled by hand, doubled, too small, on the wrong side."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    assert_flat_end,
    assert_protected_once,
    by_hand,
    covered,
    enter,
    held,
    live_stops,
    naked_ms,
)
from holdfast.drills.gauntlet.stops import DEAF
from holdfast.drills.gauntlet.watching import Watch, one_way_ms, round_trip_ms, sending_ms
from holdfast.drills.world import World

# --- G13: cancelled by hand ----------------------------------------------------------------------


async def cancelled_by_hand(world: World, within_ms: float) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.SHORT)
    (first,) = live_stops(world, BTC)
    await world.run_for(20_000)
    at_ms = world.now_ms
    by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
    await world.until(lambda: covered(world, BTC), "a new stop", within_ms + 1_000)
    assert naked_ms(world) <= within_ms, f"naked for {naked_ms(world)} ms, bound {within_ms:.0f}"
    (again,) = live_stops(world, BTC)
    assert (again.trigger_price, again.side) == (first.trigger_price, first.side)
    await assert_protected_once(world, BTC)
    watch.assert_told("STOP_LOST", at_ms, within_ms, "warning")
    assert watch.over("STOP_LOST", at_ms), "no word that the position is protected again"
    assert not watch.closes(at_ms)
    await assert_flat_end(world)


@row(
    "G13",
    "somebody cancels the stop at the exchange",
    "the same stop stands again one message and one order later; an alert, and word of the recovery",
)
async def stop_cancelled(world: World) -> None:
    await cancelled_by_hand(world, one_way_ms(world) + sending_ms(world))


@row(
    "G13-deaf",
    "somebody cancels the stop at the exchange, and the user stream is silent",
    "the same within one cycle of reading",
)
async def stop_cancelled_unheard(world: World) -> None:
    world.server.faults.add(DEAF)
    fresh = world.settings.freshness
    await cancelled_by_hand(
        world,
        fresh.orders_ms + world.spec.read_lag_ms[1] + round_trip_ms(world) + sending_ms(world),
    )


@row(
    "G13-storm",
    "somebody (another bot) cancels every stop at once, again and again for a minute",
    "made again each time, with growing pauses; never hammered, never given up",
)
async def stops_cancelled_again_and_again(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    while world.now_ms - at_ms < 60_000 and held(world, BTC):
        by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
        await world.run_for(500)
    sent = len(watch.stops(at_ms))
    assert sent <= 30, f"{sent} stops in a minute"
    if held(world, BTC):
        deadline = world.settings.protection.protect_deadline_ms
        await world.until(lambda: covered(world, BTC) or not held(world, BTC), "protected or flat", deadline)
    await assert_flat_end(world)
