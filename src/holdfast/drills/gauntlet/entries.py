"""Rows of the gauntlet about entries: filled at once, without an answer, lost on the way."""

from __future__ import annotations

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    assert_flat_end,
    assert_protected_once,
    booked,
    covered,
    enter,
    naked_ms,
    started,
)
from holdfast.drills.gauntlet.watching import Watch, one_way_ms, round_trip_ms, sending_ms, unsaid_ms
from holdfast.drills.lives import Life
from holdfast.drills.network import LinkKind
from holdfast.drills.world import World
from holdfast.exchanges.capabilities import CAPABILITIES
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival

STILL_WISHED_MS = 10_000
"""So long the strategy goes on wishing what the bot may not send twice."""


# --- G01: a stop at once -------------------------------------------------------------------------


def at_once_ms(world: World) -> float:
    """From a fill to its stop: the news of the fill, and a stop written ahead and sent."""
    return one_way_ms(world) + sending_ms(world)


@row(
    "G01",
    "a market entry fills at once",
    "its stop stands at the exchange one round trip and one write after the fill; naked time is reported",
)
async def fills_at_once(world: World) -> None:
    await entered(world, Direction.LONG)


@row("G01-short", "a market entry that sells fills at once", "the same")
async def fills_at_once_short(world: World) -> None:
    await entered(world, Direction.SHORT)


@row(
    "G01-deaf",
    "a market entry fills at once, and the user stream says nothing",
    "the same: the reply alone is reason enough; where it names no fill, a query soon does",
)
async def fills_unheard(world: World) -> None:
    world.server.faults.add(Fault(kind=FaultKind.EVENTS_DROPPED, stream="user"))
    await entered(world, Direction.LONG, unsaid_ms(world))


async def entered(world: World, direction: Direction, late_ms: float = 0) -> None:
    await enter(world, BTC, direction)
    assert naked_ms(world) <= late_ms + at_once_ms(world), f"naked for {naked_ms(world)} ms"
    await assert_protected_once(world, BTC)
    reported_ms = world.bot.view.metrics["naked_seconds_max"] * 1000
    assert abs(reported_ms - naked_ms(world)) <= late_ms + one_way_ms(world), f"reported {reported_ms:.0f} ms"
    await assert_flat_end(world)


# --- G02, G03: executed, and nobody says so ------------------------------------------------------


def found_ms(world: World) -> float:
    """From a fill without an answer to its stop, by queries alone: reads may lag, and asking pauses.

    The query that is asked first after the lag finds it; it is asked at most one pause and one round
    trip later, and its answer has to come back before the stop is sent.
    """
    pause_ms = 400
    return world.spec.read_lag_ms[1] + pause_ms + 2 * round_trip_ms(world) + sending_ms(world)


async def answered_for(world: World, *faults: Fault, within_ms: float) -> Watch:
    """One entry whose answer is lost: one order, found, protected in full, in the books once.

    The strategy goes on wishing it, so a second order would be sent if the bot believed the first dead.
    """
    watch = Watch(world)
    await started(world)
    for fault in faults:
        world.server.faults.add(fault)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: covered(world, BTC), "a stop")
    await world.run_for(STILL_WISHED_MS)
    sent = watch.entries()
    assert len(sent) == 1, f"{len(sent)} entries were sent"
    assert world.truth().entries == 1
    assert naked_ms(world) <= within_ms, f"naked for {naked_ms(world)} ms, bound {within_ms:.0f}"
    await assert_protected_once(world, BTC)
    trades = booked(world)
    assert [trade.entry_client_id for trade in trades] == [client_id(sent[0])], trades
    world.server.faults.clear()
    del world.scripted.wishes[BTC]
    await assert_flat_end(world)
    return watch


def client_id(entry: Arrival) -> str:
    return entry.params["newClientOrderId"]


def asked_for(watch: Watch, entry: Arrival) -> list[Arrival]:
    """Queries for that order by its client id."""
    queries = watch.requests("GET", "/fapi/v1/order$", entry.at_ms)
    return [each for each in queries if each.params.get("origClientOrderId") == client_id(entry)]


ENTRY_REPLY_LOST = Fault(kind=FaultKind.LOST_REPLY, method="POST", path="/order$", times=1)
DEAF = Fault(kind=FaultKind.EVENTS_DROPPED, stream="user")
LATE_EVENTS = Fault(kind=FaultKind.EVENTS_DELAYED, stream="user", delay_ms=1_000)


@row(
    "G02",
    "an entry is accepted, its reply is lost",
    "one order; the user stream tells of it; protected in full as fast as with a reply",
)
async def reply_lost(world: World) -> None:
    await answered_for(world, ENTRY_REPLY_LOST, within_ms=at_once_ms(world))


@row(
    "G02-deaf",
    "an entry is accepted, its reply is lost and the user stream is silent",
    "one order, found by its client id; protected in full as soon as a read shows it",
)
async def reply_lost_and_deaf(world: World) -> None:
    watch = await answered_for(world, ENTRY_REPLY_LOST, DEAF, within_ms=found_ms(world))
    assert asked_for(watch, watch.entries()[0]), "nobody asked for the order by its client id"


def status_unknown(status: int, code: int, msg: str) -> Fault:
    return Fault(
        kind=FaultKind.ERROR_AFTER, method="POST", path="/order$", times=1, status=status, code=code, msg=msg
    )


UNKNOWN_503 = status_unknown(503, 0, "Unknown error, please check your request or try again later.")
UNEXPECTED_1006 = status_unknown(
    503, -1006, "An unexpected response was received from the message bus. Execution status unknown."
)
TIMEOUT_1007 = status_unknown(
    408,
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
)


async def resolved(world: World, fault: Fault) -> None:
    """Executed, "status unknown", the fill event a second late: a query settles it, not the event."""
    watch = await answered_for(world, fault, LATE_EVENTS, within_ms=found_ms(world))
    assert asked_for(watch, watch.entries()[0]), "nobody asked for the order by its client id"


@row(
    "G03",
    "an entry is executed but answered 503 (unknown error); its events are a second late",
    "not rejected and not sent again: resolved by a query, protected in full",
)
async def unknown_503(world: World) -> None:
    await resolved(world, UNKNOWN_503)


@row("G03-1006", "the same with -1006 (execution status unknown)", "the same")
async def unknown_1006(world: World) -> None:
    await resolved(world, UNEXPECTED_1006)


@row("G03-1007", "the same with 408, -1007 (execution status unknown)", "the same")
async def unknown_1007(world: World) -> None:
    await resolved(world, TIMEOUT_1007)


@row("G03-busy", "the same, and queries for the order are answered 503 for 20 s", "the same, by the event")
async def unknown_and_queries_fail(world: World) -> None:
    down = Fault(
        kind=FaultKind.ENDPOINT_DOWN,
        method="GET",
        path="/fapi/v1/order$",
        to_ms=world.now_ms + 60_000,
    )
    late_ms = LATE_EVENTS.delay_ms
    await answered_for(world, UNKNOWN_503, LATE_EVENTS, down, within_ms=late_ms + at_once_ms(world))


# --- G04: never arrived --------------------------------------------------------------------------


def expires_ms(entry: Arrival) -> int:
    """From then on the exchange cannot accept that request any more (its own clock)."""
    if "recvWindow" not in entry.params:  # Bitget's are signed so that the window is left of them
        return entry.at_ms + CAPABILITIES["bitget"].window_ms
    return int(entry.params["timestamp"]) + int(entry.params["recvWindow"])


async def decided_anew(world: World, fault: Fault) -> None:
    """An entry that never has an effect: no second one before it is proven dead, then a new one."""
    watch = Watch(world)
    await started(world)
    world.server.faults.add(fault)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: covered(world, BTC), "a position from a new decision")
    first, second = watch.entries()
    assert client_id(first) != client_id(second), "the same request was sent again"
    proof = [each for each in asked_for(watch, first) if expires_ms(first) < each.at_ms < second.at_ms]
    assert proof, "a new entry before the first was proven dead by a query after its window"
    assert world.truth().entries == 1
    assert naked_ms(world) <= at_once_ms(world), f"naked for {naked_ms(world)} ms"
    await world.run_for(2 * sending_ms(world))
    assert [trade.entry_client_id for trade in booked(world)] == [client_id(second)]
    del world.scripted.wishes[BTC]
    await assert_flat_end(world)


@row(
    "G04",
    "an entry request is lost on the way and never answered",
    "proven dead only by a query after timestamp + recvWindow; never sent again: a later step decides anew",
)
async def never_arrives(world: World) -> None:
    await decided_anew(world, Fault(kind=FaultKind.LOST_REQUEST, method="POST", path="/order$", times=1))


@row(
    "G04-reset",
    "an entry request is cut off: the connection is reset at once, nobody knows whether it arrived",
    "the same: the reset proves nothing",
)
async def cut_off(world: World) -> None:
    fault = Fault(kind=FaultKind.ENDPOINT_DOWN, method="POST", path="/order$", times=1, status=0)
    await decided_anew(world, fault)


@row(
    "G04-late",
    "the connection breaks while an entry is under way, and the entry arrives 4 s later after all",
    "not given up before its window is over: found, protected in full, no second order",
)
async def arrives_late(world: World) -> None:
    slow = Fault(kind=FaultKind.DELAY, method="POST", path="/order$", times=1, delay_ms=4_000)

    def break_off(arrival: Arrival) -> None:
        if any(fault.kind is slow.kind for fault in arrival.faults):
            world.loop.call_later(0.2, world.network.reset, LinkKind.REST)

    world.server.log.listen(break_off)
    await answered_for(world, slow, DEAF, within_ms=2_000 + found_ms(world))


@row(
    "G04-refused",
    "an entry cannot be sent: just then the exchange's address refuses connections",
    "proven dead at once, as no byte left: the next step is free to decide anew",
)
async def never_left(world: World) -> None:
    watch = Watch(world)
    await started(world)
    refused_for_ms = 1_000
    sendings: list[int] = []

    def shut(life: Life, event: str, fields: dict[str, object]) -> None:
        if event == "decision.entry" and not sendings:
            sendings.append(world.now_ms)
            refuse(world, refused_for_ms)

    world.listeners.append(shut)
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: covered(world, BTC), "a position from a new decision")
    (second,) = watch.entries()
    asked_again_ms = float(world.settings.trading.cooldown_minutes) * 60_000
    bound_ms = refused_for_ms + 2 * asked_again_ms + 2 * round_trip_ms(world) + sending_ms(world)
    waited_ms = second.at_ms - sendings[0]
    assert waited_ms <= bound_ms, f"the next entry came {waited_ms} ms later, bound {bound_ms:.0f}"
    del world.scripted.wishes[BTC]
    await assert_flat_end(world)


def refuse(world: World, for_ms: float) -> None:
    """No connection for requests is there, and none can be made."""
    rest = world.network.conditions[LinkKind.REST]
    rest.refuse = True
    world.network.reset(LinkKind.REST)

    def lift() -> None:
        rest.refuse = False

    world.loop.call_later(for_ms / 1000, lift)
