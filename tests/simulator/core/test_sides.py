"""What only some exchanges have: leverage per side, attached stops, closes within what is available."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.engine import Core
from holdfast.simulator.core.model import AlgoStatus, AlgoType, CoreRefusal, Refused, SimAlgo
from tests.simulator.core.build import FOO, ME, buy, core, flat, go, held, line, order, protect, sell, stop

D = Decimal
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def refusal(world: Core, request: Any) -> CoreRefusal:
    with pytest.raises(CoreRefusal) as caught:
        world.place_order(ME, request)
    return caught.value


def algos(world: Core) -> list[SimAlgo]:
    return list(world.view(ME).algos.values())


def test_an_account_opens_in_the_mode_of_its_exchange() -> None:
    world = core(position_mode=PositionMode.HEDGE)
    assert world.view(ME).position_mode is PositionMode.HEDGE
    buy(world, position_side=LONG)
    assert held(world, LONG) == 1


def test_leverage_of_one_side_leaves_the_other_alone() -> None:
    world = core(position_mode=PositionMode.HEDGE, leverage=10)
    world.set_leverage(ME, FOO, 5, LONG)
    buy(world, "2", position_side=LONG)
    sell(world, "2", position_side=SHORT)
    rows = {row.side: row for row in world.summary(world.view(ME)).positions}
    assert (rows[LONG].leverage, rows[SHORT].leverage) == (5, 10)
    assert rows[LONG].position_initial_margin == rows[LONG].notional / 5
    assert rows[SHORT].position_initial_margin == -rows[SHORT].notional / 10


def test_an_isolated_side_moves_margin_in_at_its_own_leverage() -> None:
    world = core(position_mode=PositionMode.HEDGE, leverage=10)
    world.set_margin_mode(ME, FOO, MarginMode.ISOLATED)
    world.set_leverage(ME, FOO, 4, SHORT)
    sell(world, "2", position_side=SHORT)
    position = world.view(ME).positions[FOO, SHORT]
    assert position.isolated_wallet == pytest.approx(2 * position.entry_price / 4, abs=D("0.000001"))


def test_a_side_refuses_less_leverage_than_its_margin_allows() -> None:
    world = core(position_mode=PositionMode.HEDGE, wallet="100", leverage=10)
    buy(world, "8", position_side=LONG)
    with pytest.raises(CoreRefusal) as caught:
        world.set_leverage(ME, FOO, 2, LONG)
    assert caught.value.why is Refused.MARGIN
    world.set_leverage(ME, FOO, 2, SHORT)


def test_attached_stops_appear_when_the_order_has_filled() -> None:
    world = core(line(100, 95))
    attached = (stop("90", quantity="5"), stop("92", quantity="0.4"))
    made = world.place_order(ME, order(quantity="1", price="98", attached=attached))
    assert algos(world) == []
    go(world, 60)
    assert held(world) == 1
    assert [(algo.quantity, algo.parent_id) for algo in algos(world)] == [
        (D(1), made.order_id),
        (D("0.4"), made.order_id),
    ]


def test_attached_stops_of_a_market_order_take_what_was_filled() -> None:
    world = core(flat(volume=60.0), taker_share=D(1), book_levels=1)
    made = world.place_order(ME, order(quantity="50", attached=(stop("90", quantity="50"),)))
    assert 0 < made.filled < 50
    assert [algo.quantity for algo in algos(world)] == [made.filled]


@pytest.mark.parametrize(("first", "stops"), [(False, []), (True, [D(50)])])
def test_attached_stops_come_at_the_end_or_with_the_first_fill(first: bool, stops: list[Decimal]) -> None:
    world = core(flat(volume=60.0), taker_share=D(1), book_levels=1, attach_at_first_fill=first)
    made = world.place_order(ME, order(quantity="50", price="101", attached=(stop("90", quantity="50"),)))
    assert 0 < made.filled < 50
    assert [algo.quantity for algo in algos(world)] == stops
    world.cancel_order(ME, FOO, order_id=made.order_id)
    assert [algo.quantity for algo in algos(world)] == (stops or [made.filled])


def test_an_attached_stop_whose_price_has_passed_is_taken_and_triggers() -> None:
    world = core(flat())
    world.place_order(ME, order(attached=(stop("101", quantity="1"),)))
    assert algos(world)[0].status is AlgoStatus.NEW
    go(world, 2)
    assert held(world) == 0


def test_nothing_is_attached_to_what_was_never_filled() -> None:
    world = core(flat())
    made = world.place_order(ME, order(price="96", attached=(stop("90", quantity="1"),)))
    world.cancel_order(ME, FOO, order_id=made.order_id)
    assert algos(world) == []


def test_a_close_beyond_what_is_available_is_refused_with_the_figure() -> None:
    world = core(position_mode=PositionMode.HEDGE, closes_within_available=True)
    buy(world, "3", position_side=LONG)
    sell(world, "2", price="105", position_side=LONG)
    caught = refusal(world, order(Side.SELL, "1.5", position_side=LONG))
    assert (caught.why, caught.detail["available"]) == (Refused.REDUCE_ONLY_CONFLICT, D(1))
    sell(world, "1", position_side=LONG)


def test_stops_count_against_what_is_available_where_they_lock() -> None:
    world = core(closes_within_available=True, stop_locks_quantity=True)
    buy(world, "3")
    protect(world, quantity="2")
    caught = refusal(world, order(Side.SELL, "2", reduce_only=True))
    assert (caught.why, caught.detail["available"]) == (Refused.REDUCE_ONLY_CONFLICT, D(1))


def test_a_reduce_only_order_larger_than_the_position_is_refused_there() -> None:
    world = core(closes_within_available=True)
    buy(world, "3")
    caught = refusal(world, order(Side.SELL, "4", reduce_only=True))
    assert (caught.why, caught.detail["held"]) == (Refused.REDUCE_ONLY, D(3))
    assert refusal(world, order(Side.BUY, "1", reduce_only=True)).detail["held"] == 0


def test_a_trailing_stop_follows_at_a_distance() -> None:
    world = core(line(100, 110), line(110, 104))
    buy(world)
    trailing = stop(type=AlgoType.TRAILING_STOP_MARKET, callback_distance=D(4), quantity="1")
    made = world.place_algo(ME, replace(trailing, trigger_price=None))
    assert algos(world)[0].trigger_price == 96
    go(world, 60)
    assert algos(world)[0].trigger_price == 106
    go(world, 60)
    assert held(world) == 0
    assert world.view(ME).algos[made.algo_id].status is AlgoStatus.FINISHED
