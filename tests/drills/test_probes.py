"""Every probe can be hit, by what it is about and by nothing near it; hits of many worlds add up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from holdfast.drills.plan import play, schedule_of, trouble
from holdfast.drills.probes import PROBES, Hits, hits_of, read_hits
from holdfast.drills.spec import WorldSpec
from holdfast.drills.stage import WorldStage
from holdfast.drills.story import Seen, Story, alone, has, journal, said, seen, then
from holdfast.drills.wires import BINANCE, WIRES
from holdfast.drills.witness import Witness
from holdfast.drills.world import World, run_world

BTC = "BTC/USDT:USDT"
MINUTE_MS = 60_000


def row(kind: str, at_ms: int = 0, /, **fields: Any) -> Seen:
    return Seen(kind, at_ms, {"symbol": BTC, **fields})


def told(event: str, at_ms: int = 0, /, **fields: Any) -> Seen:
    return row("journal", at_ms, event=event, **fields)


def says(event: str, at_ms: int = 0, /, **fields: Any) -> Seen:
    return row("said", at_ms, event=event, **fields)


def alarm(name: str, at_ms: int = 0, text: str = "") -> Seen:
    return says("alert.raised", at_ms, id=name, text=text)


def ask(method: str, path: str, at_ms: int = 0, faults: tuple[str, ...] = ()) -> Seen:
    asks = WIRES[BINANCE].meant(method, path, {})
    return row("request", at_ms, method=method, path=path, asks=asks, faults=list(faults))


def cover(at_ms: int, *, covered: bool | None) -> Seen:
    return row("cover", at_ms, covered=covered)


NAKED, COVERED = cover(0, covered=False), cover(200, covered=True)
SENT = row("request", 0, method="POST", path="/fapi/v1/order", asks=["send"], faults=[], client_id="a")
DIED = row("died", 500, life=1)

# Name → the least that hits it.
STORIES: dict[str, list[Seen]] = {
    "entry without an answer": [told("ORDER_UNKNOWN", purpose="enter")],
    "stop without an answer": [told("ORDER_UNKNOWN", purpose="place_stop")],
    "close without an answer": [told("ORDER_UNKNOWN", purpose="close")],
    "cancel without an answer": [told("ORDER_UNKNOWN", purpose="cancel_stop")],
    "unknown resolved as filled": [told("ORDER_FILLED", before="unknown")],
    "unknown stop found standing": [told("ORDER_PLACED", before="unknown", purpose="place_stop")],
    "unknown proven dead": [
        says("order.answered", detail="proven dead: no longer acceptable, and not found")
    ],
    "stream told the end before the answer": [
        told("ORDER_FILLED", before="sending", purpose="enter", client_id="a"),
        says("order.answered", 5, client_id="b"),
    ],
    "entry refused by the exchange": [told("ORDER_REJECTED", purpose="enter")],
    "request expired unanswered": [told("ORDER_REJECTED", detail="clock: -1021 Timestamp")],
    "second send of an id that had arrived": [says("order.answered", detail="-4116 ClientOrderId")],
    "news contradicted the journal": [told("INTENT_CONTRADICTED")],
    "answer nobody has mapped": [alarm("ERROR_UNMAPPED")],
    "stop stood within a second": [NAKED, COVERED],
    "position stood naked for over two seconds": [NAKED, cover(2_001, covered=True)],
    "stop re-made after cancel by hand": [row("algo", 0, status="canceled"), COVERED],
    "stop lost": [alarm("STOP_LOST")],
    "stop stuck was alarmed": [alarm("STOP_STUCK")],
    "stop missing was alarmed": [alarm("STOP_MISSING")],
    "stop refused": [told("ORDER_REJECTED", purpose="place_stop")],
    "protect deadline closed a position": [
        told("CLOSE_DECIDED", reason="no stop stands at the protect deadline")
    ],
    "refused stop closed a position": [
        told("CLOSE_DECIDED", reason="the exchange says that the stop would trigger at once")
    ],
    "price ran through a missing stop": [
        told("CLOSE_DECIDED", reason="the price is already through the stop")
    ],
    "partial fill protected": [
        row("order", 0, status="expired", filled="0.5", reduce_only=False),
        COVERED,
    ],
    "stop moved beside the old one": [told("ORDER_CANCELLED", purpose="cancel_stop")],
    "stop closed a position": [told("EXIT_CORRECTED", exit_cause="stop")],
    "stop hung while triggering": [row("algo", 0, status="triggering", algo_id=1)],
    "second line of defence acted": [
        row("algo", 0, status="triggering", algo_id=1),
        cover(2_001, covered=False),
        cover(9_000, covered=None),
    ],
    "stop of a position that is gone was cancelled": [
        told("INTENT_WRITTEN", purpose="cancel_stop", reason="its position is gone")
    ],
    "cancel lost race to fill": [
        told("ORDER_REJECTED", purpose="cancel_stop", detail="not_found: -2011 Unknown order sent.")
    ],
    "position closed by others": [told("POSITION_CLOSED", exit_reason="EXCHANGE_CLOSED_RECONCILIATION")],
    "exit by hand in the books": [told("EXIT_CORRECTED", exit_cause="manual")],
    "liquidation in the books": [told("EXIT_CORRECTED", exit_cause="liquidation")],
    "deleveraging in the books": [told("EXIT_CORRECTED", exit_cause="adl")],
    "settlement in the books": [told("EXIT_CORRECTED", exit_cause="settlement")],
    "unknown position adopted": [told("POSITION_OPENED", adopted=True)],
    "position resized in the books": [told("POSITION_RESIZED")],
    "funding was charged": [row("account", 0, reason="FUNDING_FEE")],
    "empty answer did not close the books": [ask("GET", "/fapi/v3/positionRisk", faults=("empty_read",))],
    "the exchange warned of liquidation": [alarm("MARGIN_CALL")],
    "restart with open UNKNOWN": [
        told("ORDER_UNKNOWN", news="the process ended before an outcome was recorded")
    ],
    "kill while submit in flight": [SENT, says("order.answered", 300, client_id="b"), DIED],
    "restart with a position open": [told("SYNCED", positions=2)],
    "killed twice within a minute": [DIED, row("died", 30_000, life=2)],
    "died between fill and stop": [NAKED, DIED],
    "position covered after a restart": [row("born", 0, life=2), COVERED],
    "lease taken over": [told("LEASE_TAKEN", before="bot 1")],
    "price fallback to REST": [
        says("stream.changed", stream="market", up=False),
        ask("GET", "/fapi/v1/premiumIndex", 3_000),
    ],
    "price stream came back by itself": [
        says("stream.changed", stream="market", up=False),
        says("stream.changed", 9_000, stream="market", up=True),
    ],
    "account stream came back by itself": [
        says("stream.changed", stream="user", up=False),
        says("stream.changed", 9_000, stream="user", up=True),
    ],
    "listen key expired": [says("stream.changed", cause="listen key expired")],
    "silent stream was noticed": [says("stream.changed", up=False, cause="no data for 5 s")],
    "stream was closed by the exchange": [
        says("stream.changed", up=False, cause="closed by the exchange: code 1012")
    ],
    "stream could not connect": [says("stream.changed", up=False, cause="cannot connect: HTTP 503")],
    "unreadable event made the account be read": [
        says("stream.changed", up=True, cause="an event could not be read: x")
    ],
    "rate limit was met": [alarm("RATE_LIMITED")],
    "ban was obeyed": [alarm("BANNED"), ask("GET", "/fapi/v1/time", 6_000)],
    "key was refused": [alarm("READ_FAILING", text="reading positions: the exchange refuses: -2015 Invalid")],
    "read failed": [says("read.failed")],
    "rules changed in flight were learned": [
        told("ORDER_REJECTED", purpose="place_stop", detail="filter: -4014 Price not increased"),
        told("ORDER_PLACED", 900, purpose="place_stop"),
    ],
    "symbol could not be traded": [alarm("NOT_TRADABLE")],
    "account setting drifted": [alarm("ACCOUNT_DRIFT")],
    "close was refused": [alarm("CLOSE_REFUSED")],
    "kill while an order was under way": [
        told("OPERATOR_STATE", new="killed"),
        says("order.answered", 400),
    ],
    "killed with everything closed": [
        told("OPERATOR_STATE", new="killed"),
        told("LIQUIDATION_COMPLETE", 900),
    ],
    "stopped and run again": [
        told("OPERATOR_STATE", new="stopped"),
        told("OPERATOR_STATE", 900, new="running"),
    ],
    "killed and run again": [
        told("OPERATOR_STATE", new="killed"),
        told("OPERATOR_STATE", 900, new="running"),
    ],
    "entry refused by the operator's word": [says("decision.refused", text="restless long: killed (…)")],
    "flatten reached zero": [told("LIQUIDATION_COMPLETE")],
    "flatten did not reach zero": [told("LIQUIDATION_FAILED")],
    "mode stepped down": [told("MODE_CHANGED", new="reduce_only", by_person=False)],
    "file could not be written": [alarm("FILES_UNWRITABLE")],
    "files could be written again": [says("alert.cleared", id="FILES_UNWRITABLE")],
    "torn audit file was repaired": [told("AUDIT_REPAIRED")],
    "store did not take writes": [alarm("STORE_UNWRITABLE")],
    "store took writes again": [says("alert.cleared", id="STORE_UNWRITABLE")],
    "order in force before it was durable": [alarm("ORDER_NOT_DURABLE")],
    "entry refused for an old price": [says("decision.refused", text="x long: mark_stale (…)")],
    "entry refused for a nonsense price": [says("decision.refused", text="x long: mark_insane (…)")],
    "entry refused for a wrong clock": [says("decision.refused", text="x long: clock_skew (…)")],
    "entry refused for what is not proven": [says("decision.refused", text="x long: not_synced (…)")],
}

# Name → nearly that, but not it.
NEARLY: dict[str, list[Seen]] = {
    "stream told the end before the answer": [
        told("ORDER_FILLED", before="sending", purpose="enter", client_id="a"),
        says("order.answered", 5, client_id="a"),
    ],
    "stop stood within a second": [NAKED, cover(1_001, covered=True)],
    "position stood naked for over two seconds": [NAKED, cover(1_500, covered=None)],
    "stop re-made after cancel by hand": [
        ask("DELETE", "/fapi/v1/algoOrder"),
        row("algo", 0, status="canceled"),
        COVERED,
    ],
    "partial fill protected": [row("order", 0, status="expired", filled="0", reduce_only=False), COVERED],
    "stop hung while triggering": [
        row("algo", 0, status="triggering", algo_id=1),
        row("algo", 10, status="triggered", algo_id=1),
    ],
    "empty answer did not close the books": [
        ask("GET", "/fapi/v3/positionRisk", faults=("empty_read",)),
        told("POSITION_CLOSED", 900, exit_reason="EXCHANGE_CLOSED_RECONCILIATION"),
    ],
    "kill while submit in flight": [SENT, says("order.answered", 300, client_id="a"), DIED],
    "died between fill and stop": [NAKED, cover(40, covered=True), DIED],
    "price fallback to REST": [
        says("stream.changed", stream="user", up=False),
        ask("GET", "/fapi/v1/premiumIndex", 3_000),
    ],
    "ban was obeyed": [alarm("BANNED"), ask("GET", "/fapi/v1/time", 3_000)],
    "rules changed in flight were learned": [
        told("ORDER_REJECTED", purpose="place_stop", detail="filter: -4014 Price not increased"),
        told("ORDER_PLACED", 900, purpose="enter"),
    ],
    "restart with a position open": [told("SYNCED", positions=0)],
    "mode stepped down": [told("MODE_CHANGED", new="normal", by_person=True)],
}


# --- the catalogue -----------------------------------------------------------------------------------


def test_there_are_enough_probes_and_each_has_its_story() -> None:
    assert len(PROBES) >= 40
    assert set(STORIES) == set(PROBES)


@pytest.mark.parametrize("name", PROBES)
def test_a_probe_is_hit_by_its_story_and_by_nothing(name: str) -> None:
    assert hits_of(STORIES[name]).times[name] == 1
    assert hits_of([]).times[name] == 0


@pytest.mark.parametrize("name", NEARLY)
def test_a_probe_is_not_hit_by_what_is_nearly_it(name: str) -> None:
    assert hits_of(NEARLY[name]).times[name] == 0


# --- questions ---------------------------------------------------------------------------------------


def test_rows_are_found_by_kind_event_and_fields() -> None:
    story = Story([told("A", purpose="x"), told("A", purpose="y"), says("A", purpose="x")])
    assert len(seen("journal")(story)) == 2
    assert len(journal("A", purpose="x")(story)) == 1
    assert len(journal("A", purpose=("x", "y"))(story)) == 2
    assert len(said("A", purpose=has("x", "z"))(story)) == 1
    assert said("B")(story) == []


def test_rows_that_follow_are_told_from_those_that_do_not() -> None:
    story = Story([row("a", 0, n=1), row("a", 100, n=2), row("b", 150, n=2), row("b", 5_000, n=1)])
    first, second = seen("a"), seen("b")
    assert [each.at_ms for each in then(first, second, within_ms=200)(story)] == [0, 100]
    assert [each.at_ms for each in then(first, second, within_ms=200, same=("n",))(story)] == [100]
    assert [each.at_ms for each in alone(first, second, within_ms=200, same=("n",))(story)] == [0]
    assert [each.at_ms for each in then(second, first, within_ms=0, from_ms=-60)(story)] == [150]


def test_nothing_follows_itself() -> None:
    assert then(seen("a"), seen("a"), within_ms=1)(Story([row("a", 5)])) == []


# --- hits --------------------------------------------------------------------------------------------


def test_hits_of_worlds_add_up_and_survive_json() -> None:
    total = Hits()
    total.merge(hits_of([alarm("STOP_LOST"), alarm("STOP_LOST", 5)]))
    total.merge(hits_of([alarm("STOP_LOST")]))
    total.merge(hits_of([]))
    assert (total.worlds, total.times["stop lost"], total.worlds_with["stop lost"]) == (3, 3, 2)
    again = read_hits(json.loads(json.dumps(total.to_json())))
    assert (again.worlds, +again.times, +again.worlds_with) == (3, total.times, total.worlds_with)


def test_what_was_never_hit_is_named_and_rare_ones_only_when_asked_for() -> None:
    hits = hits_of([alarm("STOP_LOST")])
    assert "stop lost" not in hits.never()
    assert "entry without an answer" in hits.never()
    assert "flatten did not reach zero" not in hits.never()
    assert "flatten did not reach zero" in hits.never(rare=True)


# --- in a real world ---------------------------------------------------------------------------------

WANTED = {
    "stop stood within a second",
    "stop moved beside the old one",
    "stop re-made after cancel by hand",
    "unknown resolved as filled",
    "exit by hand in the books",
    "position closed by others",
    "kill while submit in flight",
    "restart with open UNKNOWN",
    "lease taken over",
    "price fallback to REST",
    "price stream came back by itself",
    "listen key expired",
    "killed and run again",
    "store did not take writes",
    "store took writes again",
}


def test_worlds_of_chosen_troubles_hit_what_they_are_about() -> None:
    hits = Hits()
    troubles = [
        trouble("status_unknown", 61_000, target="order", for_ms=80_000, numbers={"probability": 1.0}),
        trouble("stops_cancelled_by_hand", 130_000),
        trouble("closed_by_hand", 200_000),
        trouble("stream_silent", 230_000, target="market", for_ms=20_000),
        trouble("listen_key_expires", 280_000),
        trouble("killed_at_effect", 320_000, on="submit", word="after", numbers={"nth": 1}),
        trouble("stopped", 430_000, for_ms=20_000),
        trouble("kill_pressed_twice", 480_000, for_ms=20_000),
        trouble("disk_read_only", 530_000, for_ms=30_000),
    ]

    async def scenario(world: World) -> None:
        stage, witness = WorldStage(world), Witness(world)
        world.start_bot()
        keeping = asyncio.create_task(stage.machine.keep_running())
        played = await play(schedule_of(1, 11 * MINUTE_MS, troubles), stage, stage.sleep_until)
        await world.run_for(2 * MINUTE_MS)
        keeping.cancel()
        hits.merge(hits_of(witness.seen(played)))

    busy = {"restless": {"enter_chance": 0.9, "exit_chance": 0.3, "adjust_chance": 0.6}}
    for seed in (3, 4):
        spec = WorldSpec(seed=seed, strategies=busy, settings={"trading.cooldown_minutes": "0.05"})
        run_world(spec, scenario)
    assert WANTED - set(hits.times) == set()
