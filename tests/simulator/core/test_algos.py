"""Conditional orders: placing, triggering, ending."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.account import PositionMode
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.model import (
    AlgoEvent,
    AlgoStatus,
    AlgoType,
    CoreRefusal,
    ExpireReason,
    OrderEvent,
    Refused,
    Status,
    Working,
)
from tests.simulator.core.build import (
    FOO,
    ME,
    Recorder,
    algo_of,
    buy,
    core,
    flat,
    go,
    held,
    line,
    protect,
    sell,
    stop,
    stored,
)

D = Decimal
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
NEW, EXPIRED, REJECTED = AlgoStatus.NEW, AlgoStatus.EXPIRED, AlgoStatus.REJECTED


def refused(world: Any, request: Any) -> Refused:
    with pytest.raises(CoreRefusal) as caught:
        world.place_algo(ME, request)
    return caught.value.why


def test_a_stop_runs_through_its_recorded_sequence() -> None:
    """NEW, TRIGGERING, TRIGGERED with the order's id, the order's own events, FINISHED with what it got."""
    world = core(line(100, 90))
    buy(world)
    recorder = Recorder(world)
    made = protect(world, "95")
    go(world, 60)
    algos = [event.algo for event in recorder.told if isinstance(event, AlgoEvent)]
    assert [algo.status.value for algo in algos] == ["new", "triggering", "triggered", "finished"]
    assert [bool(algo.order_id) for algo in algos] == [False, False, True, True]
    assert [algo.actual_quantity for algo in algos] == [0, 0, 0, 1]
    assert algos[-1].actual_price < 95
    order = world.view(ME).orders[algos[-1].order_id]
    assert (order.status, order.algo_id, order.close_position) == (Status.FILLED, made.algo_id, True)
    kinds = [type(event).__name__ for event in recorder.told]
    assert kinds.index("OrderEvent") > kinds.index("AlgoEvent")
    delay_ms = algos[2].updated_ms - algos[1].updated_ms
    assert delay_ms == world.config.trigger_delay_ms
    assert held(world) == 0


@pytest.mark.parametrize(
    ("kind", "side", "trigger", "end", "fires"),
    [
        (AlgoType.STOP_MARKET, Side.SELL, "98", 97, True),
        (AlgoType.STOP_MARKET, Side.BUY, "102", 103, True),
        (AlgoType.TAKE_PROFIT_MARKET, Side.SELL, "102", 103, True),
        (AlgoType.TAKE_PROFIT_MARKET, Side.BUY, "98", 97, True),
        (AlgoType.STOP_MARKET, Side.SELL, "98", 103, False),
        (AlgoType.TAKE_PROFIT_MARKET, Side.SELL, "102", 97, False),
    ],
)
def test_each_kind_fires_in_its_direction(
    kind: AlgoType, side: Side, trigger: str, end: float, fires: bool
) -> None:
    world = core(line(100, end))
    made = protect(world, trigger, side=side, type=kind, quantity="1", reduce_only=False)
    go(world, 61)
    assert algo_of(world, made).status is (AlgoStatus.FINISHED if fires else NEW)
    assert held(world) == (side.sign if fires else 0)


@pytest.mark.parametrize(
    ("kind", "side", "trigger"),
    [
        (AlgoType.STOP_MARKET, Side.SELL, "100"),
        (AlgoType.STOP_MARKET, Side.BUY, "99"),
        (AlgoType.TAKE_PROFIT_MARKET, Side.SELL, "100"),
        (AlgoType.TAKE_PROFIT_MARKET, Side.BUY, "100.5"),
    ],
)
def test_what_would_trigger_at_once_is_refused(kind: AlgoType, side: Side, trigger: str) -> None:
    request = stop(trigger, side, type=kind, quantity="1", reduce_only=False)
    assert refused(core(), request) is Refused.WOULD_TRIGGER


def test_mark_triggers_wait_for_the_mark() -> None:
    """A one-second spike moves last far and the mark little."""
    world = core()
    buy(world, "2")
    by_mark = protect(world, "97", working=Working.MARK, quantity="1")
    by_last = protect(world, "97", quantity="1")
    world.move_price(FOO, D("0.95"))
    go(world, 1)
    world.move_price(FOO, 1 / D("0.95"))
    go(world, 5)
    assert algo_of(world, by_last).status is AlgoStatus.FINISHED
    assert algo_of(world, by_mark).status is NEW
    world.move_price(FOO, D("0.95"))
    go(world, 10)
    assert algo_of(world, by_mark).status is AlgoStatus.FINISHED


def test_price_protect_holds_back_while_mark_is_far() -> None:
    world = core()
    buy(world)
    held_back = protect(world, "95", price_protect=True)
    world.move_price(FOO, D("0.90"))
    go(world, 1.5)
    assert algo_of(world, held_back).status is NEW
    go(world, 4)
    assert algo_of(world, held_back).status is AlgoStatus.FINISHED


def test_one_close_stop_and_one_profit_per_direction() -> None:
    world = core()
    buy(world)
    first = protect(world, "95")
    protect(world, "110", type=AlgoType.TAKE_PROFIT_MARKET)
    assert refused(world, stop("94")) is Refused.CLOSE_STOP_EXISTS
    assert refused(world, stop("111", type=AlgoType.TAKE_PROFIT_MARKET)) is Refused.CLOSE_STOP_EXISTS
    assert protect(world, "94", quantity="1").status is NEW
    world.cancel_algo(ME, algo_id=first.algo_id)
    assert protect(world, "94").status is NEW


@pytest.mark.parametrize(
    ("why", "request_"),
    [
        (Refused.CLOSE_STOP_WITH_QUANTITY, stop(quantity="1", close_position=True, reduce_only=False)),
        (Refused.CLOSE_STOP_WITH_REDUCE_ONLY, stop(reduce_only=True)),
        (Refused.CLOSE_STOP_WRONG_SIDE, stop("105", Side.BUY)),
        (Refused.POSITION_SIDE, stop(position_side=LONG)),
        (Refused.PRICE_NOT_POSITIVE, stop("0")),
        (Refused.PRECISION, stop("95.001")),
        (Refused.QUANTITY_NOT_POSITIVE, stop(quantity="0")),
        (Refused.QUANTITY_MAX, stop(quantity="10001")),
        (Refused.NOTIONAL_MIN, stop(quantity="0.01", reduce_only=False)),
        (
            Refused.PRECISION,
            stop(quantity="1", type=AlgoType.TRAILING_STOP_MARKET, trigger_price=None, callback_rate=D(11)),
        ),
    ],
)
def test_a_malformed_stop_is_refused_by_name(why: Refused, request_: Any) -> None:
    world = core()
    buy(world)
    assert refused(world, request_) is why


def test_a_close_stop_needs_a_position_unless_switched_off() -> None:
    assert refused(core(), stop()) is Refused.CLOSE_STOP_NO_POSITION
    world = core(close_stop_requires_position=False)
    assert protect(world).status is NEW


def test_client_ids_and_the_count_are_kept() -> None:
    world = core(algos_max=2)
    buy(world)
    protect(world, client_id="s")
    assert refused(world, stop(quantity="1", client_id="s")) is Refused.DUPLICATE_CLIENT_ID
    protect(world, quantity="1")
    assert refused(world, stop(quantity="1")) is Refused.MAX_ALGO_ORDERS
    view = world.view(ME)
    found = world.algo_by_client_id(view, "s")
    assert found is not None
    assert found.close_position


def test_a_close_stop_expires_with_its_position() -> None:
    world = core()
    buy(world)
    whole, sized = protect(world), protect(world, quantity="1")
    sell(world)
    assert algo_of(world, whole).status is EXPIRED
    assert algo_of(world, sized).status is NEW
    assert world.truth(ME).orphan_stops == (sized.algo_id,)


def test_a_flip_expires_the_old_sides_close_stop() -> None:
    world = core()
    buy(world)
    made = protect(world)
    sell(world, "3")
    assert algo_of(world, made).status is EXPIRED


def test_a_leftover_reduce_only_stop_is_rejected_at_trigger() -> None:
    world = core(flat(), line(100, 90))
    buy(world)
    made = protect(world, quantity="1")
    sell(world)
    go(world, 120)
    ended = algo_of(world, made)
    assert (ended.status, ended.reject_reason, ended.order_id) == (REJECTED, "Reduce Only reject", 0)


def test_margin_is_checked_only_when_a_stop_triggers() -> None:
    world = core(line(100, 103), wallet="100")
    made = protect(world, "102", side=Side.BUY, quantity="500", reduce_only=False)
    go(world, 60)
    assert (algo_of(world, made).status, algo_of(world, made).reject_reason) == (
        REJECTED,
        "Margin is insufficient.",
    )


def test_a_stop_limit_rests_and_finishes_when_cancelled() -> None:
    """Triggered at 98, its limit far above the falling market: TRIGGERED until the order ends."""
    world = core(line(100, 97))
    buy(world)
    made = protect(world, "98", type=AlgoType.STOP, price=D("99.5"), quantity="1")
    go(world, 60)
    triggered = algo_of(world, made)
    assert triggered.status is AlgoStatus.TRIGGERED
    with pytest.raises(CoreRefusal):
        world.cancel_algo(ME, algo_id=made.algo_id)
    world.cancel_order(ME, FOO, order_id=triggered.order_id)
    finished = algo_of(world, made)
    assert (finished.status, finished.actual_quantity) == (AlgoStatus.FINISHED, 0)


def test_a_sized_stop_closes_no_more_than_is_held() -> None:
    world = core(flat(), line(100, 90))
    buy(world, "3")
    made = protect(world, quantity="3")
    sell(world, "2")
    go(world, 120)
    order = stored(world, world.view(ME).orders[algo_of(world, made).order_id])
    assert (order.filled, order.expire_reason) == (1, ExpireReason.REDUCE_ONLY)
    assert held(world) == 0


def test_a_trailing_stop_follows_and_fires() -> None:
    """Activated at 102, it trails 1 % behind the top of 104."""
    world = core(line(100, 104), line(104, 101))
    buy(world)
    recorder = Recorder(world)
    made = protect(
        world,
        type=AlgoType.TRAILING_STOP_MARKET,
        trigger_price=None,
        callback_rate=D(1),
        activate_price=D(102),
        quantity="1",
    )
    go(world, 59)
    assert algo_of(world, made).trigger_price == D("102.96")
    news = [event.algo for event in recorder.told if isinstance(event, AlgoEvent)]
    assert [algo.activated for algo in news] == [False, True]
    go(world, 60)
    done = algo_of(world, made)
    assert done.status is AlgoStatus.FINISHED
    assert D("102.7") < done.actual_price <= D("102.96")


def test_a_trailing_stop_must_activate_ahead() -> None:
    request = stop(
        type=AlgoType.TRAILING_STOP_MARKET,
        trigger_price=None,
        callback_rate=D(1),
        activate_price=D(99),
        quantity="1",
    )
    assert refused(core(), request) is Refused.WOULD_TRIGGER


def test_a_stuck_stop_neither_fires_nor_cancels() -> None:
    """G32: TRIGGERING for ever; after two seconds the position counts as unprotected."""
    world = core(line(100, 90))
    buy(world)
    made = protect(world, "95")
    world.stick_triggering(FOO)
    go(world, 60)
    assert algo_of(world, made).status is AlgoStatus.TRIGGERING
    assert held(world) == 1
    with pytest.raises(CoreRefusal, match="unknown_order"):
        world.cancel_algo(ME, algo_id=made.algo_id)
    truth = world.truth(ME)
    assert truth.unprotected_now == ((FOO, PositionSide.BOTH),)
    span = truth.positions[0].naked_spans[-1]
    assert span.since_ms == algo_of(world, made).triggered_ms + 2001


def test_cancel_all_stops_spares_regular_orders() -> None:
    world = core()
    buy(world)
    regular = buy(world, price="99")
    protect(world)
    protect(world, quantity="1")
    assert world.cancel_all_orders(ME, FOO) == 1
    assert world.cancel_stops_by_hand(ME, FOO) == 2
    assert world.cancel_all_algos(ME, FOO) == 0
    assert stored(world, regular).status is Status.CANCELED


def test_hedge_stops_close_their_own_side() -> None:
    world = core(line(100, 90))
    world.set_position_mode(ME, PositionMode.HEDGE)
    buy(world, position_side=LONG)
    sell(world, position_side=SHORT)
    assert refused(world, stop("105", Side.BUY, position_side=LONG)) is Refused.CLOSE_STOP_WRONG_SIDE
    made = protect(world, "95", position_side=LONG)
    go(world, 60)
    assert algo_of(world, made).status is AlgoStatus.FINISHED
    assert (held(world, LONG), held(world, SHORT)) == (0, -1)


def test_the_spawned_order_carries_its_origin() -> None:
    world = core(line(100, 90))
    buy(world)
    recorder = Recorder(world)
    made = protect(world, "95", client_id="stop-1")
    go(world, 60)
    spawned = next(e.order for e in recorder.told if isinstance(e, OrderEvent))
    assert (spawned.algo_id, spawned.algo_type) == (made.algo_id, AlgoType.STOP_MARKET)
    assert (spawned.client_id, spawned.stop_price, spawned.reduce_only) == ("stop-1", D("95"), True)
    assert world.truth(ME).duplicate_orders == 0
