"""Schedules by chance: the same for the same seed, different for others, dense and calm enough."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

from holdfast.drills import swarm
from holdfast.drills.kinds import Moment, kinds_at
from holdfast.drills.plan import read_schedule, trouble
from holdfast.drills.swarm import CALM_SHARE, HOUR_MS, PER_HOUR_MAX, cost, draw, thinned

SEEDS = range(300)
KINDS = kinds_at("binance")


def test_a_seed_has_one_schedule_whatever_the_hash_seed() -> None:
    code = "import json; from holdfast.drills.swarm import draw; print(json.dumps(draw(11, 2).to_json()))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(told) == 1
    assert draw(11, 2) == draw(11, 2)
    assert draw(11, 2) != draw(12, 2)


def test_a_drawn_schedule_is_a_sound_one() -> None:
    for seed in SEEDS:
        drawn = draw(seed, 2)
        assert read_schedule(drawn.to_json()) == drawn


def test_a_seed_has_some_kinds_and_not_others() -> None:
    kinds = [len({each.kind for each in draw(seed, 2).troubles}) for seed in SEEDS]
    assert min(kinds) < len(KINDS) * 0.1
    assert max(kinds) > len(KINDS) * 0.2


def test_all_kinds_and_targets_come_up_sooner_or_later() -> None:
    met = Counter((each.kind, each.target) for seed in SEEDS for each in draw(seed, 2).troubles)
    assert {kind for kind, _ in met} == set(KINDS)
    for name in ("error_after", "stream_silent", "link_stalled"):
        alike = {kind for kind, row in KINDS.items() if row.targets == KINDS[name].targets}
        assert {target for kind, target in met if kind in alike} == set(KINDS[name].targets)


def test_half_of_the_troubles_go_where_they_cost_money() -> None:
    """And the rest to any request: out of twenty, four are decisive."""
    met = Counter(t.target for seed in SEEDS for t in draw(seed, 2).troubles if t.kind == "error_after")
    decisive = sum(met[target] for target in swarm.DECISIVE) / met.total()
    assert 0.45 < decisive < 0.8


def test_what_strikes_often_exists_in_more_seeds() -> None:
    met = Counter(kind for seed in SEEDS for kind in {each.kind for each in draw(seed, 2).troubles})
    assert KINDS["nothing_there"].per_hour >= 2 > KINDS["reads_lag"].per_hour
    assert met["nothing_there"] > 1.5 * met["reads_lag"]


def test_an_empty_answer_waits_until_something_is_held() -> None:
    found = [t for seed in SEEDS for t in draw(seed, 2).troubles if t.kind == "nothing_there"]
    assert {each.on for each in found} == {Moment.POSITION}
    assert sum(each.target == "positions" for each in found) > len(found) / 2


def test_a_new_kind_changes_nothing_in_what_the_others_draw(monkeypatch) -> None:
    """Up to the density bound, which is for all together."""
    monkeypatch.setattr(swarm, "PER_HOUR_MAX", 10_000)
    monkeypatch.setattr(swarm, "CALM_SHARE", -100)
    before = draw(5, 2)
    fewer = {name: kind for name, kind in KINDS.items() if name != before.troubles[0].kind}
    monkeypatch.setattr(swarm, "kinds_at", lambda _: fewer)
    after = draw(5, 2)
    assert after.troubles == tuple(t for t in before.troubles if t.kind != before.troubles[0].kind)


def test_no_seed_leaves_the_bot_without_calm() -> None:
    for seed in SEEDS:
        drawn = draw(seed, 2)
        assert len(drawn.troubles) <= PER_HOUR_MAX * 2
        assert sum(map(cost, drawn.troubles)) <= (1 - CALM_SHARE) * drawn.length_ms


def test_heavy_troubles_cost_their_time_and_deaths_their_aftermath() -> None:
    assert cost(trouble("maintenance", 0, for_ms=60_000)) == 60_000 + swarm.AFTERMATH_MS
    assert cost(trouble("killed_at_effect", 0, numbers={"down_ms": 9_000})) == 9_000 + swarm.AFTERMATH_MS
    assert cost(trouble("events_doubled", 0)) == 0


def test_thinning_leaves_out_what_is_too_much_and_goes_on() -> None:
    heavy, light = trouble("maintenance", 0, for_ms=HOUR_MS), trouble("events_doubled", 5)
    assert thinned([heavy, light], HOUR_MS) == [light]
