"""Rows of the gauntlet about files beside the database: log, audit file, snapshot. They stop nothing."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.drills.files import audit_file_fault
from holdfast.drills.gauntlet.agreement import assert_exit_booked
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    covered,
    enter,
    live_stops,
    started,
)
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, gone_ms, one_way_ms, sending_ms
from holdfast.drills.machine import Disk
from holdfast.drills.plan import trouble
from holdfast.drills.world import World


async def files_fail(world: World, kind: str) -> None:
    """Nothing of ours but the database can be written: all goes on, and is told; then it heals."""
    watch, disk = Watch(world), Disk(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    heal = await disk.strike(trouble(kind, 0))
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    sent_ms = one_way_ms(world) + sending_ms(world)
    await world.until(lambda: covered(world, BTC), "the stop again", sent_ms)
    world.scripted.wishes[ETH] = Direction.LONG
    await world.until(lambda: covered(world, ETH), "an entry all the same", 15_000)
    world.scripted.wishes.clear()
    await world.run_for(60_000)
    watch.assert_told("FILES_UNWRITABLE", at_ms, 2 * cycle_ms(world), "warning")
    assert len(watch.alerts("FILES_UNWRITABLE")) == 1, "told again and again"
    world.server.core.close_by_hand(world.account_id, ETH)
    await world.until(lambda: not live_stops(world, ETH), "no orphan stop", gone_ms(world))
    healed_ms = world.now_ms
    await heal()
    await world.run_for(3 * cycle_ms(world))
    assert watch.over("FILES_UNWRITABLE", healed_ms), "no word that it is over"
    await assert_exit_booked(world, ETH, "manual")
    await assert_flat_end(world)
    assert audit_file_fault(world.home) == ""


@row(
    "G26-files",
    "there is no room for log, audit file and snapshot for a minute and a half, the database works; a stop is"
    " cancelled by hand meanwhile",
    "protected as ever, entries go on; told once; the audit file catches up and its chain verifies",
)
async def files_full(world: World) -> None:
    await files_fail(world, "files_full")


@row("G26-files-read-only", "log, audit file and snapshot have become read-only", "the same")
async def files_read_only(world: World) -> None:
    await files_fail(world, "files_read_only")


@row(
    "G26-start",
    "the bot starts with a position while log, audit file and snapshot cannot be written",
    "it starts, protects and says so; it ends flat though they never work again",
)
async def start_without_files(world: World) -> None:
    watch, disk = Watch(world), Disk(world)
    await enter(world, BTC, Direction.LONG)
    world.kill_bot()
    await disk.strike(trouble("files_read_only", 0))
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    at_ms = world.now_ms
    await started(world)
    await world.until(lambda: covered(world, BTC), "the stop again", cycle_ms(world))
    await world.run_for(2 * cycle_ms(world))
    watch.assert_told("FILES_UNWRITABLE", at_ms, 2 * cycle_ms(world), "warning")
    await assert_flat_end(world)


@row(
    "G26-power",
    "the power is cut three times: files lose what was not synced and are torn at any byte",
    "protected or flat after each start; the audit file is repaired, catches up, and its chain verifies",
)
async def power_cut(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    for _ in range(3):
        await world.run_for(20_000)
        world.kill_bot(power_cut=True)
        await started(world)
        await world.run_for(cycle_ms(world))
        await assert_protected_once(world, BTC)
    await assert_flat_end(world)
    assert audit_file_fault(world.home) == ""
