"""Rows of the gauntlet about what covers: a stop cancelled by hand, doubled, too small, on the wrong side."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Direction, Side
from holdfast.domain.symbol import Symbol
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
    live_stops,
    naked_ms,
    started,
)
from holdfast.drills.gauntlet.stops import DEAF, on_stops, refused_ms
from holdfast.drills.gauntlet.watching import Watch, cycle_ms, one_way_ms, round_trip_ms, sending_ms
from holdfast.drills.world import World
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import AlgoRequest, AlgoType, OrderKind, OrderRequest, SimAlgo, Working
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.store.words import TradeStatus

# --- G13: cancelled by hand ----------------------------------------------------------------------


async def cancelled_by_hand(world: World, within_ms: float) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.SHORT)
    (first,) = live_stops(world, BTC)
    await world.run_for(20_000)
    at_ms = world.now_ms
    by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
    await world.until(lambda: covered(world, BTC), "a new stop", within_ms + 1_000)
    assert naked_ms(world) <= within_ms, f"naked for {naked_ms(world)} ms, bound {within_ms:.0f}"
    (again,) = live_stops(world, BTC)
    assert (again.trigger_price, again.side) == (first.trigger_price, first.side)
    await assert_protected_once(world, BTC)
    watch.assert_told("STOP_LOST", at_ms, within_ms, "warning")
    assert watch.over("STOP_LOST", at_ms), "no word that the position is protected again"
    assert not watch.closes(at_ms)
    await assert_flat_end(world)


@row(
    "G13",
    "somebody cancels the stop at the exchange",
    "the same stop stands again one message and one order later; an alert, and word of the recovery",
)
async def stop_cancelled(world: World) -> None:
    await cancelled_by_hand(world, one_way_ms(world) + sending_ms(world))


@row(
    "G13-deaf",
    "somebody cancels the stop at the exchange, and the user stream is silent",
    "the same within one cycle of reading",
)
async def stop_cancelled_unheard(world: World) -> None:
    world.server.faults.add(DEAF)
    fresh = world.settings.freshness
    await cancelled_by_hand(
        world,
        fresh.orders_ms + world.spec.read_lag_ms[1] + round_trip_ms(world) + sending_ms(world),
    )


@row(
    "G13-storm",
    "somebody (another bot) cancels every stop at once, again and again for a minute",
    "made again each time, with growing pauses; never hammered, never given up",
)
async def stops_cancelled_again_and_again(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    at_ms = world.now_ms
    while world.now_ms - at_ms < 60_000 and held(world, BTC):
        by_hand(world, lambda core: core.cancel_stops_by_hand(world.account_id, BTC))
        await world.run_for(500)
    sent = len(watch.stops(at_ms))
    assert sent <= 30, f"{sent} stops in a minute"
    if held(world, BTC):
        deadline = world.settings.protection.protect_deadline_ms
        await world.until(lambda: covered(world, BTC) or not held(world, BTC), "protected or flat", deadline)
    await assert_flat_end(world)


# --- G14: not exactly one ------------------------------------------------------------------------

OTHERS = 11
WHOLE_REFUSED = on_stops(
    FaultKind.REJECT,
    params={"closePosition": "true"},
    code=-4137,
    msg="Quantity must be zero with closePosition equals true",
)
"""With it stops are for a quantity, which can be the wrong one."""


def tidied_ms(world: World) -> float:
    """From a wrong stop to its cancel: a read of the symbol's stops has to show the right one first."""
    fresh = world.settings.freshness
    reading_ms = max(fresh.orders_ms, fresh.visibility_ms) + world.spec.read_lag_ms[1] + round_trip_ms(world)
    return reading_ms + sending_ms(world)


def position_of(world: World, symbol: Symbol) -> Decimal:
    """Signed quantity at the exchange; 0 when flat."""
    return sum((p.quantity for p in world.truth().positions if p.symbol == symbol), ZERO)


def stop_like_ours(like: SimAlgo, number: int, quantity: Decimal) -> AlgoRequest:
    """A stop as another run of the bot could have left it; each a little farther away."""
    return AlgoRequest(
        symbol=like.symbol,
        side=like.side,
        type=AlgoType.STOP_MARKET,
        trigger_price=like.trigger_price + like.side.sign * 10 * number,
        quantity=quantity,
        reduce_only=True,
        working=Working.MARK,
        client_id=f"hf-0-stop-{number}abcde",
    )


def leave_others(world: World, quantity: Decimal) -> list[int]:
    """Put more stops beside the one that stands; their ids."""
    (stop,) = live_stops(world, BTC)
    requests = [stop_like_ours(stop, number, quantity) for number in range(1, OTHERS + 1)]
    made: list[int] = []

    def place(core: Core) -> None:
        made.extend(core.place_algo(world.account_id, each).algo_id for each in requests)

    by_hand(world, place)
    return made


async def assert_one_is_left(world: World, naked_before: int) -> None:
    await world.until(lambda: len(live_stops(world, BTC)) == 1, "one stop", tidied_ms(world))
    await assert_protected_once(world, BTC)
    assert naked_ms(world) == naked_before, f"naked for {naked_ms(world)} ms while tidying"


@row(
    "G14",
    "eleven more stops of ours appear on one position",
    "all but one are cancelled once a read has shown the one that stays; never a moment without cover",
)
async def duplicates(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    naked_before = naked_ms(world)
    leave_others(world, abs(position_of(world, BTC)))
    await assert_one_is_left(world, naked_before)
    await assert_flat_end(world)


@row(
    "G14-restart",
    "the bot is killed, and finds eleven more stops on its position when it comes back",
    "the same: the census at the start sees them all",
)
async def duplicates_at_start(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    naked_before = naked_ms(world)
    world.kill_bot()
    leave_others(world, abs(position_of(world, BTC)))
    await started(world)
    await assert_one_is_left(world, naked_before)
    await assert_flat_end(world)


@row(
    "G14-orphan",
    "a position is closed by hand, and stops of ours for a quantity stay behind",
    "cancelled one cycle after the position is surely gone",
)
async def orphans_after_close(world: World) -> None:
    await enter(world, BTC, Direction.LONG)
    leave_others(world, abs(position_of(world, BTC)))
    by_hand(world, lambda core: core.close_by_hand(world.account_id, BTC))
    assert len(live_stops(world, BTC)) == OTHERS
    await world.until(lambda: not live_stops(world, BTC), "no stop", cycle_ms(world) + sending_ms(world))
    assert not world.truth().orphan_stops
    await assert_flat_end(world)


async def sized(world: World) -> None:
    """A position whose stop is for a quantity, as the exchange does not take the other form."""
    world.server.faults.add(WHOLE_REFUSED)
    await enter(world, BTC, Direction.LONG)
    (stop,) = live_stops(world, BTC)
    assert not stop.close_position
    assert stop.quantity == abs(position_of(world, BTC)), stop


@row(
    "G14-size",
    "a position grows by hand, so that its stop is too small",
    "a stop for all of it stands at once, then the small one is cancelled",
)
async def stop_too_small(world: World) -> None:
    await sized(world)
    held_before = position_of(world, BTC)
    by_hand(world, lambda core: core.open_by_hand(world.account_id, BTC, Side.BUY, held_before))
    await world.until(lambda: covered(world, BTC), "cover for all of it", 5_000)
    await assert_one_is_left(world, naked_ms(world))
    assert naked_ms(world) <= refused_ms(world), f"naked for {naked_ms(world)} ms"
    (stop,) = live_stops(world, BTC)
    assert stop.quantity == 2 * held_before, stop
    await assert_flat_end(world)


@row(
    "G14-shrunk",
    "half of a position is closed by hand, so that its stop is for more than there is",
    "it goes on covering, as it can only reduce; never a moment without cover, one stop in the end",
)
async def stop_too_large(world: World) -> None:
    await sized(world)
    naked_before = naked_ms(world)
    by_hand(world, lambda core: core.close_by_hand(world.account_id, BTC, share=Decimal("0.5")))
    await assert_one_is_left(world, naked_before)
    quantity = position_of(world, BTC)
    await world.until(lambda: [trade.quantity for trade in booked(world)] == [quantity], "true books", 5_000)
    await assert_flat_end(world)


@row(
    "G14-flip",
    "somebody turns a long position into a short one; its stop for a quantity is on the wrong side now",
    "the new position is protected at once, the wrong stop is cancelled, the books tell two positions",
)
async def flipped(world: World) -> None:
    await sized(world)
    held_before = position_of(world, BTC)
    at_ms = world.now_ms
    by_hand(world, lambda core: core.open_by_hand(world.account_id, BTC, Side.SELL, 2 * held_before))
    await world.until(lambda: covered(world, BTC), "a stop for the new side", 5_000)
    (position,) = world.truth().positions
    naked = position.naked_ms_max
    assert naked <= refused_ms(world), f"naked for {naked} ms"
    await assert_one_is_left(world, naked_ms(world))
    assert live_stops(world, BTC)[0].created_ms >= at_ms
    first, second = booked(world)
    assert (first.status, second.status) == (TradeStatus.CLOSED, TradeStatus.OPEN)
    assert (first.side, second.side, second.adopted) == (Direction.LONG, Direction.SHORT, True)
    await assert_flat_end(world)


@row(
    "G14-book",
    "a take-profit and a resting reduce-only order stand in the two order books; the stop is cancelled",
    "neither counts as a stop: it is made again at once; both books are read; what others placed stays",
)
async def other_books(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    price, size = world.server.core.prices(BTC).last, position_of(world, BTC)
    profit = AlgoRequest(
        symbol=BTC,
        side=Side.SELL,
        type=AlgoType.TAKE_PROFIT_MARKET,
        trigger_price=(price * Decimal("1.05")).quantize(ONE),
        close_position=True,
    )
    resting = OrderRequest(
        symbol=BTC,
        side=Side.SELL,
        kind=OrderKind.LIMIT,
        quantity=(size / 2).quantize(Decimal("0.001")),
        price=(price * Decimal("1.04")).quantize(ONE),
        reduce_only=True,
    )
    by_hand(world, lambda core: core.place_algo(world.account_id, profit))
    by_hand(world, lambda core: core.place_order(world.account_id, resting))
    (stop,) = [algo for algo in live_stops(world, BTC) if algo.type is AlgoType.STOP_MARKET]
    at_ms = world.now_ms
    by_hand(world, lambda core: core.cancel_algo(world.account_id, algo_id=stop.algo_id))
    await world.until(lambda: covered(world, BTC), "a new stop", 5_000)
    assert naked_ms(world) <= one_way_ms(world) + sending_ms(world), f"naked for {naked_ms(world)} ms"
    await world.run_for(2 * tidied_ms(world))
    kinds = sorted(algo.type for algo in live_stops(world, BTC))
    assert kinds == [AlgoType.STOP_MARKET, AlgoType.TAKE_PROFIT_MARKET], kinds
    for path in ("/openOrders$", "/openAlgoOrders$"):
        assert watch.requests("GET", path, at_ms, BTC), f"nobody read {path} of {BTC}"
    await assert_flat_end(world)


@row(
    "G14-empty",
    "a read of the stops answers empty once, though one stands",
    "exactly one stop in the end, never a moment without cover, and nothing is closed",
)
async def stops_read_empty(world: World) -> None:
    watch = Watch(world)
    await enter(world, BTC, Direction.LONG)
    naked_before, at_ms = naked_ms(world), world.now_ms
    empty = Fault(kind=FaultKind.EMPTY_READ, method="GET", path="/openAlgoOrders$", times=1)
    fault = world.server.faults.add(empty)
    await world.until(lambda: bool(world.server.faults.fired(fault)), "an empty read", 20_000)
    await world.run_for(5_000)
    await assert_one_is_left(world, naked_before)
    assert not watch.closes(at_ms)
    await assert_flat_end(world)
