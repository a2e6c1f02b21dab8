"""What the exchange and its people do to an account, and what the account then shows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from holdfast.simulator.core.model import AccountEvent, CoreRefusal, Execution, OrderEvent
from tests.simulator.core.build import (
    BAR,
    FOO,
    FUNDING_MS,
    ME,
    START_MS,
    buy,
    core,
    flat,
    go,
    held,
    protect,
    stored,
)

D = Decimal


def orders_told(told: list[object]) -> list[OrderEvent]:
    return [event for event in told if isinstance(event, OrderEvent)]


def test_liquidation_closes_at_mark_and_ends_the_orders_of_the_symbol() -> None:
    world = core()
    buy(world)
    protect(world)
    resting = buy(world, price="99")
    told: list[object] = []
    world.listen(told.append)
    world.liquidate(ME, FOO)
    truth = world.truth(ME)
    assert truth.positions == ()
    assert truth.liquidations == 1
    view = world.view(ME)
    assert view.live_orders == ()
    assert view.live_algos == ()
    assert view.orders[resting.order_id].status.value == "expired"
    last = orders_told(told)[-1]
    assert last.execution is Execution.LIQUIDATION
    assert last.order.client_id.startswith("autoclose-")


def test_liquidation_of_nothing_changes_nothing() -> None:
    world = core()
    world.liquidate(ME, FOO)
    assert world.truth(ME).liquidations == 0


def test_a_delisted_symbol_is_settled_at_mark_and_closed_for_good() -> None:
    world = core(symbols=(FOO, BAR))
    buy(world)
    protect(world)
    told: list[object] = []
    world.listen(told.append)
    world.delist(FOO)
    assert world.truth(ME).positions == ()
    assert world.view(ME).live_algos == ()
    fill = next(event.fill for event in orders_told(told) if event.fill is not None)
    assert fill.client_id.startswith("settlement_autoclose-")
    assert fill.price == world.prices(FOO).mark
    assert fill.fee == 0
    with pytest.raises(CoreRefusal, match="symbol_closed"):
        buy(world)


def test_an_announced_funding_is_charged_once_and_then_the_market_goes_on() -> None:
    world = core(flat())
    buy(world)
    told: list[object] = []
    world.listen(told.append)
    world.set_funding(FOO, D("0.01"), 5_000)
    assert world.funding(FOO) == (D("0.01"), START_MS + 5_000)
    go(world, 10)
    paid = [event for event in told if isinstance(event, AccountEvent) and event.reason == "FUNDING_FEE"]
    assert len(paid) == 1
    assert world.view(ME).incomes[-1].amount == -world.prices(FOO).mark * D("0.01")
    assert world.funding(FOO) == (D("0.0001"), START_MS + FUNDING_MS)


def test_a_frozen_mark_stands_still_while_the_price_goes_on() -> None:
    world = core(flat())
    go(world, 5)
    world.freeze_mark(FOO, frozen=True)
    world.move_price(FOO, D("0.9"))
    go(world, 20)
    assert world.prices(FOO).mark == 100
    assert world.prices(FOO).last == 90
    world.freeze_mark(FOO, frozen=False)
    go(world, 30)
    assert world.prices(FOO).mark < D("90.5")


def test_a_resting_order_fills_by_hand_and_only_once() -> None:
    world = core()
    order = buy(world, price="99")
    world.fill_by_hand(ME, FOO, order_id=order.order_id)
    assert held(world) == 1
    with pytest.raises(CoreRefusal, match="unknown_order"):
        world.fill_by_hand(ME, FOO, order_id=order.order_id)


def test_a_stop_triggers_by_hand_wherever_the_price_is() -> None:
    world = core()
    buy(world)
    stop = protect(world)
    world.trigger_by_hand(ME, algo_id=stop.algo_id)
    go(world, 1)
    assert held(world) == 0


def test_a_cut_book_fills_a_part_and_the_rest_expires() -> None:
    world = core()
    world.set_liquidity(FOO, D("0.01"), levels=2)
    made = buy(world, "100")
    order = stored(world, made)
    assert order.status.value == "expired"
    assert order.filled == D("7.5"), "a unit of 2.5 at the first level, two at the second"
    world.set_liquidity(FOO, D(1))
    assert stored(world, buy(world, "100")).status.value == "filled"
