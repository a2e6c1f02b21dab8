"""The whole bot in virtual time: it trades, dies and comes back, and the same seed gives the same bytes."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.drills.network import LinkKind
from holdfast.drills.points import Point, PointKind
from holdfast.drills.spec import BadSpec, WorldSpec, read_spec
from holdfast.drills.world import Missed, Result, World, run_world
from holdfast.engine.liquidation import LiquidationState

BTC = Symbol.parse("BTC/USDT")
SHORT = WorldSpec(seed=7, hours=0.2)
SCRIPTED = WorldSpec(seed=3, symbols=("BTC/USDT",), strategies={"scripted": {}})


def sound(result: Result) -> Result:
    assert result.problems == ()
    return result


# --- determinism -----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_events_and_bytes() -> None:
    """In other processes, under other hash seeds: `test_swarm_finds`, and `cli/drill/test_drill`."""
    first, second = (sound(run_world(SHORT)) for _ in range(2))
    assert (second.event_digest, second.wire_digest) == (first.event_digest, first.wire_digest)
    assert first.counts["decision.entry"] > 0, "it traded"


def test_another_seed_gives_another_world() -> None:
    spec = WorldSpec(seed=8, hours=0.05)
    one, other = run_world(spec), run_world(WorldSpec(seed=9, hours=0.05))
    assert one.event_digest != other.event_digest
    assert one.wire_digest != other.wire_digest


def test_a_world_is_plain_data() -> None:
    spec = WorldSpec(seed=5, settings={"trading.cooldown_minutes": "0.5"}, strategies={"donchian": {}})
    assert read_spec(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec.bot_settings().trading.cooldown_minutes == Decimal("0.5")
    with pytest.raises(BadSpec, match=r"found 'trading\.cooldown'"):
        WorldSpec(settings={"trading.cooldown": 1}).bot_settings()
    with pytest.raises(BadSpec, match="to be a int, found 'often'"):
        WorldSpec(settings={"monitor_interval_ms": "often"}).bot_settings()
    with pytest.raises(BadSpec, match="hours"):
        read_spec({"hours": "many"})


# --- the course of a world -------------------------------------------------------------------------


async def into_position(world: World) -> None:
    world.scripted.wishes = {BTC: Direction.LONG}
    await world.until(lambda: bool(world.truth().positions), "a position", 300_000)
    await world.until(lambda: not world.truth().unprotected_now, "a stop")
    world.scripted.wishes = {}


def test_an_entry_is_protected_and_the_end_is_flat() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await into_position(world)
        result = await world.stop_bot()
        assert result is not None
        assert result.state is LiquidationState.COMPLETED
        truth = world.truth()
        assert truth.positions == ()
        assert truth.orphan_stops == ()
        assert truth.duplicate_orders == 0

    sound(run_world(SCRIPTED, scenario))


def test_a_killed_bot_is_built_again_from_what_the_disk_holds_twice_in_a_row() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await into_position(world)
        world.kill_bot()
        world.server.core.cancel_stops_by_hand(world.account_id, BTC)
        world.start_bot()
        await world.run_for(20)
        world.kill_bot(power_cut=True)
        assert not world.bot_runs
        await world.run_for(5_000)
        assert world.truth().unprotected_now, "nobody is there to protect it"
        world.start_bot()
        await world.until(lambda: not world.truth().unprotected_now, "the stop again", 10_000)
        tracked = list(world.bot.account.state.tracked.values())
        assert [each.adopted for each in tracked] == [False], "it is known from the journal"
        await world.stop_bot()
        assert [life.number for life in world.lives] == [1, 2, 3]
        assert world.truth().entries == 1

    sound(run_world(SCRIPTED, scenario))


def test_a_dead_bot_sends_and_writes_nothing_more() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await into_position(world)
        bytes_before, lines_before = [], []
        world.kill_bot()
        world.network.taps.append(lambda link, from_client, data: bytes_before.append(from_client))
        world.listeners.append(lambda life, event, fields: lines_before.append(event))
        files = {path: path.read_bytes() for path in world.home.path.rglob("*") if path.is_file()}
        await world.run_for(120_000)
        assert True not in bytes_before
        assert lines_before == []
        assert {path: path.read_bytes() for path in files} == files

    sound(run_world(SCRIPTED, scenario))


KINDS = (PointKind.STEP, PointKind.BEFORE_BYTES, PointKind.AFTER_BYTES, PointKind.BEFORE_WORK)


@pytest.mark.parametrize("kind", [*KINDS, PointKind.AFTER_WORK])
def test_it_can_die_at_every_kind_of_point_and_comes_back(kind: PointKind) -> None:
    async def scenario(world: World) -> None:
        deaths = []

        def at_point(point: Point) -> None:
            if point.kind is kind and point.number in (20, 40, 60):
                deaths.append(point)
                world.kill_bot()

        world.watch_points(at_point)
        for _ in range(200):
            if not world.bot_runs:
                world.start_bot()
            await world.run_for(500)
        assert [point.number for point in deaths] == [20, 40, 60]
        await world.await_sync()
        await world.stop_bot()
        assert world.truth().positions == ()

    sound(run_world(WorldSpec(seed=11, settings={"trading.cooldown_minutes": "0.1"}), scenario))


def test_points_are_the_same_in_every_run() -> None:
    async def points_of(world: World, seen: list[Point]) -> None:
        world.watch_points(seen.append)
        world.start_bot()
        await world.run_for(20_000)

    courses: list[list[Point]] = [[], []]
    for course in courses:
        run_world(WorldSpec(seed=2), lambda world, course=course: points_of(world, course))  # type: ignore[misc]
    assert courses[0] == courses[1]
    assert {point.kind for point in courses[0]} == set(PointKind)


def test_a_frozen_bot_finds_the_world_changed() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await into_position(world)
        world.pause_bot()
        world.server.core.cancel_stops_by_hand(world.account_id, BTC)
        await world.run_for(30_000)
        assert world.truth().unprotected_now
        world.resume_bot()
        await world.until(lambda: not world.truth().unprotected_now, "the stop again", 10_000)
        await world.stop_bot()

    sound(run_world(SCRIPTED, scenario))


def test_a_silent_user_stream_is_noticed_and_replaced() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await world.await_sync()
        (link,) = world.network.links(LinkKind.USER)
        link.cut()
        await world.until(lambda: len(world.network.links(LinkKind.USER)) > 1, "a new stream", 30_000)
        assert world.network.links(LinkKind.USER)[-1].number > link.number
        await world.stop_bot()

    sound(run_world(SCRIPTED, scenario))


def test_the_bots_clock_may_be_wrong_and_the_exchange_is_right() -> None:
    async def scenario(world: World) -> None:
        world.bot_clock.step(-1_500)
        world.bot_clock.drift(200)
        world.start_bot()
        await world.await_sync()
        assert world.bot_clock.now_ms() < world.now_ms - 1_400
        await into_position(world)
        await world.stop_bot()

    sound(run_world(SCRIPTED, scenario))


def test_a_slow_disk_slows_what_waits_for_it() -> None:
    async def scenario(world: World) -> None:
        world.start_bot()
        await world.await_sync()
        world.disk_ms = (2_000, 2_000)
        before_ms = world.elapsed_ms
        assert await world.bot.supervisor.desk.command("stop", "the drill", "slow disk")
        assert world.elapsed_ms - before_ms >= 1_000
        world.disk_ms = (0, 5)
        await world.stop_bot()

    sound(run_world(SCRIPTED, scenario))


def test_a_failed_drill_says_what_was_waited_for() -> None:
    async def scenario(world: World) -> None:
        await world.until(lambda: False, "a miracle", 1_000)

    with pytest.raises(Missed, match="waited 1 s for: a miracle"):
        run_world(SCRIPTED, scenario)
