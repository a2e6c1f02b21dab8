"""Whole worlds: judged, again to the same digest, made small, looked at."""

from __future__ import annotations

import pytest

from holdfast.drills.cases import calm
from holdfast.drills.judged import CONVERGE_MS, judge
from holdfast.drills.plan import schedule_of, trouble
from holdfast.drills.recording import Lane, Recorder
from holdfast.drills.smaller import smaller

HOURS = 0.1


@pytest.fixture(scope="module")
def planted():
    """A world in which a stop is moved by cancelling it first; with a trouble that has no part in it."""
    case = calm(3, HOURS, plant="stop-cancelled-first")
    troubles = [trouble("clock_off", 60_000, for_ms=20_000), trouble("link_reset", 90_000)]
    recorder = Recorder()
    judged = judge(case.under(schedule_of(3, case.schedule.length_ms, troubles)), recorder.see)
    return judged, recorder.recording(judged)


def test_a_calm_world_holds_and_the_bot_is_of_use() -> None:
    judged = judge(calm(3, HOURS))
    assert judged.held, judged.violations
    assert judged.figures.entries >= 1
    assert judged.virtual_ms >= HOURS * 3_600_000 + CONVERGE_MS
    assert judged.event_digest
    assert judged.hits.times["stop stood within a second"]


def test_a_planted_mistake_is_found_and_said(planted) -> None:
    judged, _ = planted
    assert "S6" in judged.counts
    expected = judged.expected()
    assert expected.checker == judged.violations[0].checker
    assert (expected.event_digest, expected.wire_digest) == judged.digests


def test_recording_a_world_changes_nothing_in_it(planted) -> None:
    judged, _ = planted
    again = judge(judged.case)
    assert again.digests == judged.digests
    assert again.violations == judged.violations


def test_the_recording_tells_what_each_side_did(planted) -> None:
    judged, recording = planted
    cancels = [each for each in recording.entries if each.lane is Lane.SENT and "cancel_stop" in each.text]
    violation = next(each for each in judged.violations if each.checker == "S6")
    fatal = [each for each in cancels if 0 <= violation.at_ms - each.at_ms <= 1_000]
    assert fatal, cancels
    lanes = {each.lane for each in recording.entries}
    assert lanes >= {
        Lane.EXCHANGE,
        Lane.ARRIVED,
        Lane.HEARD,
        Lane.DECIDED,
        Lane.SENT,
        Lane.TROUBLE,
        Lane.VERDICT,
    }
    assert any(each.text.startswith("NAKED") for each in recording.entries)
    assert any(bar.since_ms == violation.at_ms for bar in recording.naked)
    assert {bar.text for bar in recording.troubles} == {"clock_off", "link_reset"}
    times = [each.at_ms for each in recording.entries]
    assert times == sorted(times)


def test_a_violation_is_made_small(planted) -> None:
    judged, _ = planted
    told = []
    found = smaller(judged, "S6", tries_max=4, told=lambda tries, best: told.append(tries))
    assert "S6" in found.judged.counts
    assert found.judged.case.schedule.troubles == ()
    assert found.judged.case.schedule.length_ms < judged.case.schedule.length_ms
    assert told == list(range(1, found.tries + 1))
    assert found.tries <= 4
