"""Many worlds summed up: nothing is lost on the way, and what is too little is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.drills.cases import calm
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.naked import NakedLedger
from holdfast.drills.checkers.useful import Figures
from holdfast.drills.fleet import Done
from holdfast.drills.judged import DIGEST, Judged
from holdfast.drills.kinds import KINDS
from holdfast.drills.plan import Played, trouble
from holdfast.drills.probes import PROBES, Hits
from holdfast.drills.totals import Totals, compared

CASE = calm(7, 2.0)
HELD = Judged(
    case=CASE,
    violations=(),
    counts={},
    naked=NakedLedger(),
    figures=Figures(
        simulated_ms=7_200_000, entries=3, healthy_minutes=100, usable_minutes=80, exposed_worlds=1
    ),
    played=(),
    hits=Hits(),
    weight_peak=300,
    event_digest="e",
    wire_digest="w",
    virtual_ms=7_200_000,
    cpu_s=2.0,
)
BROKEN = replace(HELD, violations=(Violation(checker="S2", at_ms=1, text="two entries"),), counts={"S2": 2})


def totals(*answers: Judged) -> Totals:
    made = Totals()
    for answer in answers:
        made.add(Done(task=CASE, answer=answer))
    return made


def test_worlds_add_up() -> None:
    made = totals(HELD, BROKEN, replace(HELD, weight_peak=900))
    assert (made.worlds, made.violated, made.violations) == (3, 1, {"S2": 2})
    assert made.hours == 6
    assert made.speed == 3 * 7_200 / 6
    assert made.weight_peak == 900
    assert made.figures.entries_per_2h == 3


def test_a_world_without_a_verdict_is_an_error_and_no_world() -> None:
    made = Totals()
    assert made.add(Done(task=CASE, failure="its process died with status 7")) is None
    assert made.worlds == 0
    assert made.failures == ["seed 7: its process died with status 7"]


def test_a_second_run_that_differs_is_a_violation() -> None:
    other = replace(HELD, wire_digest="x")
    judged = compared(Done(task=CASE, answer=HELD, again=other))
    assert judged is not None
    assert judged.counts == {DIGEST: 1}
    assert "differently: wire" in judged.violations[0].text
    assert compared(Done(task=CASE, answer=HELD, again=HELD)) is HELD


def test_troubles_are_counted_by_what_became_of_them() -> None:
    struck = Played(trouble=trouble("adl", 1_000), began_ms=1_000, ended_ms=1_000, hits=2)
    missed = Played(trouble=trouble("adl", 2_000))
    tally = totals(replace(HELD, played=(struck, missed))).kinds["adl"]
    assert (tally.planned, tally.began, tally.hits, tally.worlds) == (2, 1, 2, 1)


def test_what_never_happened_is_missing() -> None:
    struck = Played(trouble=trouble("adl", 1_000), began_ms=1_000, ended_ms=1_000, hits=2)
    hits = Hits(worlds=1)
    hits.times["read failed"] = 3
    missing = totals(replace(HELD, played=(struck,), hits=hits)).missing()
    assert "never struck: adl" not in missing
    assert "never: read failed" not in missing
    asked = sum(not probe.rare for probe in PROBES.values())
    assert len(missing) == len(KINDS) - 1 + asked - 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"usable_minutes": 60}, "60% of healthy minutes usable, expected 70%"),
        ({"entries": 0}, "0.00 entries in 2 h"),
        ({"exposed_worlds": 0}, "0% of worlds exposed"),
        ({"healthy_minutes": 0}, "0% of healthy minutes usable"),
    ],
)
def test_a_bot_of_no_use_is_below_the_floor(change, words) -> None:
    useless = replace(HELD, figures=replace(HELD.figures, **change))
    floors = totals(*[useless] * 10).floors(calm=False)
    assert len(floors) == 1
    assert words in floors[0]


def test_a_useful_bot_is_above_the_floor_and_few_worlds_say_nothing() -> None:
    assert totals(*[HELD] * 10).floors(calm=False) == []
    idle = replace(HELD, figures=replace(HELD.figures, entries=0))
    assert totals(*[idle] * 9).floors(calm=False) == []
    unexposed = replace(HELD, figures=replace(HELD.figures, exposed_worlds=0))
    assert totals(*[unexposed] * 10).floors(calm=True) == []
