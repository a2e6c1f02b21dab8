"""A seed means one world for ever, and a replay file is that world."""

from __future__ import annotations

import json

import pytest

from holdfast.drills import cases
from holdfast.drills.cases import BadCase, Expected, Kept, calm, drawn
from holdfast.drills.origin import origin


def test_a_seed_is_a_world_and_its_troubles() -> None:
    assert drawn(7, 2.0) == drawn(7, 2.0)
    assert drawn(7, 2.0).schedule != drawn(8, 2.0).schedule
    assert len({str(drawn(seed, 2.0).spec.latency_ms) for seed in range(20)}) > 1


def test_the_calm_world_is_the_same_without_troubles() -> None:
    assert calm(7, 2.0).spec == drawn(7, 2.0).spec
    assert calm(7, 2.0).schedule.troubles == ()
    assert calm(7, 2.0).schedule.length_ms == drawn(7, 2.0).schedule.length_ms


def test_a_replay_file_gives_back_what_was_kept(tmp_path) -> None:
    case = drawn(7, 1.0, plant="set-order")
    expected = Expected(event_digest="e", wire_digest="w", checker="S2", at_ms=5, text="two entries")
    kept = Kept(case=case, expected=expected, origin=origin())
    path = tmp_path / "new" / "7-S2.json"
    cases.write(path, kept)
    assert cases.read(path) == kept


def test_a_plan_by_hand_needs_only_its_schedule(tmp_path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"format": 1, "world": {"seed": 3}, "schedule": {"length_ms": 60_000}}))
    kept = cases.read(path)
    assert kept.case.seed == 3
    assert kept.expected is None
    assert kept.origin is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "expected format 1, found 2"),
        ({"plant": "weeds"}, "plant: expected one of"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"schedule": {"length_ms": 0}}, "length_ms: expected more than 0"),
        ({"world": {"hours": "long"}}, "world: Expected `float`"),
        ({"expected": {"event_digest": 1}}, "Expected `str`"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_with_its_name(tmp_path, change, words) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"format": 1, "schedule": {"length_ms": 60_000}, **change}))
    with pytest.raises(BadCase, match=r"odd\.json") as refused:
        cases.read(path)
    assert words in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path) -> None:
    path = tmp_path / "odd.json"
    path.write_text("{")
    with pytest.raises(BadCase, match=r"odd\.json"):
        cases.read(path)
    with pytest.raises(BadCase, match="nowhere"):
        cases.read(tmp_path / "nowhere.json")


def test_the_origin_names_code_and_versions() -> None:
    here = origin()
    assert here.lock
    assert here.commit == "unknown" or len(here.commit.rstrip("+")) >= 7
    assert str(here) == f"commit={here.commit} lock={here.lock}"
