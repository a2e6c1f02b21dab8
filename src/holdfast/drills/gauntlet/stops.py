"""Rows of the gauntlet about stops: refused, lost, delayed, cancelled, in the way of a close."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from holdfast.decisions.protect import MISSING_AFTER_MS
from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.elsewhere import code_at
from holdfast.drills.gauntlet.row import USUAL, row
from holdfast.drills.gauntlet.steps import (
    BTC,
    ETH,
    assert_flat_end,
    assert_protected_once,
    booked,
    covered,
    enter,
    held,
    live_stops,
    naked_ms,
    started,
)
from holdfast.drills.gauntlet.watching import Watch, one_way_ms, round_trip_ms, sending_ms
from holdfast.drills.network import LinkKind
from holdfast.drills.world import World
from holdfast.simulator.core.model import PriceEvent
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.words import TradeStatus

WOULD_TRIGGER = {"code": -2021, "msg": "Order would immediately trigger."}
WRONG_ENDPOINT = {
    "code": -4120,
    "msg": "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.",
}
WAKE_MS = 20
"""The step that a deadline asks for may come so much later."""
MARKS_MS = 1_000
"""Prices come every second."""


def on_stops(kind: FaultKind, **fields: Any) -> Fault:
    """A fault on placing stops."""
    return Fault(kind=kind, method="POST", path="/algoOrder$", **fields)


async def exposed(world: World, *faults: Fault) -> Watch:
    """A position that is opened while *faults* are at work; the strategy wishes nothing more."""
    watch = Watch(world)
    await started(world)
    for fault in faults:
        world.server.faults.add(fault)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: world.truth().entries > 0, "an entry")
    del world.scripted.wishes[BTC]
    return watch


def filled_ms(watch: Watch) -> int:
    """When the entry reached the exchange, which fills it at once."""
    return watch.entries()[0].at_ms


async def assert_left(world: World, within_ms: float) -> None:
    """The position was left in time; the books know; no stop stays, and nothing is opened again."""
    await world.until(lambda: not held(world, BTC), "the position to be left", within_ms + 5_000)
    assert naked_ms(world) <= within_ms, f"naked for {naked_ms(world)} ms, bound {within_ms:.0f}"
    await world.run_for(10_000)
    assert [trade.status is TradeStatus.OPEN for trade in booked(world)] == [False], booked(world)
    assert not live_stops(world, BTC), live_stops(world, BTC)
    assert world.truth().entries == 1
    world.server.faults.clear()
    await assert_flat_end(world)


def assert_one_close(watch: Watch) -> None:
    """At market and reduce-only, as `Watch.closes` asks for."""
    (close,) = watch.closes()
    assert close.params["type"] == "MARKET", close


# --- G05: refused for good -----------------------------------------------------------------------


def refused_ms(world: World) -> float:
    """From a fill to a close when the stop between them is refused."""
    return one_way_ms(world) + sending_ms(world) + one_way_ms(world) + sending_ms(world)


async def refused_for_good(world: World, refusal: dict[str, Any]) -> None:
    watch = await exposed(world, on_stops(FaultKind.REJECT, **refusal))
    told = filled_ms(watch)
    await assert_left(world, refused_ms(world))
    assert_one_close(watch)
    line = watch.assert_told("STOP_REFUSED", told, refused_ms(world), "critical")
    assert code_at(world.spec.exchange, refusal["code"]) in str(line.fields["text"]), line
    watch.assert_told("PROTECTION_FAILED", told, refused_ms(world), "critical")
    assert len(watch.stops()) == 1, "a stop that was refused for good was sent again"


@row(
    "G05",
    "the stop is refused: it would trigger at once (-2021)",
    "closed at market as soon as the refusal is known; a critical alert gives the exchange's reason",
)
async def would_trigger(world: World) -> None:
    await refused_for_good(world, WOULD_TRIGGER)


@row("G05-4120", "the stop is refused: wrong endpoint (-4120)", "the same")
async def wrong_endpoint(world: World) -> None:
    await refused_for_good(world, WRONG_ENDPOINT)


@row(
    "G05-move",
    "a stop that is to replace a standing one is refused (-2021)",
    "the standing stop stays, the position is neither naked nor closed; the move is tried again later",
)
async def refused_move(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    (first,) = live_stops(world, BTC)
    at_ms = world.now_ms
    naked_before = naked_ms(world)
    world.server.faults.add(on_stops(FaultKind.REJECT, times=1, **WOULD_TRIGGER))
    nearer = (first.trigger_price * Decimal("1.002")).quantize(Decimal("0.1"))
    world.scripted.stops[BTC] = nearer
    await world.until(lambda: len(watch.stops(at_ms)) == 1, "the move to be tried")
    assert [stop.algo_id for stop in live_stops(world, BTC)] == [first.algo_id]
    retry_ms = world.settings.protection.retry_max_ms
    await world.until(
        lambda: [stop.trigger_price for stop in live_stops(world, BTC)] == [nearer],
        "the moved stop alone",
        retry_ms + 10_000,
    )
    assert naked_ms(world) == naked_before
    assert not watch.closes(at_ms)
    await assert_protected_once(world, BTC)
    await assert_flat_end(world)


# --- G06: accepted, reply lost -------------------------------------------------------------------


async def stands_once(world: World, *faults: Fault) -> Watch:
    """An entry whose stop is accepted without a reply: it is found, not sent again."""
    watch = await exposed(world, *faults)
    await world.until(lambda: covered(world, BTC), "a stop", 15_000)
    await assert_protected_once(world, BTC)
    sent = watch.stops()
    assert len(sent) == 1, f"{len(sent)} stops were sent"
    assert world.truth().exits == 0
    world.server.faults.clear()
    await assert_flat_end(world)
    return watch


STOP_REPLY_LOST = on_stops(FaultKind.LOST_REPLY, times=1)
LOOKUP_LOST = Fault(kind=FaultKind.LOST_REPLY, method="GET", path="/algoOrder$", times=1)
DEAF = Fault(kind=FaultKind.EVENTS_DROPPED, stream="user")


@row("G06", "a stop is accepted, its reply is lost", "exactly one stop: found, never sent again")
async def stop_reply_lost(world: World) -> None:
    await stands_once(world, STOP_REPLY_LOST)


@row(
    "G06-deaf",
    "a stop is accepted, its reply is lost, the user stream is silent and the first query is lost too",
    "exactly one stop: found by its client id with the next query",
)
async def stop_reply_lost_and_deaf(world: World) -> None:
    watch = await stands_once(world, STOP_REPLY_LOST, LOOKUP_LOST, DEAF)
    id_ = watch.stops()[0].params["clientAlgoId"]
    queries = watch.requests("GET", "/algoOrder$")
    assert len([each for each in queries if each.params.get("clientAlgoId") == id_]) >= 2, queries


@row(
    "G06-twice",
    "the reply of the first stop is lost, and that of the stop that moves it",
    "exactly one stop at the new price, never a moment without one",
)
async def two_stop_replies_lost(world: World) -> None:
    watch = await exposed(world, replace(STOP_REPLY_LOST, times=2), DEAF)
    await world.until(lambda: covered(world, BTC), "a stop", 15_000)
    naked_before = naked_ms(world)
    nearer = (live_stops(world, BTC)[0].trigger_price * Decimal("1.002")).quantize(Decimal("0.1"))
    world.scripted.stops[BTC] = nearer
    await world.until(
        lambda: [stop.trigger_price for stop in live_stops(world, BTC)] == [nearer],
        "the moved stop alone",
        30_000,
    )
    await assert_protected_once(world, BTC)
    assert naked_ms(world) == naked_before
    assert len(watch.stops()) == 2, watch.stops()
    world.server.faults.clear()
    await assert_flat_end(world)


@row(
    "G06-cut",
    "a stop's connection is cut with the stop accepted, and the answer is cut in half the next time",
    "the same",
)
async def stop_answer_cut(world: World) -> None:
    await stands_once(world, replace(STOP_REPLY_LOST, kind=FaultKind.TRUNCATED), LOOKUP_LOST, DEAF)


# --- G07, G08: no stop can be placed -------------------------------------------------------------


ODD_DEADLINE = {**USUAL.settings, "protection.protect_deadline_ms": 6_500}
"""Unlike any period or timeout: at this time nothing but the deadline itself brings a step."""


def deadline_ms(world: World) -> float:
    """From a fill to the close that the protect deadline orders."""
    deadline = world.settings.protection.protect_deadline_ms
    return one_way_ms(world) + deadline + WAKE_MS + sending_ms(world)


MISSING_MS = MISSING_AFTER_MS + MARKS_MS
"""A position without a stop is reported after two seconds; a step comes with each price."""


async def left_at_the_deadline(world: World, fault: Fault) -> None:
    watch = await exposed(world, fault)
    at_ms = filled_ms(watch)
    await assert_left(world, deadline_ms(world))
    assert_one_close(watch)
    watch.assert_told("STOP_MISSING", at_ms, MISSING_MS + round_trip_ms(world), "critical")
    watch.assert_told("PROTECTION_FAILED", at_ms, deadline_ms(world), "critical")
    sent = len(watch.stops())
    assert sent <= 8, f"{sent} stops were tried before the deadline"


@row(
    "G07",
    "the stop endpoint answers 503 (not executed) for minutes",
    "reported within 3 s; tried again with growing pauses; closed reduce-only at the protect deadline",
    settings=ODD_DEADLINE,
)
async def stops_unavailable(world: World) -> None:
    await left_at_the_deadline(world, on_stops(FaultKind.ENDPOINT_DOWN))


@row(
    "G07-unknown",
    "the stop endpoint answers 503 (unknown error), not executed, for minutes",
    "the same",
    settings=ODD_DEADLINE,
)
async def stops_unknown(world: World) -> None:
    msg = "Unknown error, please check your request or try again later."
    await left_at_the_deadline(world, on_stops(FaultKind.ERROR_BEFORE, msg=msg))


@row(
    "G07-429",
    "the stop endpoint answers 429 for minutes",
    "the same: the close passes while everything that can wait is held back",
    settings=ODD_DEADLINE,
)
async def stops_limited(world: World) -> None:
    fault = on_stops(FaultKind.RATE_LIMITED, retry_after_s=60)
    await left_at_the_deadline(world, fault)


@row(
    "G07-timeout",
    "the stop endpoint swallows requests for minutes",
    "the same, with a stop in flight",
    settings=ODD_DEADLINE,
)
async def stops_time_out(world: World) -> None:
    await left_at_the_deadline(world, on_stops(FaultKind.LOST_REQUEST))


@row(
    "G07-html",
    "a proxy answers 502 with a page in place of the stop endpoint",
    "the same",
    settings=ODD_DEADLINE,
)
async def stops_proxied(world: World) -> None:
    await left_at_the_deadline(world, on_stops(FaultKind.HTML))


@row(
    "G07-reset",
    "the stop endpoint closes every connection without a word",
    "the same",
    settings=ODD_DEADLINE,
)
async def stops_reset(world: World) -> None:
    fault = on_stops(FaultKind.ENDPOINT_DOWN, status=0)
    await left_at_the_deadline(world, fault)


@row(
    "G07-blind",
    "stops are refused as existing already (-4130), reading them hangs, and the price stream is cut",
    "closed at the protect deadline all the same: nothing but the clock is needed for it",
    settings=ODD_DEADLINE,
)
async def stops_hang_in_the_dark(world: World) -> None:
    exists = on_stops(FaultKind.REJECT, code=-4130, msg="An open stop is existing.")
    unread = Fault(kind=FaultKind.LOST_REQUEST, method="GET", path="penAlgoOrders$")
    watch = await exposed(world, exists, unread)
    world.network.conditions[LinkKind.MARKET].refuse = True
    world.network.reset(LinkKind.MARKET)
    await world.until(lambda: not held(world, BTC), "the position to be left", 15_000)
    assert_one_close(watch)
    assert naked_ms(world) <= deadline_ms(world), f"naked for {naked_ms(world)} ms"
    world.network.conditions[LinkKind.MARKET].refuse = False
    world.server.faults.clear()
    await world.run_for(20_000)
    await assert_flat_end(world)


@row(
    "G07-wishes",
    "the stop endpoint answers 503 for three minutes, and the strategies wish to be in every symbol",
    "nothing is opened while a position is known to have no stop; after a few failures nothing at all",
    settings=ODD_DEADLINE,
)
async def nothing_new_without_stops(world: World) -> None:
    watch = Watch(world)
    await started(world)
    world.server.faults.add(on_stops(FaultKind.ENDPOINT_DOWN))
    world.scripted.wishes.update({BTC: Direction.LONG, ETH: Direction.SHORT})
    await world.run_for(180_000)
    spans = [(past.opened_ms, past.closed_ms) for past in world.truth().past_positions]
    known_ms = round_trip_ms(world) + MISSING_AFTER_MS + MARKS_MS
    for entry in watch.entries():
        beside = [at for at, end in spans if at + known_ms < entry.at_ms < (end or entry.at_ms)]
        assert not beside, "an entry beside a position without a stop"
    assert len(watch.entries()) <= 5, f"{len(watch.entries())} entries that could not be protected"
    assert naked_ms(world) <= deadline_ms(world), f"naked for {naked_ms(world)} ms"
    world.scripted.wishes.clear()
    world.server.faults.clear()
    await assert_flat_end(world)


async def through_the_stop(world: World, fault: Fault) -> None:
    """The price falls by 10 % while no stop stands: closed when the mark is known to be through it."""
    crossed: list[int] = []
    watch = await exposed(world, fault)
    await world.until(lambda: bool(watch.stops()), "a stop to be tried")
    stop = Decimal(watch.stops()[0].params["triggerPrice"])

    def look(event: object) -> None:
        if isinstance(event, PriceEvent) and event.symbol == BTC and event.mark <= stop:
            crossed.append(event.at_ms)

    world.server.core.listen(look)
    world.server.core.move_price(BTC, Decimal("0.9"), seconds=1)
    await world.until(lambda: bool(watch.closes()), "a closing order", 10_000)
    closed_ms = watch.closes()[0].at_ms
    bound_ms = one_way_ms(world) + sending_ms(world) + WAKE_MS
    assert closed_ms - crossed[0] <= bound_ms, f"closed {closed_ms - crossed[0]} ms after the crossing"
    await assert_left(world, deadline_ms(world))


@row(
    "G08",
    "the stop endpoint answers 503 and the price runs 10 % through the stop",
    "closed one message and one order after the mark is through, whatever the stop endpoint does",
)
async def crash_unavailable(world: World) -> None:
    await through_the_stop(world, on_stops(FaultKind.ENDPOINT_DOWN))


@row("G08-429", "the same with 429", "the same")
async def crash_limited(world: World) -> None:
    fault = on_stops(FaultKind.RATE_LIMITED, retry_after_s=60)
    await through_the_stop(world, fault)


@row("G08-timeout", "the same while a stop is on its way and never answered", "the same")
async def crash_unanswered(world: World) -> None:
    await through_the_stop(world, on_stops(FaultKind.LOST_REQUEST))
