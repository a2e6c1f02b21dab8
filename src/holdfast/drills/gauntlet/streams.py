"""Rows of the gauntlet about streams: silent, expired, lossy."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.agreement import assert_exit_booked, in_step
from holdfast.drills.gauntlet.row import row
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
    started,
)
from holdfast.drills.gauntlet.watching import (
    LOOK_MS,
    Watch,
    cycle_ms,
    gone_ms,
    one_way_ms,
    round_trip_ms,
    sending_ms,
    unsaid_ms,
)
from holdfast.drills.network import LinkKind
from holdfast.drills.world import World
from holdfast.engine.apply import REST_PRICE_MS
from holdfast.exchanges.shared import ExchangeSettings
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival

USUALLY = ExchangeSettings()
SILENCE_MS = USUALLY.market_silence_ms
NO_PONG_MS = (USUALLY.ping_every_s + USUALLY.pong_within_s) * 1000
BACKOFF_MS = USUALLY.backoff_max_s * 1000
KEEPALIVE_MS = USUALLY.keepalive_ms
HALF = Decimal("0.5")


# --- G20: a WebSocket silently dead --------------------------------------------------------------


@row(
    "G20",
    "the market stream is open, answers pings and delivers nothing",
    "noticed after 10 s without a price; prices by REST every 2 s, the gap measured (price_drift_avg);"
    " back on the stream by itself",
)
async def market_stream_silent(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    fault = world.server.faults.add(Fault(kind=FaultKind.WS_SILENT, stream="market"))
    world.server.core.move_price(BTC, Decimal("1.002"), 2)
    await world.run_for(60_000)
    watch.assert_told("STREAM_DOWN", at_ms, SILENCE_MS + one_way_ms(world), "warning")
    asked = [each.at_ms for each in watch.requests("GET", "/premiumIndex$", at_ms, BTC)]
    first_ms = asked[0] - at_ms
    assert first_ms <= SILENCE_MS + REST_PRICE_MS + round_trip_ms(world), f"first REST price {first_ms} ms"
    gaps = [later - earlier for earlier, later in pairwise(asked)]
    assert max(gaps) <= REST_PRICE_MS + round_trip_ms(world) + LOOK_MS, f"REST prices {max(gaps)} ms apart"
    assert world.bot.view.metrics["price_drift_avg"] > 0
    assert covered(world, BTC)
    healed_ms = world.now_ms
    world.server.faults.remove(fault)
    back_ms = BACKOFF_MS + 1_000 + 2 * round_trip_ms(world)
    await world.until(lambda: world.bot.view.price_source == "ws", "the stream again", back_ms)
    assert watch.over("STREAM_DOWN", healed_ms), "no word that the stream is back"
    quiet_ms = world.now_ms + round_trip_ms(world)
    await world.run_for(20_000)
    assert not watch.requests("GET", "/premiumIndex$", quiet_ms), "still asking for prices"
    await assert_flat_end(world)


@row(
    "G20-user",
    "the user stream is open, answers pings and delivers nothing",
    "reads alone tell the truth within a cycle: fills, a stop cancelled, a position closed by hand",
)
async def user_stream_silent(world: World) -> None:
    await bad_stream(world, Fault(kind=FaultKind.WS_SILENT, stream="user"))


@row(
    "G20-hole",
    "both streams' connections become black holes: open, and not even pings are answered",
    "noticed within 10 s, new connections, everything read again",
)
async def streams_black_holes(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    for kind in (LinkKind.USER, LinkKind.MARKET):
        assert world.network.cut(kind), f"no link of {kind}"
    world.server.core.close_by_hand(world.account_id, BTC)
    await assert_exit_booked(world, BTC, "manual")
    bound_ms = max(NO_PONG_MS, SILENCE_MS) + round_trip_ms(world)
    for stream in ("user", "market"):
        await world.until(
            lambda stream=stream: bool(watch.alerts("STREAM_DOWN", at_ms, symbol=stream)),  # type: ignore[misc]
            f"the {stream} stream noticed as dead",
            at_ms + bound_ms - world.now_ms,
        )
        await world.until(
            lambda stream=stream: bool(watch.over("STREAM_DOWN", at_ms, symbol=stream)),  # type: ignore[misc]
            f"the {stream} stream again",
            1_000 + USUALLY.backoff_first_s * 1000 + 6 * round_trip_ms(world),
        )
    await enter(world, ETH, Direction.LONG)
    await assert_flat_end(world)


@row(
    "G20-long",
    "no stream can be reached for three minutes",
    "entries are refused after 30 s; positions stay protected and supervised by reads; entries come back",
)
async def streams_unreachable(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    for kind in (LinkKind.USER, LinkKind.MARKET):
        world.network.conditions[kind].refuse = True
        world.network.reset(kind)
    down_ms = world.settings.breakers.socket_down_ms_max
    await world.run_for(down_ms + cycle_ms(world))
    world.scripted.wishes[ETH] = Direction.LONG
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    again_ms = world.settings.freshness.orders_ms + world.spec.read_lag_ms[1] + sending_ms(world)
    await world.until(lambda: covered(world, BTC), "the stop again", again_ms + 2 * round_trip_ms(world))
    await world.run_for(at_ms + 180_000 - world.now_ms)
    assert not watch.entries(at_ms), "an entry without streams"
    for kind in (LinkKind.USER, LinkKind.MARKET):
        world.network.conditions[kind].refuse = False
    settle_ms = world.settings.breakers.settle_ms
    await world.until(lambda: held(world, ETH), "entries again", BACKOFF_MS + settle_ms + 10_000)
    await assert_flat_end(world)


@row(
    "G20-symbol",
    "one symbol's prices stall on a stream that goes on",
    "entries on that symbol are refused when its price is too old, others go on; it comes back",
)
async def one_symbol_stalls(world: World) -> None:
    watch = Watch(world)
    await started(world)
    await world.run_for(world.settings.breakers.settle_ms)
    at_ms = world.now_ms
    fault = world.server.faults.add(Fault(kind=FaultKind.WS_SILENT, stream="market", path="^ethusdt@"))
    stale_ms = world.settings.limits.mark_age_ms_max
    await world.run_for(stale_ms + 2_000)
    world.scripted.wishes[ETH] = Direction.LONG
    await enter(world, BTC, Direction.LONG)
    await world.run_for(30_000)
    assert not watch.entries(at_ms, ETH), "an entry on a stale price"
    world.server.faults.remove(fault)
    back_ms = world.settings.breakers.settle_ms + 10_000
    await world.until(lambda: held(world, ETH), "entries on the symbol again", back_ms)
    await assert_flat_end(world)


# --- G21: what a user stream can do --------------------------------------------------------------


async def bad_stream(world: World, fault: Fault) -> None:
    """A position's whole life under that fault of the user stream, from entry to exit."""
    watch = Watch(world)
    await started(world)
    world.server.faults.add(fault)
    await enter(world, BTC, Direction.LONG)
    naked_ms = float(world.truth().naked_seconds_max) * 1000
    known_ms = one_way_ms(world) + sending_ms(world) + unsaid_ms(world)
    assert naked_ms <= known_ms, f"naked for {naked_ms:.0f} ms, the reply was known after {known_ms:.0f}"
    await world.until(lambda: in_step(world, BTC), "the position in the books", cycle_ms(world))
    world.server.core.close_by_hand(world.account_id, BTC, share=HALF)
    await world.until(lambda: in_step(world, BTC), "its new size in the books", cycle_ms(world))
    assert covered(world, BTC)
    world.server.core.cancel_stops_by_hand(world.account_id, BTC)
    read_ms = world.settings.freshness.orders_ms + world.spec.read_lag_ms[1] + 2 * round_trip_ms(world)
    await world.until(lambda: covered(world, BTC), "the stop again", read_ms + sending_ms(world))
    await assert_protected_once(world, BTC)
    world.server.core.close_by_hand(world.account_id, BTC)
    await assert_exit_booked(world, BTC, "manual")
    assert len(booked(world)) == 1, booked(world)
    assert len(watch.entries()) == 1, watch.entries()
    await world.until(lambda: not live_stops(world, BTC), "no orphan stop", gone_ms(world) + 10_000)
    await assert_flat_end(world)


@row("G21-lost", "no event of the user stream arrives", "truth within one cycle by reading alone")
async def events_lost(world: World) -> None:
    await bad_stream(world, Fault(kind=FaultKind.EVENTS_DROPPED, stream="user"))


@row("G21-some-lost", "every second event is lost", "truth within one cycle", seed=2)
async def some_events_lost(world: World) -> None:
    await bad_stream(world, Fault(kind=FaultKind.EVENTS_DROPPED, stream="user", probability=0.5))


@row("G21-doubled", "every event comes twice", "nothing is counted twice")
async def events_doubled(world: World) -> None:
    await bad_stream(world, Fault(kind=FaultKind.EVENTS_DOUBLED, stream="user"))


@row("G21-late", "every event comes 20 s late", "old news changes nothing that is known better")
async def events_late(world: World) -> None:
    await bad_stream(world, Fault(kind=FaultKind.EVENTS_DELAYED, stream="user", delay_ms=20_000))


@row(
    "G21-disorder",
    "half of the events are overtaken by later ones",
    "the order of telling changes nothing",
    seed=3,
)
async def events_reordered(world: World) -> None:
    fault = Fault(kind=FaultKind.EVENTS_DELAYED, stream="user", probability=0.5, delay_ms=4_000)
    await bad_stream(world, fault)


@row(
    "G21-expired",
    "the user stream's key expires; the position is closed in the same moment",
    "a new connection with a new key at once; what was missed is read",
)
async def key_expired(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    for _ in range(2):
        at_ms = world.now_ms
        world.server.app.expire_stream(world.account_id)
        world.server.step()
        back_ms = USUALLY.backoff_first_s * 1000 + 6 * round_trip_ms(world)
        await world.until(lambda since=at_ms: bool(_connections(watch, since)), "a new connection", back_ms)  # type: ignore[misc]
        await world.run_for(20_000)
    keys = [each.params["listenKey"] for each in _connections(watch, 0)]
    assert len(set(keys)) == len(keys) == 3, f"{len(keys)} connections with {len(set(keys))} keys"
    world.server.app.expire_stream(world.account_id)
    world.server.core.close_by_hand(world.account_id, BTC)
    world.server.step()
    await assert_exit_booked(world, BTC, "manual")
    await assert_flat_end(world)


def _connections(watch: Watch, since_ms: float) -> list[Arrival]:
    """Openings of the user stream."""
    return watch.requests("GET", "^/private/ws", since_ms)


@row(
    "G21-dead-key",
    "another process deletes the user stream's key: no word comes of it, and no event any more",
    "truth within one cycle by reading; the stream is back at the next renewal of the key, by itself",
    settings={"trading.check_interval_ms": 5_000, "trading.cooldown_minutes": "0.75"},
)
async def key_deleted(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    world.server.app.hub.keys.close(world.account_id)
    world.server.core.close_by_hand(world.account_id, BTC)
    await assert_exit_booked(world, BTC, "manual")
    await world.run_for(KEEPALIVE_MS + NO_PONG_MS)
    assert _connections(watch, at_ms), "no new connection at the renewal of the key"
    await world.run_for(round_trip_ms(world) + 1_000)
    await enter(world, ETH, Direction.LONG)
    closed_ms = world.now_ms
    world.server.core.close_by_hand(world.account_id, ETH)
    told_ms = one_way_ms(world) + LOOK_MS
    await world.until(lambda: in_step(world, ETH), "the stream's own word of it", told_ms)
    assert world.now_ms - closed_ms <= told_ms
    await assert_flat_end(world)
