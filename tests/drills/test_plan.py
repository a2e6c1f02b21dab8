"""Schedules are data: complete, checked, the same after a journey through JSON, played in their time."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from holdfast.drills.kinds import KINDS, Moment, Plane, kinds_at
from holdfast.drills.plan import (
    BadPlan,
    Heal,
    Schedule,
    Trouble,
    faults_of,
    play,
    read_schedule,
    schedule_of,
    trouble,
)
from holdfast.drills.wires import WIRES, ExchangeName
from holdfast.simulator.faults import FaultKind, FaultPlan

HOUR_MS = 3_600_000


def a_schedule(*troubles: Trouble, length_ms: int = HOUR_MS, seed: int = 7) -> Schedule:
    return schedule_of(seed, length_ms, list(troubles))


# --- the catalogue -----------------------------------------------------------------------------------


def test_every_kind_can_be_asked_for_with_nothing_but_its_name_and_time() -> None:
    for name, kind in kinds_at("binance").items():
        made = trouble(name, 1_000)
        assert made.target == kind.targets[0]
        assert made.on == kind.on
        assert set(made.numbers) == set(kind.numbers)
        assert (made.for_ms > 0) is (kind.lasts_ms is not None)


def test_every_kind_survives_the_way_through_json() -> None:
    made = a_schedule(*(trouble(name, place) for place, name in enumerate(kinds_at("binance"))))
    assert read_schedule(json.loads(json.dumps(made.to_json()))) == made


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.plane is Plane.WIRE])
@pytest.mark.parametrize("exchange", WIRES)
def test_every_kind_on_the_wire_becomes_faults_for_each_of_its_targets(
    name: str, exchange: ExchangeName
) -> None:
    kind = kinds_at(exchange).get(name)
    if kind is None:
        assert KINDS[name].absent(exchange)
        return
    for target in kind.targets:
        for word in kind.words or ("",):
            made = trouble(name, 5, exchange, target=target, word=word)
            faults = faults_of(schedule_of(7, HOUR_MS, [made], exchange), made, "btcusdt")
            assert faults, name
            assert all("{" not in fault.path + fault.member + fault.word for fault in faults)
            FaultPlan(faults)


def test_the_catalogue_uses_every_fault_the_simulator_knows() -> None:
    used = {form["kind"] for kind in KINDS.values() for form in kind.faults}
    assert used == set(FaultKind)


def test_what_an_exchange_does_not_have_is_refused_with_its_reason() -> None:
    with pytest.raises(BadPlan, match=r"expected a kind that bingx has, found 'stop_unlisted' \(all stops"):
        trouble("stop_unlisted", 5, "bingx")
    with pytest.raises(BadPlan, match="target: expected one of"):
        trouble("error_after", 5, "bitget", target="key")


def test_a_schedule_is_in_the_words_of_its_exchange() -> None:
    made = trouble("status_unknown", 5, "bitget")
    schedule = schedule_of(7, HOUR_MS, [made], "bitget")
    (fault,) = faults_of(schedule, made)
    assert (fault.path, fault.status, fault.code) == ("/order/place-(order|tpsl-order)$", 400, 40010)
    assert read_schedule(json.loads(json.dumps(schedule.to_json()))) == schedule


# --- on the wire -------------------------------------------------------------------------------------


def the_fault(name: str, **given: object):
    made = trouble(name, 5, **given)
    (fault,) = faults_of(a_schedule(made), made, "btcusdt")
    return fault


def test_a_target_names_the_requests() -> None:
    fault = the_fault("error_after", target="stop", numbers={"status": 502})
    assert (fault.method, fault.path, fault.status) == ("POST", "/algoOrder$", 502)
    assert fault.probability == KINDS["error_after"].numbers["probability"].usual


def test_closing_orders_are_told_from_entries_by_their_name() -> None:
    assert the_fault("reduce_only_refused").params == {"newClientOrderId": ".*-out-.*"}


def test_a_target_names_the_stream() -> None:
    assert the_fault("stream_silent", target="market").stream == "market"
    assert the_fault("odd_events").stream == "user"


def test_a_symbol_and_a_word_are_filled_in() -> None:
    assert the_fault("symbol_stalls").path == "^btcusdt@"
    assert the_fault("field_missing", word="positionAmt").member == "positionAmt"
    assert the_fault("absurd_price", word="NaN").word == "NaN"


def test_the_chance_of_a_fault_does_not_depend_on_its_neighbours() -> None:
    kept = trouble("error_after", 5_000)
    alone = faults_of(a_schedule(kept), kept)
    among = faults_of(a_schedule(trouble("html", 1), kept), kept)
    assert alone == among
    other = trouble("error_after", 5_001)
    assert faults_of(a_schedule(other), other)[0].seed != alone[0].seed
    plan, later = FaultPlan(alone), FaultPlan([*faults_of(a_schedule(other), other), *alone])
    fires = [active.listing()[-1] for active in (plan, later)]
    assert [fires[0].fires() for _ in range(50)] == [fires[1].fires() for _ in range(50)]


# --- reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "schedule: expected an object, found list"),
        ({"length_ms": 5, "colour": 1}, "schedule: unknown field 'colour'; known are exchange, format"),
        ({}, "schedule: Object missing required field `length_ms`"),
        ({"length_ms": 0}, "length_ms: expected more than 0, found 0"),
        ({"length_ms": 5, "format": 2}, "schedule: expected format 1, found 2"),
        ({"length_ms": 5, "troubles": {}}, "troubles: expected a list, found dict"),
        ({"length_ms": 5, "troubles": ["x"]}, "troubles[0]: expected an object, found str"),
        ({"length_ms": 5, "troubles": [{}]}, "troubles[0]: expected a kind of the catalogue, found None"),
        (
            {"length_ms": 5, "troubles": [{"kind": "earthquake", "at_ms": 1}]},
            "troubles[0]: expected a kind of the catalogue, found 'earthquake'",
        ),
        ({"length_ms": 5, "troubles": [{"kind": "html", "when": 1}]}, "troubles[0]: unknown field 'when'"),
        (
            {"length_ms": 5, "troubles": [{"kind": "html"}]},
            "troubles[0]: Object missing required field `at_ms`",
        ),
        (
            {"length_ms": 5, "troubles": [{"kind": "html", "at_ms": 5}]},
            "html: expected at_ms before the end at 5",
        ),
        (
            {"length_ms": 5, "troubles": [{"kind": "html", "at_ms": -1}]},
            "troubles[0].at_ms: expected 0 or more",
        ),
    ],
)
def test_nonsense_is_refused_in_one_clear_sentence(data: object, words: str) -> None:
    with pytest.raises(BadPlan) as caught:
        read_schedule(data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"numbers": {"colour": 1}},
            "unknown number 'colour' of error_after; known are probability, status, times",
        ),
        ({"numbers": {"probability": 2}}, "error_after.numbers.probability: expected 0.02 to 1.0, found 2"),
        ({"numbers": {"status": 503.5}}, "error_after.numbers.status: expected a whole number, found 503.5"),
        ({"numbers": {"times": "many"}}, "error_after: Expected `int | float`, got `str`"),
        ({"numbers": []}, "error_after.numbers: expected an object, found list"),
        ({"target": "moon"}, "error_after.target: expected one of send, all"),
        ({"word": "boo"}, "error_after.word: expected one of none, found 'boo'"),
        ({"for_ms": 0}, "error_after.for_ms: expected more than 0, found 0"),
        ({"on": "payday"}, "error_after: Invalid enum value 'payday'"),
    ],
)
def test_a_trouble_is_checked_against_its_row(given: dict[str, object], words: str) -> None:
    with pytest.raises(BadPlan) as caught:
        trouble("error_after", 1, **given)
    assert words in str(caught.value)


def test_what_is_over_as_it_happens_cannot_last() -> None:
    with pytest.raises(BadPlan, match=r"gap.for_ms: expected 0, it is over as it happens, found 5"):
        trouble("gap", 1, for_ms=5)


def test_troubles_are_kept_in_the_order_of_time() -> None:
    made = a_schedule(trouble("html", 9), trouble("empty_answer", 3), trouble("gap", 9))
    assert [each.kind for each in made.troubles] == ["empty_answer", "gap", "html"]


# --- playing -----------------------------------------------------------------------------------------


@dataclass
class FakeStage:
    """Notes what is done; its time is what `sleep_until` has reached."""

    said: list[tuple[int, str]] = field(default_factory=list)
    now_ms: int = 0
    comes: dict[Moment, int] = field(default_factory=dict)

    async def sleep_until(self, at_ms: int) -> None:
        """In steps, so that troubles take turns in the order of time."""
        while self.now_ms < at_ms:
            await asyncio.sleep(0)

    async def tick(self, until_ms: int) -> None:
        while self.now_ms < until_ms:
            for _ in range(20):
                await asyncio.sleep(0)
            self.now_ms += 1

    def elapsed_ms(self) -> int:
        return self.now_ms

    async def moment(self, moment: Moment, until_ms: int) -> bool:
        comes = self.comes.get(moment, until_ms + 1)
        await self.sleep_until(min(comes, until_ms))
        return comes <= until_ms

    async def strike(self, schedule: Schedule, trouble: Trouble) -> Heal:
        self.said.append((self.now_ms, trouble.kind))

        async def heal() -> int:
            self.said.append((self.now_ms, f"{trouble.kind} healed"))
            return 3

        return heal


async def played_on(stage: FakeStage, schedule: Schedule):
    async with asyncio.TaskGroup() as group:
        group.create_task(stage.tick(schedule.length_ms + 10))
        return await play(schedule, stage, stage.sleep_until)


async def test_troubles_begin_and_are_healed_in_their_time() -> None:
    stage = FakeStage()
    played = await played_on(
        stage, a_schedule(trouble("html", 10, for_ms=20), trouble("gap", 15), length_ms=100)
    )
    assert stage.said == [(10, "html"), (15, "gap"), (15, "gap healed"), (30, "html healed")]
    assert [(each.began_ms, each.ended_ms, each.hits) for each in played] == [(10, 30, 3), (15, 15, 3)]


async def test_everything_is_healed_when_the_schedule_ends() -> None:
    stage = FakeStage()
    await played_on(stage, a_schedule(trouble("html", 10, for_ms=5_000), length_ms=50))
    assert stage.said[-1] == (50, "html healed")


async def test_a_trouble_waits_for_its_moment_and_then_lasts_its_whole_time() -> None:
    stage = FakeStage(comes={Moment.SUBMIT: 40})
    (played,) = await played_on(stage, a_schedule(trouble("html", 10, for_ms=20, on="submit"), length_ms=100))
    assert (played.began_ms, played.ended_ms) == (40, 60)


async def test_a_moment_that_never_comes_means_that_nothing_happens() -> None:
    stage = FakeStage()
    (played,) = await played_on(stage, a_schedule(trouble("html", 10, on="fill"), length_ms=60))
    assert stage.said == []
    assert (played.began_ms, played.hits) == (-1, 0)


async def test_a_cancelled_play_heals_what_stands() -> None:
    stage = FakeStage()
    schedule = a_schedule(trouble("html", 0, for_ms=5_000))
    playing = asyncio.create_task(play(schedule, stage, stage.sleep_until))
    await stage.tick(5)
    playing.cancel()
    await asyncio.wait({playing})
    assert [said for _, said in stage.said] == ["html", "html healed"]
