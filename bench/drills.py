"""Speed of virtual time: how much faster than the clock on the wall a whole world runs, by processor time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench.report import BenchFailed, Row, median
from holdfast.drills.cases import Case, calm
from holdfast.drills.judged import judge
from holdfast.drills.spec import HOUR_MS, WorldSpec
from holdfast.drills.world import World, run_world

HOURS, HOURS_QUICK = 6.0, 1.0
TIMES, TIMES_QUICK = 3, 1
REAL, AGAINST = 1.0, "the clock on the wall"
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    hours, times = (HOURS_QUICK, TIMES_QUICK) if quick else (HOURS, TIMES)
    tell(f"drills: {times} worlds of {hours:g} simulated hours each way")
    ways = {
        "trading, checkers on": _trading,
        "idle, checkers on": _idle,
        "idle, nothing looked at": _bare,
    }
    return [
        Row(
            bench="drills",
            what=what,
            unit="s/CPU s",
            ours=median([speed(seed, hours) for seed in range(1, times + 1)]),
            reference=REAL,
            against=AGAINST,
            samples=times,
        )
        for what, speed in ways.items()
    ]


def _trading(seed: int, hours: float) -> float:
    """One account, three symbols, marks each second; entries, exits and moved stops all the time."""
    return _judged(calm(seed, hours), entries_min=1)


def _idle(seed: int, hours: float) -> float:
    """The same, and the strategy wants nothing."""
    case = calm(seed, hours)
    return _judged(replace(case, spec=replace(case.spec, strategies={"scripted": {}})), entries_min=0)


def _judged(case: Case, *, entries_min: int) -> float:
    judged = judge(case)
    if not judged.held:
        raise BenchFailed(f"expected that everything holds, found {judged.violations[0]}")
    if judged.figures.entries < entries_min:
        raise BenchFailed(f"expected entries, found {judged.figures.entries}")
    return judged.virtual_ms / 1000 / judged.cpu_s


def _bare(seed: int, hours: float) -> float:
    """Exchange, network and bot alone."""

    async def idle(world: World) -> None:
        world.start_bot()
        await world.run_for(hours * HOUR_MS)
        await world.stop_bot()

    return run_world(WorldSpec(seed=seed, hours=hours, strategies={"scripted": {}}), idle).speed
