"""Regular orders: what is refused and in which order, and how they fill."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.account import PositionMode
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import (
    AccountEvent,
    CoreRefusal,
    Execution,
    ExpireReason,
    OrderEvent,
    Refused,
    Status,
    Tif,
)
from tests.simulator.core.build import (
    FOO,
    ME,
    Recorder,
    buy,
    core,
    flat,
    go,
    held,
    line,
    order,
    position,
    sell,
    stored,
)

D = Decimal
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def refused(world: Any, request: Any) -> Refused:
    with pytest.raises(CoreRefusal) as caught:
        world.place_order(ME, request)
    return caught.value.why


# Each row breaks everything the later rows break too: the first broken check must be the one named.
BREAKS: tuple[tuple[Refused, dict[str, Any]], ...] = (
    (Refused.UNKNOWN_SYMBOL, {"symbol": Symbol.parse("NONEUSDT")}),
    (Refused.PRECISION, {"price": "100.001"}),
    (Refused.STEP, {"quantity": "0.005"}),
    (Refused.PRICE_TOO_HIGH, {"price": "106"}),
    (Refused.NOTIONAL_MIN, {"quantity": "0.01"}),
    (Refused.POSITION_SIDE, {"position_side": LONG}),
    (Refused.DUPLICATE_CLIENT_ID, {"client_id": "mine"}),
    (Refused.REDUCE_ONLY, {"reduce_only": True}),
)


@pytest.mark.parametrize("first", range(len(BREAKS)))
def test_checks_come_in_the_exchanges_order(first: int) -> None:
    world = core()
    buy(world, "1", price="99", client_id="mine")
    broken: dict[str, Any] = {"price": "100"}
    for _, changes in reversed(BREAKS[first:]):
        broken |= changes
    if broken.get("reduce_only") and BREAKS[first][0] is Refused.NOTIONAL_MIN:
        del broken["reduce_only"]  # reduce-only orders are exempt from the minimum
    quantity = broken.pop("quantity", "1")
    if BREAKS[first][0] is Refused.STEP:
        world.set_filters(FOO, quantity_step=D("0.01"))
        world.instrument(FOO).quantity_decimals = 3
    assert refused(world, order(Side.BUY, quantity, **broken)) is BREAKS[first][0]


@pytest.mark.parametrize(
    ("why", "quantity", "changes"),
    [
        (Refused.PRECISION, "1.001", {}),
        (Refused.QUANTITY_NOT_POSITIVE, "0", {}),
        (Refused.QUANTITY_MAX, "10001", {}),
        (Refused.QUANTITY_MAX, "100001", {"price": "100"}),
        (Refused.PRICE_NOT_POSITIVE, "1", {"price": "0"}),
        (Refused.PRICE_MIN, "20", {"price": "0.30"}),
        (Refused.PRICE_MAX, "1", {"price": "2500"}),
        (Refused.NOTIONAL_MIN, "0.04", {}),
        (Refused.BRACKET, "601", {}),
        (Refused.BRACKET, "601", {"price": "100"}),
    ],
)
def test_one_broken_filter_refuses_with_its_name(why: Refused, quantity: str, changes: Any) -> None:
    world = core(wallet="1000000")
    assert refused(world, order(Side.BUY, quantity, **changes)) is why
    assert world.truth(ME).refused == {why.value: 1}
    assert not world.view(ME).orders


def test_a_coarser_tick_refuses_prices_between() -> None:
    world = core()
    world.set_filters(FOO, price_step=D("0.05"), quantity_step=D("0.5"))
    assert refused(world, order(price="99.01")) is Refused.TICK
    assert refused(world, order(quantity="0.7", price="99.00")) is Refused.STEP
    assert buy(world, "0.5", price="99.05").status is Status.NEW


def test_a_sell_far_below_the_mark_is_refused() -> None:
    assert refused(core(), order(Side.SELL, price="94")) is Refused.PRICE_TOO_LOW


def test_a_halted_symbol_takes_no_orders() -> None:
    world = core()
    world.set_status(FOO, "TRADING_HALT")
    assert refused(world, order()) is Refused.SYMBOL_CLOSED


def test_delisting_expires_what_stands() -> None:
    world = core()
    made = buy(world, price="99")
    world.set_status(FOO, "CLOSE")
    assert stored(world, made).status is Status.EXPIRED
    assert stored(world, made).expire_reason is ExpireReason.DELISTED


def test_too_many_open_orders_are_refused() -> None:
    world = core(orders_max=2)
    buy(world, price="99")
    buy(world, price="98")
    assert refused(world, order(price="97")) is Refused.MAX_ORDERS


def test_margin_counts_open_orders_too() -> None:
    """200 quote at leverage 20 carry 4000: 30 and then 9 at 100 fit, 2 more do not."""
    world = core(wallet="200")
    buy(world, "30", price="100.00", tif=Tif.GTC)
    buy(world, "9", price="99")
    assert refused(world, order(quantity="2", price="99")) is Refused.MARGIN
    assert sell(world, "30", price="101").status is Status.NEW


def test_closing_needs_no_margin() -> None:
    world = core(wallet="105")
    buy(world, "20")
    assert sell(world, "20").status is Status.FILLED
    assert held(world) == 0


def test_a_test_order_leaves_no_trace() -> None:
    world = core()
    world.test_order(ME, order())
    with pytest.raises(CoreRefusal):
        world.test_order(ME, order(quantity="0"))
    assert not world.view(ME).orders
    assert world.truth(ME).refused == {}


# --- filling ----------------------------------------------------------------------------------------


def test_a_market_order_pays_the_spread_and_the_fee() -> None:
    world = core()
    made = buy(world, "2")
    assert (made.status, made.average_price) == (Status.FILLED, D("100.01"))
    (fill,) = world.view(ME).fills
    assert (fill.fee, fill.maker, fill.realized) == (D("0.10001000"), False, 0)
    assert world.view(ME).wallet == D("10000") - fill.fee


def test_a_large_market_order_walks_up_the_book() -> None:
    """250 stand at the best price, 500 at the next, ..."""
    world = core(wallet="1000000", leverage=1)
    made = buy(world, "600")
    fills = world.view(ME).fills
    assert [(fill.price, fill.quantity) for fill in fills] == [(D("100.01"), 250), (D("100.02"), 350)]
    assert made.average_price == (250 * D("100.01") + 350 * D("100.02")) / 600


def test_orders_within_a_second_share_the_book() -> None:
    world = core(wallet="1000000", leverage=1)
    buy(world, "200")
    assert buy(world, "100").average_price == (50 * D("100.01") + 50 * D("100.02")) / 100
    go(world, 1)
    assert buy(world, "100").average_price == D("100.01")


def test_what_the_book_lacks_expires() -> None:
    world = core(wallet="1000000", leverage=1, book_levels=1)
    made = buy(world, "300")
    assert (made.status, made.filled) == (Status.EXPIRED, 250)
    assert made.expire_reason is ExpireReason.MARKET_REST
    assert held(world) == 250


def test_the_take_bound_stops_a_market_order() -> None:
    world = core(flat(volume=240), wallet="1000000", leverage=1, level_ratio=D("0.02"))
    made = buy(world, "50")
    assert made.filled == 1 + 2 + 3
    assert made.average_price < 105


def test_an_empty_book_has_no_counterparty() -> None:
    world = core()
    world.set_liquidity(FOO, D(0))
    assert refused(world, order()) is Refused.NO_COUNTERPARTY
    world.set_liquidity(FOO, D(1), D("0.01"))
    assert buy(world).average_price == D("100.50")


def test_immediate_or_cancel_keeps_what_it_got() -> None:
    world = core(wallet="1000000", leverage=1)
    made = buy(world, "300", price="100.01", tif=Tif.IOC)
    assert (made.status, made.filled, made.expire_reason) == (Status.EXPIRED, 250, ExpireReason.IOC_REST)


def test_fill_or_kill_is_whole_or_unrecorded() -> None:
    world = core(wallet="1000000", leverage=1)
    assert refused(world, order(quantity="300", price="100.01", tif=Tif.FOK)) is Refused.FOK_UNFILLABLE
    assert not world.view(ME).orders
    assert buy(world, "300", price="100.02", tif=Tif.FOK).status is Status.FILLED


def test_post_only_never_takes() -> None:
    world = core()
    assert refused(world, order(price="100.01", tif=Tif.POST_ONLY)) is Refused.POST_ONLY_WOULD_TAKE
    assert buy(world, price="100.00", tif=Tif.POST_ONLY).status is Status.NEW


def test_a_resting_order_fills_when_traded_through() -> None:
    """At its own price, as maker; a touch is not enough."""
    world = core(line(100, 99), line(99, 98))
    touched, far = buy(world, price="99.00"), buy(world, price="97")
    go(world, 60)
    assert world.prices(FOO).last == D("99.00")
    assert stored(world, touched).status is Status.NEW
    go(world, 2)
    done = stored(world, touched)
    assert (done.status, done.average_price) == (Status.FILLED, D("99.00"))
    (fill,) = world.view(ME).fills
    assert (fill.maker, fill.fee) == (True, D("0.01980000"))
    assert stored(world, far).status is Status.NEW


def test_volume_limits_what_a_resting_order_gets() -> None:
    """Half of a second's 2 units: 1 a second once the price is through; better prices go first."""
    world = core(line(100, 98, volume=120))
    worse, better = buy(world, "3", price="99"), buy(world, "2", price="99.01")
    while not stored(world, better).filled:
        go(world, 1)
    assert (stored(world, better).filled, stored(world, worse).filled) == (1, 0)
    go(world, 1)
    assert (stored(world, better).filled, stored(world, worse).filled) == (2, 0)
    go(world, 2)
    assert (stored(world, worse).filled, stored(world, worse).status) == (2, Status.PARTIALLY_FILLED)


def test_events_tell_a_market_orders_life() -> None:
    world = core()
    recorder = Recorder(world)
    buy(world)
    new, trade, account = recorder.told
    assert isinstance(new, OrderEvent)
    assert isinstance(trade, OrderEvent)
    assert isinstance(account, AccountEvent)
    assert (new.execution, new.order.status) == (Execution.NEW, Status.NEW)
    assert (trade.execution, trade.order.status) == (Execution.TRADE, Status.FILLED)
    assert trade.fill is not None
    assert trade.fill.quantity == 1
    assert (account.reason, account.positions[0].quantity) == ("ORDER", 1)
    assert account.wallet == world.view(ME).wallet


# --- ids, cancelling, amending ----------------------------------------------------------------------


def test_a_client_id_is_free_again_after_the_end() -> None:
    """Ids are unique among open orders only (G03): asking by id gives the newest."""
    world = core()
    first = buy(world, price="99", client_id="x")
    assert refused(world, order(client_id="x")) is Refused.DUPLICATE_CLIENT_ID
    world.cancel_order(ME, FOO, client_id="x")
    second = buy(world, client_id="x")
    assert first.order_id != second.order_id
    view = world.view(ME)
    assert world.order_by_client_id(view, FOO, "x") == stored(world, second)
    truth = world.truth(ME)
    assert (truth.duplicate_orders, truth.duplicate_client_ids) == (1, ("x",))


def test_only_open_orders_can_be_cancelled() -> None:
    world = core()
    done, open_ = buy(world), buy(world, price="99")
    for order_id in (done.order_id, 1):
        with pytest.raises(CoreRefusal, match="unknown_order"):
            world.cancel_order(ME, FOO, order_id=order_id)
    assert world.cancel_order(ME, FOO, order_id=open_.order_id).status is Status.CANCELED
    assert world.cancel_all_orders(ME, FOO) == 0


def amend(world: Any, made: Any, quantity: str, price: str, side: Side = Side.BUY) -> Any:
    return world.amend_order(ME, FOO, side=side, quantity=D(quantity), price=D(price), order_id=made.order_id)


def test_an_amended_order_keeps_its_id() -> None:
    world = core()
    recorder = Recorder(world)
    made = buy(world, price="99")
    changed = amend(world, made, "2", "98.50")
    assert (changed.order_id, changed.quantity, changed.price) == (made.order_id, 2, D("98.50"))
    last = recorder.told[-1]
    assert isinstance(last, OrderEvent)
    assert last.execution is Execution.AMENDMENT


@pytest.mark.parametrize(
    ("quantity", "price", "side", "why"),
    [
        ("1", "99", Side.BUY, Refused.AMEND_NOTHING),
        ("1", "98", Side.SELL, Refused.UNKNOWN_ORDER),
        ("1.001", "98", Side.BUY, Refused.PRECISION),
        ("0.01", "98", Side.BUY, Refused.NOTIONAL_MIN),
        ("2100", "98", Side.BUY, Refused.BRACKET),
    ],
)
def test_a_bad_amendment_leaves_the_order(quantity: str, price: str, side: Side, why: Refused) -> None:
    world = core()
    made = buy(world, price="99")
    with pytest.raises(CoreRefusal) as caught:
        amend(world, made, quantity, price, side)
    assert caught.value.why is why
    assert stored(world, made) == made


def test_amending_across_the_spread_fills() -> None:
    world = core()
    assert amend(world, buy(world, price="99"), "1", "101").status is Status.FILLED
    kept = buy(world, price="99", tif=Tif.POST_ONLY)
    assert amend(world, kept, "1", "101").status is Status.CANCELED


def test_amending_to_less_than_filled_cancels() -> None:
    world = core(wallet="1000000", leverage=1)
    made = buy(world, "300", price="100.01")
    assert amend(world, made, "200", "100.01").status is Status.CANCELED
    assert held(world) == 250


# --- reduce-only, hedge ------------------------------------------------------------------------------


def test_reduce_only_never_flips() -> None:
    world = core()
    buy(world, "2")
    made = sell(world, "5", reduce_only=True)
    assert (made.filled, made.status, made.expire_reason) == (2, Status.EXPIRED, ExpireReason.REDUCE_ONLY)
    assert held(world) == 0


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_reduce_only_needs_something_to_reduce(side: Side) -> None:
    world = core()
    assert refused(world, order(side, reduce_only=True)) is Refused.REDUCE_ONLY
    if side is Side.BUY:
        buy(world)
        assert refused(world, order(side, reduce_only=True)) is Refused.REDUCE_ONLY


def test_reduce_only_is_exempt_from_the_minimum() -> None:
    world = core()
    buy(world, "1")
    assert sell(world, "0.01", reduce_only=True).status is Status.FILLED


def test_flat_expires_resting_reduce_only_orders() -> None:
    world = core()
    buy(world)
    profit = sell(world, "0.4", price="105", reduce_only=True)
    sell(world)
    done = stored(world, profit)
    assert (done.status, done.expire_reason) == (Status.EXPIRED, ExpireReason.REDUCE_ONLY)


def test_the_end_of_reduce_only_orders_may_come_late() -> None:
    world = core(ro_cancel_delay_ms=700)
    buy(world)
    profit = sell(world, "0.4", price="105", reduce_only=True)
    sell(world)
    go(world, 0.699)
    assert stored(world, profit).status is Status.NEW
    go(world, 0.001)
    assert stored(world, profit).status is Status.EXPIRED


def test_a_shrinking_position_cuts_the_worse_priced_first() -> None:
    world = core()
    buy(world, "10")
    near = sell(world, "4", price="102", reduce_only=True)
    far = sell(world, "4", price="104", reduce_only=True)
    sell(world, "5")
    assert (stored(world, near).quantity, stored(world, far).quantity) == (4, 1)
    sell(world, "2")
    assert stored(world, near).quantity == 3
    assert stored(world, far).status is Status.EXPIRED


def test_a_full_size_profit_order_blocks_the_close() -> None:
    """G16: -4118; with the switch off the close goes through and knocks the other out."""
    world = core()
    buy(world)
    profit = sell(world, price="105", reduce_only=True)
    assert refused(world, order(Side.SELL, reduce_only=True)) is Refused.REDUCE_ONLY_CONFLICT
    other = core(reduce_only_conflict=False)
    buy(other)
    profit = sell(other, price="105", reduce_only=True)
    assert sell(other, reduce_only=True).status is Status.FILLED
    assert stored(other, profit).status is Status.EXPIRED


def test_a_stop_may_lock_the_quantity() -> None:
    from tests.simulator.core.build import protect

    world = core(stop_locks_quantity=True)
    buy(world)
    made = protect(world)
    assert refused(world, order(Side.SELL, reduce_only=True)) is Refused.REDUCE_ONLY_CONFLICT
    world.cancel_algo(ME, algo_id=made.algo_id)
    assert sell(world, reduce_only=True).status is Status.FILLED


def test_an_opposite_order_flips_in_one_way_mode() -> None:
    world = core()
    buy(world, "2")
    sell(world, "5")
    found = position(world)
    assert found is not None
    assert (found.quantity, found.entry_price) == (-3, D("100.00"))
    assert found.realized == D("-0.02")


def hedged() -> Any:
    world = core()
    world.set_position_mode(ME, PositionMode.HEDGE)
    return world


def test_hedge_mode_holds_both_sides() -> None:
    world = hedged()
    buy(world, "2", position_side=LONG)
    sell(world, "3", position_side=SHORT)
    assert (held(world, LONG), held(world, SHORT)) == (2, -3)
    sell(world, "2", position_side=LONG)
    assert (held(world, LONG), held(world, SHORT)) == (0, -3)


def test_hedge_mode_asks_for_a_side_and_no_reduce_only() -> None:
    world = hedged()
    assert refused(world, order()) is Refused.POSITION_SIDE
    assert refused(world, order(position_side=LONG, reduce_only=True)) is Refused.REDUCE_ONLY_IN_HEDGE
    assert refused(world, order(Side.SELL, position_side=LONG)) is Refused.REDUCE_ONLY
    buy(world, "1", position_side=LONG)
    assert refused(world, order(Side.SELL, "2", position_side=LONG)) is Refused.REDUCE_ONLY


def test_minimums_may_change_in_flight() -> None:
    """G31: what was tradable a moment ago is refused, and a larger order goes through."""
    world = core()
    buy(world, "1")
    world.set_filters(FOO, quantity_min=D(2), notional_min=D(300))
    assert refused(world, order(quantity="1")) is Refused.QUANTITY_MIN
    assert refused(world, order(quantity="2")) is Refused.NOTIONAL_MIN
    assert buy(world, "4").status is Status.FILLED


def test_a_hand_closes_a_hedge_side() -> None:
    world = hedged()
    world.open_by_hand(ME, FOO, Side.SELL, D(2))
    assert held(world, SHORT) == -2
    assert world.close_by_hand(ME, FOO, SHORT, share=D("0.001")) is None
    world.close_by_hand(ME, FOO, SHORT)
    assert held(world, SHORT) == 0
