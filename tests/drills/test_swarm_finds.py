"""The swarm in small: a fixed set of worlds holds, and in the same worlds each planted bug is found."""

from __future__ import annotations

import pytest

from holdfast.drills.cases import drawn
from holdfast.drills.fleet import every, run_fleet
from holdfast.drills.hunt import hunt
from holdfast.drills.judged import judge
from holdfast.drills.plants import PLANTS
from holdfast.drills.totals import compared

HOURS = 0.5
ONCE = (1, 2, 4, 5, 7)
TWICE = 3
HUNT_FROM = {
    "new-id-per-retry": 1,
    "check-await-act": 11,
    "trust-empty-answer": 7,
    "stop-cancelled-first": 1,
    "set-order": 1,
}
"""The seed that finds it today; what changes the bot may change that, and then a later one has to."""
BUDGET = 10
"""Worlds in which a planted bug has to be found."""


@pytest.mark.parametrize("seed", ONCE)
def test_a_world_of_the_swarm_holds(seed: int) -> None:
    judged = judge(drawn(seed, HOURS))
    assert judged.violations == ()
    assert judged.figures.exposed_worlds == 1, "a trouble struck while a position was open"


def test_a_world_of_the_swarm_holds_and_goes_the_same_way_in_another_process() -> None:
    [done] = run_fleet(judge, [drawn(TWICE, HOURS)], jobs=2, twice=every(1))
    judged = compared(done)
    assert judged is not None, done.failure
    assert done.again is not None
    assert judged.violations == ()


@pytest.mark.parametrize("name", PLANTS)
def test_the_swarm_finds_a_planted_bug_and_nothing_where_it_is_not_planted(name: str) -> None:
    came = hunt(name, seed=HUNT_FROM[name], worlds=BUDGET, hours=HOURS, jobs=1)
    assert came.failures == ()
    assert came.found is not None, str(came)
    seed = came.found.case.seed
    if seed not in (*ONCE, TWICE):  # those are shown to hold above
        assert judge(drawn(seed, HOURS)).violations == ()
