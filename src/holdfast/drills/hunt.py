"""Planted bugs: is each found, by the checker that should, within so many worlds?

A fleet that never fails proves nothing until it was seen to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from holdfast.drills.cases import Case, drawn
from holdfast.drills.fleet import Done, every, never, run_fleet
from holdfast.drills.judged import DIGEST, Judged, judge
from holdfast.drills.plants import PLANTS, Plant
from holdfast.drills.totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """What came of looking for one planted bug. *found*: the first world in which its checker saw it."""

    plant: Plant
    found: Judged | None
    worlds: int
    """How many were run."""
    others: tuple[str, ...]
    """Checkers beside the expected one that had something to say."""
    failures: tuple[str, ...]
    """Drill errors."""
    cpu_s: float

    def __str__(self) -> str:
        name, checker = self.plant.name, self.plant.found_by
        beside = f"; also {', '.join(self.others)}" if self.others else ""
        if self.found is None:
            return f"{name}: NOT FOUND by {checker} in {self.worlds} worlds{beside}"
        return f"{name}: found by {checker} in seed {self.found.case.seed} ({self.worlds} worlds run{beside})"


def hunt(name: str, *, seed: int, worlds: int, hours: float, jobs: int) -> Hunt:
    """Run worlds from *seed* on with the bug planted, until its checker finds it. Raises `KeyError`."""
    plant = PLANTS[name]
    totals = Totals()
    found = None
    for done in _worlds(plant, seed, worlds, hours, jobs):
        judged = totals.add(done)
        if judged is not None and plant.found_by in judged.counts:
            found = judged
            break
    return Hunt(
        plant=plant,
        found=found,
        worlds=totals.worlds,
        others=tuple(sorted(set(totals.violations) - {plant.found_by})),
        failures=tuple(totals.failures),
        cpu_s=totals.cpu_s,
    )


def _worlds(plant: Plant, seed: int, worlds: int, hours: float, jobs: int) -> Iterator[Done[Case, Judged]]:
    cases = (drawn(each, hours, plant=plant.name) for each in range(seed, seed + worlds))
    return run_fleet(judge, cases, jobs=jobs, twice=every(1) if plant.found_by == DIGEST else never)
