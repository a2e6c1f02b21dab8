"""Shrinking finds what matters, and nothing else, within a bounded number of runs."""

from __future__ import annotations

import asyncio

from holdfast.drills.plan import Schedule, Trouble, schedule_of, trouble
from holdfast.drills.shrink import mildings, shrink
from holdfast.drills.swarm import draw

HOUR_MS = 3_600_000


def crowd(*wanted: Trouble) -> Schedule:
    """The *wanted* among 40 others that do not matter."""
    others = [trouble("events_doubled", 1_000 * place, for_ms=5_000) for place in range(40)]
    return schedule_of(3, HOUR_MS, [*others, *wanted])


def names(schedule: Schedule) -> list[str]:
    return [each.kind for each in schedule.troubles]


async def test_one_trouble_of_many_is_found() -> None:
    guilty = trouble("error_after", 600_000, target="order", for_ms=60_000, numbers={"probability": 0.8})
    shrunk = await shrink(crowd(guilty), lambda schedule: "error_after" in names(schedule))
    assert names(shrunk.schedule) == ["error_after"]
    assert not shrunk.exhausted
    assert shrunk.tries < 60


async def test_two_that_need_each_other_are_both_kept() -> None:
    pair = (trouble("error_after", 600_000), trouble("killed_at_effect", 900_000))
    shrunk = await shrink(
        crowd(*pair), lambda schedule: {"error_after", "killed_at_effect"} <= {*names(schedule)}
    )
    assert names(shrunk.schedule) == ["error_after", "killed_at_effect"]


async def test_the_world_ends_soon_after_what_matters() -> None:
    guilty = trouble("gap", 600_000)
    shrunk = await shrink(crowd(guilty), lambda schedule: "gap" in names(schedule))
    assert 600_000 < shrunk.schedule.length_ms < 700_000


async def test_durations_rates_and_numbers_go_down_as_far_as_it_fails() -> None:
    often = {"probability": 0.8, "times": 9}
    guilty = trouble("slow_answer", 5_000, target="order", for_ms=160_000, on="fill", numbers=often)

    def fails(schedule: Schedule) -> bool:
        return any(each.kind == "slow_answer" and each.for_ms >= 30_000 for each in schedule.troubles)

    (left,) = (await shrink(schedule_of(1, HOUR_MS, [guilty]), fails)).schedule.troubles
    assert 30_000 <= left.for_ms < 60_000
    assert left.numbers["probability"] < 0.05
    assert left.numbers["times"] == 1
    assert left.on == ""
    assert left.target == "order", "whom it strikes is part of what it is"


async def test_the_number_of_runs_is_bounded_and_the_best_so_far_is_told() -> None:
    ran = []

    def fails(schedule: Schedule) -> bool:
        ran.append(schedule)
        return "gap" in names(schedule)

    shrunk = await shrink(crowd(trouble("gap", 5)), fails, tries_max=7)
    assert len(ran) == shrunk.tries == 7
    assert shrunk.exhausted
    assert fails(shrunk.schedule)
    assert len(shrunk.schedule.troubles) < 41


async def test_nothing_is_run_twice() -> None:
    seen = []

    def fails(schedule: Schedule) -> bool:
        assert schedule not in seen
        seen.append(schedule)
        return len(schedule.troubles) >= 3

    shrunk = await shrink(draw(8, 2), fails)
    assert len(shrunk.schedule.troubles) == 3


async def test_a_failure_that_needs_no_trouble_is_told_as_such() -> None:
    shrunk = await shrink(crowd(), lambda _: True)
    assert shrunk.schedule.troubles == ()
    assert shrunk.schedule.length_ms == 1


async def test_what_fails_may_take_its_time() -> None:
    async def fails(schedule: Schedule) -> bool:
        await asyncio.sleep(0)
        return "gap" in names(schedule)

    assert names((await shrink(crowd(trouble("gap", 5)), fails)).schedule) == ["gap"]


def test_a_usual_trouble_has_nothing_milder_than_shorter_and_rarer() -> None:
    usual = trouble("error_before", 5)
    changed = [
        {name for name in usual.__struct_fields__ if getattr(usual, name) != getattr(each, name)}
        for each in mildings(usual)
    ]
    assert changed == [{"for_ms"}, {"numbers"}, {"numbers"}]
