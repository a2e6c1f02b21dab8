"""Rows of the gauntlet about clocks: set, drifting, wrong from the start, standing still."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.agreement import assert_exit_booked, in_step
from holdfast.drills.gauntlet.elsewhere import SENDING
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    booked,
    covered,
    enter,
    started,
)
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, gone_ms, one_way_ms, sending_ms
from holdfast.drills.points import Point, PointKind
from holdfast.drills.world import World
from holdfast.simulator.faults import Fault, FaultKind


def clock_refusals(world: World, since_ms: float) -> int:
    """How many requests the exchange refused as outside their window."""
    return sum(seen.code == -1021 and seen.at_ms >= since_ms for seen in world.server.log.listing())


REFUSALS_MAX = 12
"""So many requests may be under way, or asked at once, before a wrong clock is known."""


async def assert_clock_survived(world: World, watch: Watch, since_ms: float) -> None:
    """After the clock went wrong: few refusals, protection and truth within their bounds, entries again."""
    corrected_ms = cycle_ms(world)
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    known_ms = one_way_ms(world) + 2 * sending_ms(world)
    await world.until(lambda: covered(world, BTC), "the stop again", corrected_ms + known_ms)
    world.server.core.close_by_hand(world.account_id, BTC)
    await world.until(lambda: in_step(world, BTC), "the books true", corrected_ms + gone_ms(world))
    settle_ms = world.settings.breakers.settle_ms
    world.scripted.wishes[ETH] = Direction.LONG
    await world.until(lambda: covered(world, ETH), "entries again", settle_ms + 20_000)
    world.scripted.wishes.clear()
    await world.run_for(30_000)
    refusals = clock_refusals(world, since_ms)
    assert refusals <= REFUSALS_MAX, f"{refusals} requests were refused as outside their window"
    assert len(watch.entries(since_ms)) == 1, watch.entries(since_ms)
    assert world.truth().duplicate_orders == 0
    await assert_flat_end(world)


async def stepped(world: World, by_ms: float) -> None:
    """A position, then the clock is set by that much."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(7_000)
    at_ms = world.now_ms
    world.bot_clock.step(by_ms)
    await assert_clock_survived(world, watch, at_ms)


@row(
    "G23-ahead",
    "the machine's clock is set 5 s ahead",
    "measured and corrected within a cycle, no storm of -1021; protection and truth within their bounds",
)
async def clock_ahead(world: World) -> None:
    await stepped(world, 5_000)


@row(
    "G23-behind",
    "the machine's clock is set 5 s back",
    "the same: what was read before does not count as newer than what is read now",
)
async def clock_behind(world: World) -> None:
    await stepped(world, -5_000)


@row("G23-backwards", "the machine's clock is set a minute back", "the same")
async def clock_backwards(world: World) -> None:
    await stepped(world, -60_000)


@row("G23-hour", "the machine's clock jumps an hour ahead (a wrong time zone)", "the same")
async def clock_an_hour_ahead(world: World) -> None:
    await stepped(world, 3_600_000)


@row(
    "G23-drift",
    "the machine's clock runs 1 % fast for ten minutes, 6 s in all",
    "measured and corrected before a request is refused",
    settings={"trading.check_interval_ms": 1_000, "trading.cooldown_minutes": "0.25"},
)
async def clock_drifts(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.bot_clock.drift(10_000)
    await world.run_for(600_000)
    assert not clock_refusals(world, at_ms), f"{clock_refusals(world, at_ms)} requests refused"
    await assert_clock_survived(world, watch, at_ms)


@row(
    "G23-wrong",
    "the machine's clock is ten minutes wrong from the start",
    "measured before anything is signed: trades as with a right clock",
)
async def clock_wrong_from_the_start(world: World) -> None:
    watch = Watch(world)
    world.bot_clock.step(-600_000)
    await enter(world, BTC, Direction.LONG)
    assert not clock_refusals(world, 0)
    await assert_clock_survived(world, watch, world.now_ms)


@row(
    "G23-pause",
    "the process stands still for 30 s (suspended) with a position open; it is closed by hand meanwhile",
    "no verdict from what grew old meanwhile; truth within a cycle of waking; no entry on old data",
)
async def paused(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.scripted.wishes[ETH] = Direction.LONG
    world.pause_bot()
    await world.run_for(10_000)
    world.server.core.close_by_hand(world.account_id, BTC)
    await world.run_for(20_000)
    woke_ms = world.now_ms
    world.resume_bot()
    await assert_exit_booked(world, BTC, "manual")
    await world.until(lambda: covered(world, ETH), "entries again", 40_000)
    first = watch.entries(woke_ms)[0]
    read = [each for each in watch.requests("GET", "/positionRisk$", woke_ms) if each.at_ms < first.at_ms]
    assert read, "an entry before the positions were read again"
    world.scripted.wishes.clear()
    assert len(watch.entries(woke_ms)) == 1, watch.entries(woke_ms)
    await assert_flat_end(world)


@row(
    "G23-verdict",
    "an entry is on its way for 4 s; the bot is killed, its clock set 10 s ahead, and started again",
    "not declared dead while the exchange may still take it: one entry, the bot's own, protected",
)
async def no_false_verdict(world: World) -> None:
    watch = Watch(world)
    await started(world)
    fault = Fault(kind=FaultKind.DELAY, method="POST", path="/order$", delay_ms=4_000, times=1)
    world.server.faults.add(fault)

    def at_point(point: Point) -> None:
        left = point.kind is PointKind.AFTER_BYTES and point.what == SENDING[world.spec.exchange]["order"]
        if left and world.life.number == 1:
            world.kill_bot()

    world.watch_points(at_point)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: not world.bot_runs, "the death behind an entry")
    world.bot_clock.step(10_000)
    world.start_bot()
    await world.await_sync()
    deadline_ms = 4_000 + world.settings.protection.protect_deadline_ms
    await world.until(lambda: covered(world, BTC), "the entry protected", deadline_ms)
    await world.run_for(30_000)
    world.scripted.wishes.clear()
    assert len(watch.entries()) == 1, watch.entries()
    (trade,) = booked(world)
    assert not trade.adopted, "the bot's own entry was taken for a stranger's"
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)
