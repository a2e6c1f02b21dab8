"""Every kind of trouble strikes a real world: it fires, and somebody who is not the bot can see that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.drills.kinds import KINDS, Family, kinds_at
from holdfast.drills.network import LinkKind
from holdfast.drills.plan import Played, Schedule, Trouble, play, schedule_of, trouble
from holdfast.drills.spec import WorldSpec
from holdfast.drills.stage import WorldStage
from holdfast.drills.world import Result, World, run_world

MINUTE_MS = 60_000
FIRST_MS = 150_000
FOR_MS = 40_000
APART_MS = 70_000
BUSY = {"restless": {"enter_chance": 0.9, "exit_chance": 0.3, "adjust_chance": 0.6}}
QUICK = {"trading.cooldown_minutes": "0.05"}

# What a kind needs to be seen at work, beside its usual values.
GIVEN: dict[str, dict[str, Any]] = {
    "told_before_answer": {"on": "submit", "for_ms": 5 * MINUTE_MS},
    "status_unknown": {"for_ms": 5 * MINUTE_MS, "numbers": {"times": 1}},
    "bus_error": {"for_ms": 5 * MINUTE_MS, "numbers": {"times": 1}},
    "banned": {"for_ms": 20_000, "numbers": {"retry_after_s": 10}},
    "disk_full": {"for_ms": 4 * MINUTE_MS, "on": ""},
    "disk_read_only": {"on": ""},
    "fill_before_ack": {"for_ms": 5 * MINUTE_MS},
    "odd_events": {"for_ms": 5 * MINUTE_MS},
    "cancel_race": {"for_ms": 10 * MINUTE_MS, "numbers": {"times": 2}},
    "reduce_only_refused": {"for_ms": 10 * MINUTE_MS},
    "reduce_only_blocked": {"for_ms": 10 * MINUTE_MS},
    "margin_refused": {"for_ms": 5 * MINUTE_MS},
    "side_demanded": {"for_ms": 10 * MINUTE_MS},
    "would_trigger": {"for_ms": 10 * MINUTE_MS},
    "not_visible_yet": {"for_ms": 20 * MINUTE_MS},
    "nothing_there": {"target": "positions"},
    "database_locked": {"on": ""},
    "clock_drifts": {"for_ms": 5 * MINUTE_MS},
}
# And which other has to happen with it.
WITH: dict[str, dict[str, Any]] = {
    "not_visible_yet": {
        "kind": "status_unknown",
        "target": "order",
        "for_ms": 5 * MINUTE_MS,
        "numbers": {"probability": 1.0},
    },
    "position_mode_by_hand": {"kind": "flatten_during_reconcile", "for_ms": MINUTE_MS},
    "margin_mode_by_hand": {"kind": "flatten_during_reconcile", "for_ms": MINUTE_MS},
}
LASTING = (
    "position_mode_by_hand",
    "margin_mode_by_hand",
    "delisted",
    "liquidated",
    "withdrawn",
    "disk_full",
)
"""The account is not afterwards what it was, or it takes long: these come last."""


@dataclass
class Seen:
    """What a world showed."""

    played: tuple[Played, ...] = ()
    result: Result | None = None
    notes: dict[str, object] = field(default_factory=dict)


Look = Callable[[World, Seen], Awaitable[None]]


async def _see_nothing(_world: World, _seen: Seen) -> None:
    return


def world_of(schedule: Schedule, look: Look = _see_nothing, seed: int = 3) -> Seen:
    """Play *schedule* on a busy bot; *look* runs beside it."""
    seen = Seen()

    async def scenario(world: World) -> None:
        stage = WorldStage(world)
        world.start_bot()
        looking = asyncio.create_task(look(world, seen))
        keeping = asyncio.create_task(stage.machine.keep_running())
        seen.played = await play(schedule, stage, stage.sleep_until)
        await looking
        keeping.cancel()

    seen.result = run_world(WorldSpec(seed=seed, strategies=BUSY, settings=QUICK), scenario)
    assert seen.result.problems == ()
    return seen


def usual(name: str, at_ms: int) -> Trouble:
    """As often and as widely as its kind may, so that it is met soon."""
    kind = KINDS[name]
    given: dict[str, Any] = {"for_ms": FOR_MS} if kind.lasts_ms else {}
    if "all" in kind.targets:
        given["target"] = "all"
    given |= GIVEN.get(name, {})
    often = {"probability": kind.numbers["probability"].high} if "probability" in kind.numbers else {}
    return trouble(name, at_ms, **(given | {"numbers": often | given.get("numbers", {})}))


def silent(names: list[str], seed: int) -> list[str]:
    """One world with all of them, one after the other: those that struck nothing."""
    troubles = [usual(name, FIRST_MS + APART_MS * place) for place, name in enumerate(names)]
    beside = [trouble(at_ms=each.at_ms, **WITH[each.kind]) for each in troubles if each.kind in WITH]
    length_ms = FIRST_MS + APART_MS * len(names) + 12 * MINUTE_MS
    seen = world_of(schedule_of(5, length_ms, [*troubles, *beside]), seed=seed)
    struck = {each.trouble.kind for each in seen.played if each.hits}
    return [name for name in names if name not in struck]


@pytest.mark.parametrize("family", list(Family))
def test_every_kind_of_a_family_fires(family: Family) -> None:
    """Some need luck (a cancel, an entry in time): what one world does not show another does."""
    names = sorted(
        (name for name, kind in kinds_at("binance").items() if kind.family is family),
        key=LASTING.__contains__,
    )
    for seed in (3, 4, 5):
        names = silent(names, seed) if names else []
    assert names == []


# --- seen from outside -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A trouble, what to look at, and what is seen while it stands and after it."""

    kind: str
    look: Callable[[World], object]
    during: object
    after: object
    given: dict[str, Any] = field(default_factory=dict)


def shown(case: Case) -> str:
    return case.kind


def watched(*cases: Case) -> None:
    """All in one world, one after the other."""
    every_ms = 100_000
    begins = [FIRST_MS + every_ms * place for place in range(len(cases))]
    troubles = [
        trouble(case.kind, at_ms, **{"for_ms": FOR_MS, "on": "", **case.given})
        for case, at_ms in zip(cases, begins, strict=True)
    ]

    async def look(world: World, seen: Seen) -> None:
        for case, at_ms in zip(cases, begins, strict=True):
            await world.run_for(at_ms + FOR_MS - 5_000 - world.elapsed_ms)
            seen.notes[f"{case.kind} during"] = case.look(world)
            await world.run_for(FOR_MS)
            seen.notes[f"{case.kind} after"] = case.look(world)

    seen = world_of(schedule_of(5, begins[-1] + every_ms, troubles), look)
    expected = {f"{case.kind} {when}": getattr(case, when) for case in cases for when in ("during", "after")}
    assert seen.notes == expected


def test_the_clock_is_wrong_and_then_right() -> None:
    def skew(world: World) -> int:
        return round(world.bot_clock.skew_ms())

    watched(
        Case("clock_off", skew, -500, 0, {"numbers": {"by_ms": -500}}),
        Case("clock_stepped", skew, 5_000, 0, {"numbers": {"by_ms": 5_000}}),
        Case("clock_drifts", skew, 7, 0, {"numbers": {"ppm": 200}}),
        Case("clock_backwards", skew, -60_000, 0, {"numbers": {"by_ms": -60_000}}),
    )


def test_the_network_is_bad_on_its_kind_of_link_and_then_good() -> None:
    def of(name: str) -> Callable[[World], object]:
        return lambda world: [
            str(kind) for kind in LinkKind if getattr(world.network.conditions[kind], name) not in (0, False)
        ]

    def slow(world: World) -> list[str]:
        return [str(kind) for kind in LinkKind if world.network.conditions[kind].latency_ms[1] > 100]

    watched(
        Case("link_stalled", of("stall"), ["user"], [], {"target": "user"}),
        Case("refused", of("refuse"), ["market"], [], {"target": "market"}),
        Case("unreachable", of("unreachable"), ["rest"], [], {"target": "rest"}),
        Case("packet_loss", of("loss"), ["rest", "user", "market"], [], {"target": "all"}),
        Case("slow_network", slow, ["rest"], [], {"target": "rest"}),
    )


def test_an_order_is_in_force_and_then_taken_back() -> None:
    def operator(world: World) -> str:
        return world.bot.account.operator.value

    watched(
        Case("kill_during_submit", operator, "killed", "running"),
        Case("kill_pressed_twice", operator, "killed", "running"),
        Case("stopped", operator, "stopped", "running"),
        Case("flatten_during_reconcile", operator, "stopped", "running"),
    )


def test_what_is_changed_at_the_exchange_is_changed_back() -> None:
    def flatly(world: World) -> int:
        return len(world.truth().positions)

    def settling(world: World) -> int:
        core = world.server.core
        return [core.instrument(symbol).status for symbol in core.symbols()].count("SETTLING")

    def other_tick(world: World) -> bool:
        core = world.server.core
        return any(
            core.instrument(s).price_step != core.market.instrument(s).price_step for s in core.symbols()
        )

    watched(
        Case("kill_and_liquidate", flatly, 0, 0, {"for_ms": 90_000}),
        Case("halted", settling, 1, 0, {"target": "any", "word": "SETTLING"}),
        Case("tick_changed", other_tick, during=True, after=False),
    )


def test_a_disk_that_fails_is_complained_of_until_it_is_healed() -> None:
    def complained(world: World) -> bool:
        return any(alert.id == "STORE_UNWRITABLE" for alert in world.bot.account.alerts.views())

    watched(
        Case("disk_read_only", complained, during=True, after=False),
        Case("database_locked", complained, during=True, after=False),
    )


def test_a_disk_is_healed_between_two_lives_that_could_not_begin_on_it() -> None:
    """Each of them ends by itself and has closed its database by then."""

    async def look(world: World, seen: Seen) -> None:
        await world.run_for(FIRST_MS + FOR_MS + 20_000)
        seen.notes["awake"] = world.bot.account.synced
        seen.notes["lives"] = len(world.lives) > 3

    troubles = [
        trouble("disk_read_only", FIRST_MS, for_ms=FOR_MS, on=""),
        trouble("killed_at_effect", FIRST_MS + 5_000, numbers={"nth": 1, "down_ms": 1_000}),
    ]
    seen = world_of(schedule_of(5, 5 * MINUTE_MS, troubles), look)
    assert seen.notes == {"awake": True, "lives": True}


def test_overlapping_weather_ends_with_the_last_of_it() -> None:
    first = trouble("link_stalled", FIRST_MS, target="user", for_ms=20_000)
    second = trouble("link_stalled", FIRST_MS + 5_000, target="user", for_ms=60_000)

    async def look(world: World, seen: Seen) -> None:
        for at_ms in (10_000, 30_000, 70_000):
            await world.run_for(FIRST_MS + at_ms - world.elapsed_ms)
            seen.notes[str(at_ms)] = world.network.conditions[LinkKind.USER].stall

    seen = world_of(schedule_of(5, 4 * MINUTE_MS, [first, second]), look)
    assert seen.notes == {"10000": True, "30000": True, "70000": False}


def test_a_bot_that_dies_is_born_again_and_a_paused_one_wakes() -> None:
    async def look(world: World, seen: Seen) -> None:
        await world.run_for(FIRST_MS + 30_000)
        seen.notes["lives"] = len(world.lives)
        await world.run_for(60_000)
        seen.notes["paused"] = world.life.process.paused
        await world.run_for(60_000)
        seen.notes["awake"] = not world.life.process.paused and world.bot.account.synced

    troubles = [
        trouble("killed_twice", FIRST_MS, numbers={"nth": 3, "again_nth": 2, "down_ms": 1_000}),
        trouble("paused", FIRST_MS + 60_000, numbers={"pause_ms": 60_000}),
        trouble("power_cut", FIRST_MS + 150_000, numbers={"nth": 40, "down_ms": 1_000}),
    ]
    seen = world_of(schedule_of(5, 8 * MINUTE_MS, troubles), look)
    assert seen.notes == {"lives": 3, "paused": True, "awake": True}
    assert [played.hits for played in seen.played] == [2, 1, 1]
    assert seen.played[1].ended_ms == FIRST_MS + 120_000
