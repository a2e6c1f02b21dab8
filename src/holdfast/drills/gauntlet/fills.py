"""Rows of the gauntlet about fills: in parts, against a cancel, against a stop, more than was ordered."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from holdfast.domain.orders import Direction, Side
from holdfast.drills.gauntlet.agreement import assert_exit_booked, in_step, true_quantity
from holdfast.drills.gauntlet.elsewhere import SENDING
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    assert_flat_end,
    assert_protected_once,
    covered,
    enter,
    held,
    live_stops,
    started,
)
from holdfast.drills.gauntlet.watching import (
    Watch,
    cycle_ms,
    gone_ms,
    one_way_ms,
    round_trip_ms,
    sending_ms,
    stays,
)
from holdfast.drills.points import Point, PointKind
from holdfast.drills.world import World
from holdfast.simulator.faults import Fault, FaultKind

HALF = Decimal("0.5")

NO_WHOLE_STOPS = Fault(
    kind=FaultKind.REJECT,
    method="POST",
    path="/algoOrder$",
    params={"closePosition": "true"},
    code=-4136,
    msg="Target strategy invalid for closePosition true",
)
"""Only stops that name their size are taken: then the size has to be right."""


async def assert_size_protected(world: World, change: Callable[[], object], within_ms: float) -> None:
    """After *change* a covering stop stands for the whole real size in time, and one only at rest."""
    change()
    world.server.step()
    await world.until(lambda: covered(world, BTC), "a stop for the new size", within_ms)
    await replaced(world)
    await assert_protected_once(world, BTC)


async def replaced(world: World) -> None:
    """The old stop goes when a read of the book has shown the new one."""
    await world.run_for(world.settings.freshness.visibility_ms + 2 * round_trip_ms(world) + sending_ms(world))


@row(
    "G24",
    "an entry fills in part, the rest expires; stops have to name their size",
    "the stop has the size that was filled; the books too",
)
async def partial_fill(world: World) -> None:
    watch = Watch(world)
    await started(world)
    world.server.faults.add(NO_WHOLE_STOPS)
    rules = world.server.core.instrument(BTC)
    bound, rules.market_take_bound = rules.market_take_bound, Decimal("0.0002")
    world.server.core.set_liquidity(BTC, Decimal("0.00001"))
    await enter(world, BTC, Direction.LONG)
    rules.market_take_bound = bound
    world.server.core.set_liquidity(BTC, Decimal(1))
    ordered = Decimal(watch.entries()[0].params["quantity"])
    filled = true_quantity(world, BTC)
    assert 0 < filled < ordered, f"filled {filled} of {ordered}: the drill shows nothing"
    (stop,) = live_stops(world, BTC)
    assert stop.quantity == filled, f"the stop is for {stop.quantity}, held are {filled}"
    naked_ms = float(world.truth().naked_seconds_max) * 1000
    bound_ms = one_way_ms(world) + sending_ms(world) + round_trip_ms(world) + sending_ms(world)
    assert naked_ms <= bound_ms, f"naked for {naked_ms:.0f} ms"
    assert in_step(world, BTC)
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)


@row(
    "G24-grown",
    "a position grows by hand past the size of its stop, then shrinks",
    "a stop of the real size within the bound; one at rest",
)
async def position_grows(world: World) -> None:
    await started(world)
    world.server.faults.add(NO_WHOLE_STOPS)
    await enter(world, BTC, Direction.LONG)
    quantity = true_quantity(world, BTC)
    core, account = world.server.core, world.account_id
    # Told by the stream; the new stop has to be seen before the old one goes.
    bound_ms = one_way_ms(world) + 2 * (sending_ms(world) + round_trip_ms(world))
    await assert_size_protected(world, lambda: core.open_by_hand(account, BTC, Side.BUY, quantity), bound_ms)
    assert live_stops(world, BTC)[0].quantity == 2 * quantity
    await assert_size_protected(world, lambda: core.close_by_hand(account, BTC, share=HALF), bound_ms)
    assert in_step(world, BTC)
    await assert_flat_end(world)


@row(
    "G24-race",
    "a stop is moved; the old one triggers just before its cancel is looked at",
    "the position is closed once; nothing flips; no stop is left over; the true exit is booked",
)
async def cancel_loses_to_fill(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    fault = Fault(kind=FaultKind.FILLED_FIRST, method="DELETE", path="/algoOrder$", times=1)
    number = world.server.faults.add(fault)
    stop = live_stops(world, BTC)[0].trigger_price
    world.scripted.stops[BTC] = stop + 100
    await world.until(lambda: world.server.faults.fired(number) > 0, "the cancel of the old stop", 30_000)
    world.scripted.stops.clear()
    await assert_exit_booked(world, BTC, "stop")
    await world.until(lambda: not live_stops(world, BTC), "no orphan stop", gone_ms(world) + 10_000)
    assert not watch.closes(at_ms), watch.closes(at_ms)
    assert world.truth().exits == 1, world.truth()
    await assert_flat_end(world)


@row(
    "G24-close-race",
    "the stop triggers while the strategy's closing order is on its way",
    "closed once, nothing flips, the books say what happened",
)
async def close_loses_to_stop(world: World) -> None:
    await enter(world, BTC, Direction.SHORT)
    raced: list[int] = []

    def race(point: Point) -> None:
        if (
            point.kind is PointKind.AFTER_BYTES
            and point.what == SENDING[world.spec.exchange]["order"]
            and not raced
        ):
            raced.append(world.now_ms)
            world.server.step()
            world.server.core.trigger_by_hand(world.account_id, algo_id=live_stops(world, BTC)[0].algo_id)

    world.watch_points(race)
    world.scripted.exits.add(BTC)
    await world.until(lambda: bool(raced), "a closing order on its way")
    world.scripted.exits.clear()
    await assert_exit_booked(world, BTC, "stop")
    await stays(world, lambda: not held(world, BTC), "flat", 10_000)
    assert world.truth().exits == 1, world.truth()
    await assert_flat_end(world)


@row(
    "G24-overfill",
    "more is executed than was ordered: a second execution of the same size lands while the stop is placed",
    "the whole real size is protected within the bound and booked",
)
async def overfilled(world: World) -> None:
    await started(world)
    world.server.faults.add(NO_WHOLE_STOPS)
    tries: list[int] = []

    def overfill(point: Point) -> None:
        if point.kind is not PointKind.BEFORE_BYTES or point.what != SENDING[world.spec.exchange]["stop"]:
            return
        tries.append(world.now_ms)
        if len(tries) == 2:  # the first is the form that is refused
            quantity = true_quantity(world, BTC)
            world.server.core.open_by_hand(world.account_id, BTC, Side.BUY, quantity)

    world.watch_points(overfill)
    await enter(world, BTC, Direction.LONG)
    assert len(tries) > 1, "nothing was overfilled"
    naked_ms = float(world.truth().naked_seconds_max) * 1000
    bound_ms = 3 * (one_way_ms(world) + sending_ms(world) + round_trip_ms(world))
    assert naked_ms <= bound_ms, f"naked for {naked_ms:.0f} ms"
    await world.until(lambda: in_step(world, BTC), "the real size in the books", cycle_ms(world))
    await replaced(world)
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)
