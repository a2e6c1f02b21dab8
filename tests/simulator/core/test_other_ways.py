"""What other exchanges do differently: stops amended and tied, closes displaced, orders cancelled at once."""

from __future__ import annotations

import pytest

from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.model import (
    AlgoAmendment,
    AlgoStatus,
    AlgoType,
    CoreRefusal,
    Refused,
    Status,
    Tif,
    Working,
)
from tests.simulator.core.build import (
    FOO,
    ME,
    D,
    algo_of,
    buy,
    core,
    flat,
    go,
    held,
    line,
    protect,
    sell,
    stored,
)


def test_an_amended_stop_keeps_its_id_and_triggers_where_it_now_stands():
    world = core(flat(), line(100, 96))
    buy(world)
    made = protect(world, "95")
    changed = world.amend_algo(ME, made.algo_id, AlgoAmendment(trigger_price=D("98"), working=Working.MARK))
    assert (changed.algo_id, changed.trigger_price, changed.working) == (made.algo_id, D("98"), Working.MARK)
    go(world, 120)
    assert algo_of(world, made).status is AlgoStatus.FINISHED
    assert held(world) == 0


def test_an_amended_stop_may_become_a_limit_order_and_market_again():
    world = core()
    buy(world)
    made = protect(world, "95")
    assert world.amend_algo(ME, made.algo_id, AlgoAmendment(price=D("94"))).type is AlgoType.STOP
    assert world.amend_algo(ME, made.algo_id, AlgoAmendment(price=D(0))).type is AlgoType.STOP_MARKET


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (AlgoAmendment(trigger_price=D("101")), Refused.WOULD_TRIGGER),
        (AlgoAmendment(trigger_price=D("95.001")), Refused.PRECISION),
    ],
)
def test_a_refused_amendment_changes_nothing(to: AlgoAmendment, why: Refused):
    world = core()
    buy(world)
    made = protect(world, "95")
    with pytest.raises(CoreRefusal) as refusal:
        world.amend_algo(ME, made.algo_id, to)
    assert refusal.value.why is why
    assert algo_of(world, made).trigger_price == D("95")


def test_a_tied_stop_ends_with_its_position_and_an_untied_one_stays():
    world = core()
    buy(world)
    tied, free = protect(world, "95", quantity="1", tied=True), protect(world, "94", quantity="1")
    sell(world, reduce_only=True)
    assert algo_of(world, tied).status is AlgoStatus.EXPIRED
    assert algo_of(world, free).status is AlgoStatus.NEW


def test_a_reduce_only_order_displaces_its_elders_oldest_first():
    world = core(reduce_only_conflict=False, reduce_only_displaces=True)
    buy(world, "3")
    first, second = (sell(world, "1", price=price, reduce_only=True) for price in ("110", "111"))
    third = sell(world, "2", price="112", reduce_only=True)
    assert stored(world, first).status is Status.CANCELED
    assert stored(world, second).status is Status.NEW
    assert stored(world, third).remaining == 2


def test_without_rest_for_them_all_elders_go():
    world = core(reduce_only_conflict=False, reduce_only_displaces=True)
    buy(world, "2")
    elders = [sell(world, "1", price=price, reduce_only=True) for price in ("110", "111")]
    sell(world, "2", reduce_only=True)
    assert held(world) == 0
    assert {stored(world, one).status for one in elders} == {Status.CANCELED}


@pytest.mark.parametrize(("tif", "price"), [(Tif.POST_ONLY, "101"), (Tif.FOK, "100.01")])
def test_what_the_book_cannot_serve_is_taken_and_cancelled(tif: Tif, price: str):
    world = core(wallet="1000000", refuse_unmatched=False, leverage=5)
    made = buy(world, "600", price=price, tif=tif)
    assert stored(world, made).status is Status.CANCELED
    assert held(world) == 0


def test_a_market_order_without_a_counterparty_is_cancelled():
    world = core(refuse_unmatched=False)
    world.set_liquidity(FOO, D(0))
    assert stored(world, buy(world)).status is Status.CANCELED


def test_a_triggered_order_may_carry_its_stops_id():
    world = core(flat(), line(100, 94), child_named_by_id=True)
    buy(world)
    made = protect(world, "95", client_id="mine")
    go(world, 120)
    orders = world.view(ME).orders
    child = orders[algo_of(world, made).order_id]
    assert (child.client_id, child.side, child.position_side) == (
        str(made.algo_id),
        Side.SELL,
        PositionSide.BOTH,
    )
