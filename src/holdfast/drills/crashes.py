"""Every point at which the bot may die, one after the other: the row G19 without its sampling.

Each act of the bot (an entry, a stop, a correction of the books, a liquidation) is played to its end and
its points are counted; then it is played once for each of them. A part of the points is one world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.drills.gauntlet.kills import (
    DOWN_MS,
    ENTRY,
    LIQUIDATION,
    PROTECTION,
    QUICK,
    RECONCILIATION,
    Act,
    Death,
    tour,
)
from holdfast.drills.gauntlet.row import USUAL
from holdfast.drills.world import World, run_world

ACTS: Mapping[str, Act] = {
    "entry": ENTRY,
    "protection": PROTECTION,
    "reconciliation": RECONCILIATION,
    "liquidation": LIQUIDATION,
}
PARTS = 8
"""Worlds that share the points of an act."""


@dataclass(frozen=True, slots=True)
class Share:
    """The points of *act* whose number leaves *part* when divided by `PARTS`."""

    act: str
    part: int

    def __str__(self) -> str:
        return f"crash points of {self.act}, {self.part + 1} of {PARTS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crashed:
    """What came of a share. *why*: what was broken at which death; empty when all held."""

    share: Share
    points: int
    """Effects and steps that there are in the act."""
    deaths: int
    why: str
    virtual_ms: int
    cpu_s: float


def shares() -> Iterator[Share]:
    """All of them: together every point of every act."""
    return (Share(act, part) for act in ACTS for part in range(PARTS))


def crash(share: Share) -> Crashed:
    """Play one share; it ends with the first death that something does not survive."""
    chosen: list[Death] = []
    found: list[tuple[int, int]] = []
    why = ""

    async def scenario(world: World) -> None:
        nonlocal why
        try:
            await tour(world, ACTS[share.act], _choose(share.part, chosen, found))
        except AssertionError as broken:
            why = str(broken) or repr(broken)

    result = run_world(replace(USUAL, settings=QUICK, seed=1), scenario)
    if result.problems and not why:
        why = f"loose end: {result.problems[0]}"
    return Crashed(
        share=share,
        points=sum(found[0]) if found else 0,
        deaths=len(chosen),
        why=why,
        virtual_ms=result.virtual_ms,
        cpu_s=result.cpu_s,
    )


def _choose(
    part: int, chosen: list[Death], found: list[tuple[int, int]]
) -> Callable[[int, int], Sequence[Death]]:
    def choose(effects: int, steps: int) -> Sequence[Death]:
        found.append((effects, steps))
        chosen.extend(deaths(effects, steps, part))
        return chosen

    return choose


def deaths(effects: int, steps: int, part: int) -> list[Death]:
    """A share of all points: at each effect by kill and by power cut, at each step by kill."""
    ways = [(False, power_cut, effects) for power_cut in (False, True)] + [(True, False, steps)]
    return [
        Death(step, number, power_cut=power_cut, down_ms=DOWN_MS[number % len(DOWN_MS)])
        for step, power_cut, count in ways
        for number in range(1, count + 1)
        if number % PARTS == part
    ]
