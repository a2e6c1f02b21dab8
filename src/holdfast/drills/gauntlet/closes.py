"""Rows of the gauntlet about closing: refused, blocked by an order, too small."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

from holdfast.domain.orders import Direction, Side
from holdfast.drills.gauntlet.elsewhere import code_at
from holdfast.drills.gauntlet.entries import at_once_ms
from holdfast.drills.gauntlet.row import row
from holdfast.drills.gauntlet.steps import (
    BTC,
    assert_flat_end,
    assert_protected_once,
    booked,
    by_hand,
    covered,
    enter,
    held,
    started,
)
from holdfast.drills.gauntlet.stops import WAKE_MS, exposed, filled_ms, on_stops, refused_ms
from holdfast.drills.gauntlet.watching import Watch, one_way_ms, round_trip_ms, sending_ms, stays
from holdfast.drills.world import World
from holdfast.engine.liquidation import LiquidationState
from holdfast.simulator.core.model import OrderKind, OrderRequest, SimOrder
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.words import TradeStatus

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
    assert min(gaps) >= retry.retry_ms - sending_ms(world), gaps
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


# --- G16: an order in the way --------------------------------------------------------------------


def resting_profit(world: World) -> str:
    """A reduce-only limit order for the whole position, far in the profit; its order id."""
    core = world.server.core
    (position,) = world.truth().positions
    far = core.prices(BTC).last * (1 + Decimal("0.04") * position.quantity.copy_sign(1) / position.quantity)
    request = OrderRequest(
        symbol=BTC,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        kind=OrderKind.LIMIT,
        quantity=abs(position.quantity),
        price=far.quantize(Decimal(1)),
        reduce_only=True,
    )
    made: list[SimOrder] = []
    by_hand(world, lambda core: made.append(core.place_order(world.account_id, request)))
    return world.wire.wire_id(made[0])


async def blocked(world: World, direction: Direction) -> tuple[Watch, str]:
    watch = Watch(world)
    await enter(world, BTC, direction)
    order_id = resting_profit(world)
    await world.run_for(sending_ms(world))
    return watch, order_id


def assert_in_order(world: World, watch: Watch, order_id: str, at_ms: int) -> None:
    """Refused for what rests; that is cancelled, then closed; covered up to the very close."""
    refused, *later = watch.closes(at_ms)
    (cancel,) = watch.requests("DELETE", "/order$", at_ms)
    assert cancel.params["orderId"] == order_id, cancel
    assert refused.at_ms < cancel.at_ms < later[-1].at_ms
    stops_cancelled = watch.requests("DELETE", "/algoOrder$", at_ms)
    assert all(each.at_ms > later[-1].at_ms for each in stops_cancelled), "the stop went first"
    (past,) = world.truth().past_positions
    assert past.naked_ms_total <= at_once_ms(world), f"naked for {past.naked_ms_total} ms"
    assert list(world.truth().refused.values()) == [1], world.truth().refused


@row(
    "G16",
    "a resting reduce-only order for the whole position blocks the close (-4118) of a shutdown",
    "cancelled and closed within the same try; the stop goes last",
)
async def shutdown_blocked(world: World) -> None:
    watch, order_id = await blocked(world, Direction.LONG)
    at_ms = world.now_ms
    await assert_flat_end(world)
    assert_in_order(world, watch, order_id, at_ms)
    took_ms = watch.closes(at_ms)[-1].at_ms - at_ms
    bound_ms = 2 * round_trip_ms(world) + 3 * sending_ms(world) + 2 * one_way_ms(world)
    assert took_ms <= bound_ms, f"closed after {took_ms} ms, bound {bound_ms:.0f}"


@row(
    "G16-exit",
    "the same blocks the strategy's exit",
    "cancelled and closed with the next try, within a second; the stop goes last",
)
async def exit_blocked(world: World) -> None:
    watch, order_id = await blocked(world, Direction.SHORT)
    at_ms = world.now_ms
    world.scripted.exits.add(BTC)
    await world.until(lambda: not held(world, BTC), "the position to be left", 10_000)
    assert_in_order(world, watch, order_id, at_ms)
    first, *_, last = watch.closes(at_ms)
    assert last.at_ms - first.at_ms <= 1_000 + round_trip_ms(world), "the second try came late"
    await assert_flat_end(world)


# --- G18: too small ------------------------------------------------------------------------------


async def left_by_exit(world: World) -> None:
    """The strategy's exit closes all there is; nothing is refused."""
    world.scripted.exits.add(BTC)
    await world.until(lambda: not held(world, BTC), "the position to be left", 10_000)
    assert not world.truth().refused, world.truth().refused
    await world.run_for(5_000)
    assert [trade.status for trade in booked(world)] == [TradeStatus.CLOSED]
    await assert_flat_end(world)


@row(
    "G18",
    "most of a position was closed by hand: the rest is below the minimum notional",
    "protected as before, and closed in full: reduce-only orders know no minimum",
)
async def dust_left(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    rules, price = world.server.core.instrument(BTC), world.server.core.prices(BTC).mark
    (position,) = world.truth().positions
    all_but_a_step = 1 - rules.quantity_step / 2 / position.quantity
    by_hand(world, lambda core: core.close_by_hand(world.account_id, BTC, share=all_but_a_step))
    (position,) = world.truth().positions
    assert position.quantity * price < rules.notional_min, "the drill was to leave dust"
    await assert_protected_once(world, BTC)
    await left_by_exit(world)


@row(
    "G18-raised",
    "the exchange raises the minimum notional above a position",
    "the same",
)
async def minimum_raised(world: World) -> None:
    await enter(world, BTC, Direction.SHORT)
    by_hand(world, lambda core: core.set_filters(BTC, notional_min=Decimal(100_000)))
    await left_by_exit(world)


@row(
    "G18-step",
    "the exchange makes its quantity step coarser than the odd rest of a position",
    "closed at once but for what is below the step; that rest is named, keeps its stop, is tried seldom; a"
    " shutdown says FAILED with the exchange's reason",
)
async def step_raised(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    by_hand(world, lambda core: core.set_filters(BTC, quantity_step=Decimal("0.01")))
    at_ms = world.now_ms
    (position,) = world.truth().positions
    world.scripted.exits.add(BTC)
    await world.until(lambda: bool(watch.alerts("DUST", at_ms)), "word of the dust", 10_000)
    (rest,) = world.truth().positions
    assert rest.quantity == position.quantity % Decimal("0.01") > 0, rest
    assert str(rest.quantity) in str(watch.alerts("DUST")[0].fields["text"])
    await stays(world, lambda: covered(world, BTC), "the stop of the rest", 60_000)
    tries = len(watch.closes(at_ms))
    assert tries <= 4, f"{tries} closing orders for what no order can be"
    result = await world.stop_bot()
    assert result is not None
    assert result.state is LiquidationState.FAILED, result
    reason = code_at(world.spec.exchange, -4023)
    assert any(str(BTC) in error and reason in error for error in result.errors), result.errors
    assert covered(world, BTC), "the rest lost its stop"
    assert world.truth().entries == 1
