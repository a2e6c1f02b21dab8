"""Rows of the gauntlet about disasters: a disk that fails, an exchange in maintenance, a stop that hangs."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.agreement import assert_exit_booked, in_step
from holdfast.drills.gauntlet.markets import CLOSES_A_MINUTE, entries_again
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    booked,
    covered,
    enter,
    held,
    live_stops,
    started,
)
from holdfast.drills.gauntlet.watching import (
    LOOK_MS,
    Watch,
    cycle_ms,
    gone_ms,
    one_way_ms,
    round_trip_ms,
    sending_ms,
    stays,
)
from holdfast.drills.machine import Disk
from holdfast.drills.plan import trouble
from holdfast.drills.world import World
from holdfast.engine.executor import JOURNAL_PATIENCE_MS
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.words import TradeStatus

# --- G26: the disk -------------------------------------------------------------------------------


async def failing_disk(world: World, kind: str) -> None:
    """The disk fails while a position is held: a wish for another, a stop lost, an end by hand; it heals."""
    watch, disk = Watch(world), Disk(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(2_500)
    at_ms = world.now_ms
    heal = await disk.strike(trouble(kind, 0))
    world.scripted.wishes[ETH] = Direction.LONG
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    sent_ms = one_way_ms(world) + JOURNAL_PATIENCE_MS + sending_ms(world)
    await world.until(lambda: covered(world, BTC), "the stop again, journal or not", sent_ms)
    await world.run_for(30_000)
    assert not watch.entries(at_ms), "an entry without a journal"
    watch.assert_told("STORE_UNWRITABLE", at_ms, 10_000, "critical")
    world.server.core.close_by_hand(world.account_id, BTC)
    await world.until(lambda: not live_stops(world, BTC), "no orphan stop", gone_ms(world) + 10_000)
    await heal()
    settle_ms = world.settings.breakers.settle_ms
    world.scripted.wishes.clear()
    await assert_exit_booked(world, BTC, "manual")
    await world.until(
        lambda: bool(watch.over("STORE_UNWRITABLE", at_ms)), "the end of it told", cycle_ms(world)
    )
    world.scripted.wishes[ETH] = Direction.LONG
    await world.until(lambda: covered(world, ETH), "entries again", settle_ms + 15_000)
    await assert_flat_end(world)


@row(
    "G26",
    "the database is locked by another process for half a minute, a position held",
    "no entry; a lost stop is placed again within a second more than usual; critical alert; nothing is"
    " missing from the books afterwards",
)
async def database_locked(world: World) -> None:
    await failing_disk(world, "database_locked")


@row("G26-full", "the disk is full", "the same")
async def disk_full(world: World) -> None:
    await failing_disk(world, "disk_full")


@row("G26-read-only", "the database has become read-only", "the same")
async def disk_read_only(world: World) -> None:
    await failing_disk(world, "disk_read_only")


@row(
    "G26-slow",
    "every write takes three seconds",
    "no entry is sent on an old decision; a lost stop is placed again after one second of waiting",
)
async def disk_slow(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    await world.run_for(2_500)
    at_ms = world.now_ms
    world.disk_ms = (3_000, 3_000)
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    sent_ms = 2 * one_way_ms(world) + JOURNAL_PATIENCE_MS
    await world.until(lambda: covered(world, BTC), "the stop again, journal or not", sent_ms + LOOK_MS)
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(20_000)
    assert not watch.entries(at_ms), "an entry that waited for the journal"
    world.disk_ms = world.spec.disk_ms
    await world.until(lambda: covered(world, ETH), "entries again", 40_000)
    await assert_flat_end(world)


@row(
    "G26-lost",
    "the database takes nothing more from the moment an entry was journaled: the entry reaches the exchange,"
    " its outcome cannot be written; then the bot is killed, and the disk heals",
    "protected though the store takes nothing; the next start knows the entry as its own",
)
async def outcome_not_written(world: World) -> None:
    watch, disk = Watch(world), Disk(world)
    await started(world)
    await world.run_for(world.settings.breakers.settle_ms)
    delay = Fault(kind=FaultKind.DELAY, method="POST", path="/order$", delay_ms=1_500, times=1)
    world.server.faults.add(delay)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: bool(watch.entries()), "an entry on its way")
    heal = await disk.strike(trouble("disk_read_only", 0))
    sent_ms = 1_500 + round_trip_ms(world) + JOURNAL_PATIENCE_MS + sending_ms(world)
    await world.until(lambda: covered(world, BTC), "its stop, journal or not", sent_ms)
    world.scripted.wishes.clear()
    await world.run_for(5_000)
    world.kill_bot()
    await heal()
    await started(world)
    await world.run_for(cycle_ms(world))
    (trade,) = booked(world)
    assert (trade.adopted, trade.strategy, trade.status) == (False, "scripted", TradeStatus.OPEN), trade
    assert len(watch.entries()) == 1, watch.entries()
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)


# --- G31: the exchange changes its rules ---------------------------------------------------------


@row(
    "G31",
    "the exchange is down for maintenance for three minutes: 503 to everything, streams closed",
    "told at once; no entry; few requests; the stop stands; then the truth within a cycle, and entries again",
)
async def maintenance(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    faults = world.server.faults
    numbers = [
        faults.add(Fault(kind=FaultKind.ENDPOINT_DOWN, path="^/")),
        faults.add(Fault(kind=FaultKind.WS_CLOSE, ws_code=1012)),
    ]
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(180_000)
    watch.assert_told("STREAM_DOWN", at_ms, cycle_ms(world), "warning")
    assert not watch.entries(at_ms)
    assert covered(world, BTC)
    sent = len([each for each in watch.arrived if each.at_ms >= at_ms])
    assert sent <= 900, f"{sent} requests in three minutes of maintenance"
    world.server.core.close_by_hand(world.account_id, BTC)
    for number in numbers:
        faults.remove(number)
    await world.until(lambda: in_step(world, BTC), "the books true", READ_PAUSE_MS + gone_ms(world))
    await entries_again(world, ETH)
    await assert_flat_end(world)


READ_PAUSE_MS = 30_000
"""The longest pause between two tries of a read that fails."""


def assert_refused(watch: Watch, since_ms: float, word: str) -> None:
    """The bot itself refused an entry, and said why."""
    said = [str(line.fields["text"]) for line in watch.said("decision.refused", since_ms)]
    assert any(word in text for text in said), f"no entry was refused with {word!r}: {said}"


@row(
    "G31-delisted",
    "a symbol is delisted: its position is settled by the exchange, it cannot be traded any more",
    "booked with the true exit and cause; one entry on it at most is tried, then refused with a reason; told",
)
async def delisted(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.core.delist(BTC)
    world.server.step()
    await assert_exit_booked(world, BTC, "settlement")
    world.scripted.wishes[BTC] = Direction.LONG
    await world.run_for(30_000)
    tried = watch.entries(at_ms, BTC)
    assert len(tried) <= 1, f"{len(tried)} entries on a delisted symbol"
    assert_refused(watch, at_ms, "not_tradable")
    assert watch.alerts("NOT_TRADABLE", at_ms, symbol=str(BTC)), "not told"
    world.scripted.wishes.clear()
    await enter(world, ETH, Direction.LONG)
    await assert_flat_end(world)


@row(
    "G31-halted",
    "trading on a symbol is halted while its position is to be left",
    "tries are bounded and told; the stop stays; closed when trading goes on",
)
async def halted(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.core.set_status(BTC, "TRADING_HALT")
    world.scripted.exits.add(BTC)
    await stays(world, lambda: covered(world, BTC), "the stop while trading is halted", 60_000)
    tried = len(watch.closes(at_ms, BTC))
    assert 1 <= tried <= CLOSES_A_MINUTE, f"{tried} closing orders in a minute"
    watch.assert_told("CLOSE_REFUSED", at_ms, 10_000, "critical")
    assert watch.alerts("NOT_TRADABLE", at_ms, symbol=str(BTC)), "not told"
    world.server.core.set_status(BTC, "TRADING")
    patience_ms = world.settings.protection.retry_max_ms + cycle_ms(world)
    await world.until(lambda: not held(world, BTC), "closed when trading goes on", patience_ms)
    world.scripted.exits.clear()
    await assert_flat_end(world)


@row(
    "G31-tick",
    "the tick becomes ten times as coarse, then the stop is cancelled by hand",
    "refused once, the rules read again, placed on the new tick; never given up for it",
)
async def tick_changed(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    rules = world.server.core.instrument(BTC)
    coarse = min(rules.price_step * 1000, world.wire.tick_max)
    world.server.core.set_filters(BTC, price_step=coarse)
    at_ms = world.now_ms
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    read_ms = one_way_ms(world) + 3 * (round_trip_ms(world) + sending_ms(world))
    await world.until(lambda: covered(world, BTC), "a stop on the new tick", read_ms + LOOK_MS)
    assert live_stops(world, BTC)[0].trigger_price % coarse == 0
    assert len(watch.stops(at_ms)) <= 3, watch.stops(at_ms)
    assert not watch.closes(at_ms)
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)


@row(
    "G31-minimum",
    "the minimum notional rises above what the bot trades and holds",
    "one entry at most is tried, then refused with a reason; what is held can be closed all the same",
)
async def minimum_raised(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    for symbol in (BTC, ETH):
        world.server.core.set_filters(symbol, notional_min=Decimal(5_000))
    world.scripted.wishes[ETH] = Direction.LONG
    await world.run_for(30_000)
    tried = watch.entries(at_ms, ETH)
    assert len(tried) <= 1, f"{len(tried)} entries below the new minimum"
    assert_refused(watch, at_ms, "notional")
    world.scripted.wishes.clear()
    world.scripted.exits.add(BTC)
    await world.until(lambda: not held(world, BTC), "the position closed", 10_000)
    world.scripted.exits.clear()
    await assert_flat_end(world)


# --- G32: a stop that hangs ----------------------------------------------------------------------

PAST = Decimal("0.985")
"""Through a stop at 1 %, and not much further."""


async def stuck(world: World) -> tuple[Watch, int]:
    """A stop that hangs in TRIGGERING: when it began to."""
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    world.server.core.stick_triggering(BTC)
    world.server.core.move_price(BTC, PAST, 3)
    await world.until(lambda: _hangs(world), "the stop to hang")
    return watch, world.now_ms


def _hangs(world: World) -> bool:
    return any(stop.status.value == "triggering" for stop in live_stops(world, BTC))


@row(
    "G32",
    "the stop hangs in TRIGGERING and cannot be cancelled (-2011), the price behind it",
    "counts as no protection after 5 s: closed at market at once; told until the exchange lets go of it",
)
async def stuck_triggering(world: World) -> None:
    watch, at_ms = await stuck(world)
    bound_ms = world.settings.protection.trigger_stuck_ms + sending_ms(world) + round_trip_ms(world)
    await world.until(lambda: not held(world, BTC), "the second line of defence", bound_ms + LOOK_MS)
    watch.assert_told("STOP_STUCK", at_ms, bound_ms, "critical")
    assert len(watch.closes(at_ms)) == 1, watch.closes(at_ms)
    await assert_exit_booked(world, BTC, "bot")
    await world.run_for(30_000)
    cancels = watch.requests("DELETE", "/algoOrder$", at_ms)
    assert len(cancels) <= 10, f"{len(cancels)} cancels of a stop that cannot be cancelled"
    world.server.core.unstick_triggering(BTC)
    await world.until(lambda: not live_stops(world, BTC), "the exchange to let go", 5_000)
    seen_ms = world.settings.freshness.orders_ms + round_trip_ms(world)
    await world.until(lambda: bool(watch.over("STOP_STUCK", at_ms)), "the end of it told", seen_ms)
    assert not world.truth().positions
    await assert_flat_end(world)


@row(
    "G32-back",
    "the stop hangs in TRIGGERING, and the price comes back before anybody acts",
    "counts as no protection after 5 s: another stop, or closed, within the bound; never two positions",
)
async def stuck_and_back(world: World) -> None:
    watch, _ = await stuck(world)
    world.server.core.move_price(BTC, 1 / PAST, 2)
    bound_ms = world.settings.protection.trigger_stuck_ms + 2 * (sending_ms(world) + round_trip_ms(world))
    await world.run_for(bound_ms)
    assert covered(world, BTC) or not held(world, BTC), "neither stop nor close"
    await world.run_for(20_000)
    assert covered(world, BTC) or not held(world, BTC), "the second line went"
    world.server.core.unstick_triggering(BTC)
    await world.run_for(20_000)
    assert covered(world, BTC) or not held(world, BTC), "left without a stop"
    assert len(watch.entries()) == 1
    await assert_flat_end(world)
