"""`holdfast drill` as a user types it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from holdfast.drills import cases
from holdfast.drills.plants import PLANTS
from tests.cli.run import holdfast

SHORT = ("--hours", "0.05")
DIGESTS = re.compile(r"^events=[0-9a-f]{32} wire=[0-9a-f]{32}$")
FAIL = re.compile(r"^SIM-FAIL seed=3 commit=\S+ lock=[0-9a-f]{12} t=\d+\.\d{3} checker=\S+ plant=\S+$", re.M)


@pytest.fixture
def drill(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: holdfast(monkeypatch, capsys, "drill", *arguments)


def test_the_planted_bugs_are_listed_with_who_has_to_find_them(drill) -> None:
    told = drill("--plant", "list")
    assert told.status == 0
    for name, plant in PLANTS.items():
        assert re.search(rf"^{name} +{plant.found_by} ", told.out, re.M)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--plant", "weeds"), "expected a planted bug out of list, new-id-per-retry"),
        (("G02",), "expected --gauntlet before the names of its rows, found G02"),
        (("--gauntlet", "G99"), "expected rows out of G01"),
        (("--gauntlet", "--worlds", "3"), "found --gauntlet and --worlds"),
        (("--gauntlet", "--plant", "set-order"), "--plant is for worlds by seed"),
        (("--soak", "--calm"), "--calm is for worlds by seed"),
        (("--replay", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_does_not_fit_together_is_bad_use_and_runs_nothing(drill, arguments, words) -> None:
    told = drill(*arguments)
    assert told.status == 2
    assert words in told.err
    assert told.out == ""


def test_a_violation_leaves_a_line_a_plan_a_timeline_and_a_page(drill, tmp_path) -> None:
    planted = ("--plant", "stop-cancelled-first", "--calm", "--seed", "3", *SHORT)
    told = drill(*planted, "--shrink", "0", "--explain", "--report", "out.html")
    assert told.status == 3
    assert FAIL.search(told.out)
    assert DIGESTS.match(told.out.splitlines()[-1])
    assert ">> 00:" in told.out
    assert "1 violated" in told.err
    assert "<svg" in (tmp_path / "out.html").read_text()
    [plan] = sorted((tmp_path / "sim-fail").iterdir())
    kept = cases.read(plan)
    assert kept.expected is not None
    assert plan.name == f"3-{kept.expected.checker}.json"

    again = drill("--replay", plan)
    assert again.status == 3
    assert "it went the same way to the last byte" in again.err
    assert again.out.splitlines()[-1] == told.out.splitlines()[-1]


def test_a_replay_that_goes_differently_says_so(drill, tmp_path) -> None:
    plan = tmp_path / "mine.json"
    kept = cases.Kept(
        case=cases.calm(3, 0.05), expected=cases.Expected(event_digest="e" * 32, wire_digest="w" * 32)
    )
    cases.write(plan, kept)
    told = drill("--replay", plan, "--json")
    assert told.status == 0
    assert "it went differently" in told.err
    figures = json.loads(told.out.splitlines()[-1])
    assert figures["same"] is False
    assert figures["held"] is True
    assert figures["worlds"] == 1


@pytest.mark.process
def test_one_world_ends_with_its_digests_under_any_hash_seed(tmp_path) -> None:
    command = [sys.executable, "-m", "holdfast", "drill", "--seed", "7", *SHORT]
    ended = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, cwd=tmp_path
        )
        for seed in ("0", "1", "random")
    ]
    assert [each.returncode for each in ended] == [0, 0, 0], ended[0].stderr
    last = {each.stdout.splitlines()[-1] for each in ended}
    assert len(last) == 1
    assert DIGESTS.match(last.pop())


@pytest.mark.process
def test_many_worlds_over_processes_give_one_digest_and_figures(tmp_path) -> None:
    command = [sys.executable, "-m", "holdfast", "drill", "--worlds", "2", "--seed", "7", "--calm", *SHORT]
    done = subprocess.run(
        [*command, "--jobs", "2", "--twice", "2", "--json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["worlds"] == 2
    assert figures["run_twice"] == 1
    assert re.match(r"^worlds=2 digest=[0-9a-f]{32}$", figures["digest"])
    assert figures["violations"] == {}
