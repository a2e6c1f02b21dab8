"""Rows of the gauntlet about closing: refused, blocked by an order, too small."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from holdfast.domain.orders import Direction
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import BTC, assert_flat_end, covered, held, started
from holdfast.drills.gauntlet.stops import WAKE_MS, exposed, filled_ms, on_stops, refused_ms
from holdfast.drills.gauntlet.watching import Watch, one_way_ms, round_trip_ms, sending_ms, stays
from holdfast.drills.world import World
from holdfast.simulator.faults import Fault, FaultKind

NO_MARGIN: dict[str, Any] = {"code": -2019, "msg": "Margin is insufficient."}


# --- G09: neither stop nor close -----------------------------------------------------------------


def no_stops() -> Fault:
    return on_stops(FaultKind.REJECT, **NO_MARGIN)


def no_closes(**params: str) -> Fault:
    """Closing orders with these parameters are refused."""
    wanted = {"reduceOnly": "true", **params}
    return Fault(kind=FaultKind.REJECT, method="POST", path="/order$", params=wanted, **NO_MARGIN)


@row(
    "G09",
    "the stop and every closing order are refused (-2019) for two minutes",
    "growing pauses, smaller slices, another order type, and the stop between them; a critical alert that"
    " stands until the position is closed, which is as soon as the exchange lets it",
)
async def nothing_works(world: World) -> None:
    watch = await exposed(world, no_stops(), no_closes())
    at_ms, retry = filled_ms(watch), world.settings.protection
    await world.run_for(120_000)
    closes = watch.closes()
    watch.assert_told("CLOSE_REFUSED", at_ms, refused_ms(world) + round_trip_ms(world), "critical")
    assert not watch.over("CLOSE_REFUSED"), "the alert went while the position was open and unprotected"
    assert {each.params["type"] for each in closes} == {"MARKET", "LIMIT"}, closes
    assert len({each.params["quantity"] for each in closes}) > 1, "never in slices"
    gaps = [then.at_ms - now.at_ms for now, then in pairwise(closes)]
    patience_ms = retry.retry_max_ms + round_trip_ms(world) + sending_ms(world) + WAKE_MS
    assert min(gaps) >= retry.retry_ms - one_way_ms(world), gaps
    assert max(gaps) <= patience_ms, gaps
    assert len(closes) <= 24, f"{len(closes)} closing orders in two minutes"
    assert len(watch.stops()) > 2, "the stop was given up"
    world.server.faults.clear()
    await world.until(lambda: not held(world, BTC), "the position to be left", patience_ms + 10_000)
    await world.until(lambda: bool(watch.over("CLOSE_REFUSED")), "the alert's end", 5_000)
    assert world.truth().entries == 1
    await assert_flat_end(world)


@row(
    "G09-stop",
    "the stop and every closing order are refused (-2019); then the stop alone is taken again",
    "the stop stands at once though the position is being closed; both go on until it is flat",
)
async def only_the_stop_works(world: World) -> None:
    watch = Watch(world)
    await started(world)
    stops = world.server.faults.add(no_stops())
    closes = world.server.faults.add(no_closes())
    world.scripted.wishes[BTC] = Direction.LONG
    await world.until(lambda: world.truth().entries > 0, "an entry")
    del world.scripted.wishes[BTC]
    await world.run_for(30_000)
    world.server.faults.remove(stops)
    patience_ms = world.settings.protection.retry_max_ms + round_trip_ms(world) + sending_ms(world)
    await world.until(lambda: covered(world, BTC), "a stop", patience_ms + WAKE_MS)
    await stays(world, lambda: covered(world, BTC), "the stop", 20_000)
    assert watch.closes(world.now_ms - 20_000), "closing was given up"
    world.server.faults.remove(closes)
    await world.until(lambda: not held(world, BTC), "the position to be left", patience_ms + 10_000)
    await assert_flat_end(world)


@row(
    "G09-slices",
    "stop and full close are refused (-2019), smaller orders are taken",
    "closed in slices within 10 s",
)
async def only_slices_work(world: World) -> None:
    watch = await exposed(world, no_stops())
    quantity = watch.entries()[0].params["quantity"]
    world.server.faults.add(no_closes(quantity=quantity))
    await world.until(lambda: not held(world, BTC), "the position to be left", 10_000)
    assert world.truth().entries == 1
    world.server.faults.clear()
    await assert_flat_end(world)


@row(
    "G09-limit",
    "stop and market orders are refused (-2019), limit orders are taken",
    "closed by an immediate limit order near the mark within 10 s",
)
async def only_limits_work(world: World) -> None:
    watch = await exposed(world, no_stops(), no_closes(type="MARKET"))
    await world.until(lambda: not held(world, BTC), "the position to be left", 10_000)
    assert watch.closes()[-1].params["type"] == "LIMIT"
    assert watch.closes()[-1].params["timeInForce"] == "IOC"
    world.server.faults.clear()
    await assert_flat_end(world)
