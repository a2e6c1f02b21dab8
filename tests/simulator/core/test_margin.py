"""Margin formulas, settings that depend on them, liquidation and funding."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.instrument import Bracket
from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.instruments import instrument_for
from holdfast.simulator.core.margin import liquidation_price, maintenance
from holdfast.simulator.core.model import (
    AccountEvent,
    AlgoStatus,
    ConfigEvent,
    CoreRefusal,
    Execution,
    ExpireReason,
    MarginCallEvent,
    OrderEvent,
    Refused,
    SimPosition,
)
from tests.simulator.core.build import (
    BAR,
    FOO,
    FUNDING_MS,
    ME,
    START_MS,
    Recorder,
    algo_of,
    buy,
    core,
    flat,
    go,
    held,
    line,
    position,
    protect,
    sell,
    stored,
)

D = Decimal
FUNDING_S = FUNDING_MS // 1000
BOTH = PositionSide.BOTH


def summary(world: Any) -> Any:
    return world.summary(world.view(ME))


def wallet(world: Any) -> Decimal:
    return world.view(ME).wallet  # type: ignore[no-any-return]


# --- formulas ----------------------------------------------------------------------------------------


def test_the_liquidation_price_is_the_real_exchanges() -> None:
    """binance.md §5, a real isolated position: quantity 0.009, entry 67445.9, wallet 25.72."""
    rules = instrument_for(Symbol.parse("BTCUSDT"), 67_445.9)
    held_ = SimPosition(
        symbol=Symbol.parse("BTCUSDT"), side=BOTH, quantity=D("0.009"), entry_price=D("67445.9")
    )
    price = liquidation_price(held_, D("25.72"), rules, D("67445.9"))
    assert abs(price - D("64846.99")) < 2


def test_maintenance_steps_through_the_brackets() -> None:
    rules = instrument_for(FOO, 100.0)
    rules.brackets = (
        Bracket(
            notional_floor=D(0),
            notional_cap=D(1000),
            leverage_max=20,
            maintenance_ratio=D("0.01"),
            maintenance_amount=D(0),
        ),
        Bracket(
            notional_floor=D(1000),
            notional_cap=D(5000),
            leverage_max=10,
            maintenance_ratio=D("0.05"),
            maintenance_amount=D(40),
        ),
    )
    assert [maintenance(rules, D(n)) for n in (0, 1000, 1001, 6000)] == [0, 10, D("10.05"), 260]


def test_a_summary_adds_up() -> None:
    """A long of 2 at 100.01 with leverage 20, and a bid for 1 more at 99."""
    world = core()
    buy(world, "2")
    buy(world, "1", price="99")
    figures = summary(world)
    assert figures.unrealized == D("-0.02")
    assert figures.position_initial_margin == 10
    assert figures.order_initial_margin == D("4.95")
    assert figures.maintenance_margin == D("2.00")
    assert figures.equity == wallet(world) - D("0.02")
    assert figures.available == figures.equity - D("14.95")
    (row,) = figures.positions
    assert (row.notional, row.bid_notional, row.ask_notional) == (200, 99, 0)
    assert (row.leverage, row.liquidation_price) == (20, 0)


def test_orders_against_the_position_bind_only_what_exceeds_it() -> None:
    """One-way: max(|pos + bids|, |pos − asks|)."""
    world = core()
    buy(world, "2")
    sell(world, "3", price="100.50")
    assert summary(world).order_initial_margin == 0
    sell(world, "2", price="100.50")
    assert summary(world).order_initial_margin == (abs(200 - 5 * D("100.50")) - 200) / 20


def test_the_liquidation_price_liquidates() -> None:
    """Just above it the position lives, at it it is closed."""
    world = core(flat(), wallet="100", leverage=20)
    buy(world, "15")
    price = summary(world).positions[0].liquidation_price
    assert 90 < price < 100
    world.move_price(FOO, (price + D("0.05")) / 100)
    go(world, 40)
    assert held(world) == 15
    world.move_price(FOO, (price - D("0.05")) / world.prices(FOO).last)
    go(world, 40)
    assert held(world) == 0


# --- liquidation -------------------------------------------------------------------------------------


def test_a_liquidation_ends_orders_and_tells_in_order() -> None:
    world = core(line(100, 90), wallet="100")
    buy(world, "15")
    resting, stop = buy(world, "1", price="80"), None
    with pytest.raises(CoreRefusal):
        protect(world, "101")
    stop = protect(world, "85")
    recorder = Recorder(world)
    go(world, 60)
    kinds = [type(event).__name__ for event in recorder.told]
    assert kinds[0] == "MarginCallEvent"
    assert stored(world, resting).expire_reason is ExpireReason.LIQUIDATION
    assert algo_of(world, stop).status is AlgoStatus.EXPIRED
    closed = [
        event.order
        for event in recorder.told
        if isinstance(event, OrderEvent) and event.execution is Execution.LIQUIDATION
    ]
    assert closed
    assert all(order.client_id.startswith("autoclose-") for order in closed)
    assert held(world) == 0
    assert wallet(world) >= 0
    assert world.truth(ME).liquidations == 1
    assert sum(isinstance(event, MarginCallEvent) for event in recorder.told) == 1


def test_a_gap_beyond_bankruptcy_is_cleared_by_insurance() -> None:
    """Price falls 30 % within seconds at leverage 20: the wallet ends at zero, not below."""
    world = core(wallet="100")
    buy(world, "15")
    recorder = Recorder(world)
    world.move_price(FOO, D("0.7"))
    go(world, 5)
    assert held(world) == 0
    assert wallet(world) == 0
    incomes = world.view(ME).incomes
    assert incomes[-1].type == "INSURANCE_CLEAR"
    assert sum(income.amount for income in incomes) == 0
    assert any(isinstance(e, AccountEvent) and e.reason == "INSURANCE_CLEAR" for e in recorder.told)
    assert isinstance(recorder.told[0], MarginCallEvent)


def test_cross_positions_are_liquidated_together() -> None:
    world = core(wallet="200", symbols=(FOO, BAR))
    buy(world, "15")
    buy(world, "10", symbol=BAR)
    world.move_price(FOO, D("0.87"))
    go(world, 20)
    assert (held(world), held(world, symbol=BAR)) == (0, 0)
    assert world.truth(ME).liquidations == 2
    assert wallet(world) >= 0


def test_an_isolated_position_dies_alone() -> None:
    """Isolated FOO loses its own margin; the cross short of BAR and the rest of the wallet stay."""
    world = core(symbols=(FOO, BAR))
    world.set_margin_mode(ME, FOO, MarginMode.ISOLATED)
    buy(world, "10")
    sell(world, "3", symbol=BAR)
    before = wallet(world)
    margin = summary(world).positions[0].isolated_wallet
    assert margin == D("50.00500000")
    world.move_price(FOO, D("0.8"))
    go(world, 10)
    assert (held(world), held(world, symbol=BAR)) == (0, -3)
    assert wallet(world) == before - margin


def test_auto_deleveraging_closes_at_mark_without_fee() -> None:
    world = core()
    buy(world, "2")
    protect(world)
    fees = sum(fill.fee for fill in world.view(ME).fills)
    world.adl(ME, FOO)
    last = world.view(ME).fills[-1]
    assert (last.client_id, last.price, last.fee) == ("adl_autoclose", D("100.00"), 0)
    assert held(world) == 0
    assert wallet(world) == D(10000) - fees + last.realized


# --- isolated margin ---------------------------------------------------------------------------------


def isolated() -> Any:
    world = core()
    world.set_margin_mode(ME, FOO, MarginMode.ISOLATED)
    buy(world, "10")
    return world


def test_isolated_margin_moves_in_and_out_with_fills() -> None:
    world = isolated()
    assert summary(world).cross_wallet == wallet(world) - D("50.005")
    sell(world, "4", reduce_only=True)
    found = position(world)
    assert found is not None
    assert found.isolated_wallet == D("30.00300000")
    sell(world, "6", reduce_only=True)
    assert summary(world).cross_wallet == wallet(world)


def test_isolated_margin_can_be_added_and_taken() -> None:
    world = isolated()
    before = summary(world).positions[0].liquidation_price
    assert world.change_isolated_margin(ME, FOO, BOTH, D(20)) == D("70.005")
    assert summary(world).positions[0].liquidation_price < before
    with pytest.raises(CoreRefusal, match="margin"):
        world.change_isolated_margin(ME, FOO, BOTH, D(-21))
    assert world.change_isolated_margin(ME, FOO, BOTH, D(-19)) == D("51.005")
    with pytest.raises(CoreRefusal, match="margin"):
        world.change_isolated_margin(ME, FOO, BOTH, D(20_000))


# --- settings ----------------------------------------------------------------------------------------


def why(call: Any, *args: Any) -> Refused:
    with pytest.raises(CoreRefusal) as caught:
        call(*args)
    return caught.value.why


def test_leverage_is_set_told_and_bounded() -> None:
    world = core()
    recorder = Recorder(world)
    assert world.set_leverage(ME, FOO, 50) == 10_000
    (told,) = recorder.told
    assert isinstance(told, ConfigEvent)
    assert (told.symbol, told.leverage) == (FOO, 50)
    assert why(world.set_leverage, ME, FOO, 0) is Refused.LEVERAGE_INVALID
    assert why(world.set_leverage, ME, FOO, 76) is Refused.LEVERAGE_INVALID


def test_leverage_changes_are_refused_where_they_would_harm() -> None:
    world = core(wallet="1000")
    buy(world, "150")
    assert why(world.set_leverage, ME, FOO, 75) is Refused.BRACKET
    assert why(world.set_leverage, ME, FOO, 5) is Refused.MARGIN
    assert why(isolated().set_leverage, ME, FOO, 10) is Refused.LEVERAGE_ISOLATED_DOWN


def test_modes_change_only_when_nothing_stands() -> None:
    world = core()
    assert why(world.set_margin_mode, ME, FOO, MarginMode.CROSS) is Refused.MARGIN_MODE_SAME
    assert why(world.set_position_mode, ME, PositionMode.ONE_WAY) is Refused.POSITION_MODE_SAME
    buy(world, price="99")
    assert why(world.set_margin_mode, ME, FOO, MarginMode.ISOLATED) is Refused.MARGIN_MODE_OPEN_ORDERS
    assert why(world.set_position_mode, ME, PositionMode.HEDGE) is Refused.POSITION_MODE_OPEN_ORDERS
    world.cancel_all_orders(ME, FOO)
    buy(world)
    assert why(world.set_margin_mode, ME, FOO, MarginMode.ISOLATED) is Refused.MARGIN_MODE_POSITION
    assert why(world.set_position_mode, ME, PositionMode.HEDGE) is Refused.POSITION_MODE_POSITION


def test_money_comes_and_goes_as_far_as_it_is_free() -> None:
    world = core(wallet="100")
    recorder = Recorder(world)
    world.transfer(ME, D(50))
    buy(world, "20")
    assert why(world.transfer, ME, D(-60)) is Refused.MARGIN
    world.transfer(ME, D(-40))
    told = [e.wallet_change for e in recorder.told if isinstance(e, AccountEvent) and e.reason != "ORDER"]
    assert told == [50, -40]


# --- funding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, -1), (Side.SELL, 1)])
def test_with_a_positive_rate_longs_pay_shorts(side: Side, sign: int) -> None:
    world = core()
    assert world.funding(FOO) == (D("0.0001"), START_MS + FUNDING_MS)
    (buy if side is Side.BUY else sell)(world, "10")
    before = wallet(world)
    recorder = Recorder(world)
    go(world, FUNDING_S - 1)
    assert wallet(world) == before
    go(world, 1)
    assert wallet(world) == before + sign * D("0.1")
    (told,) = recorder.told
    assert isinstance(told, AccountEvent)
    assert (told.reason, told.positions, told.symbol) == ("FUNDING_FEE", (), FOO)
    assert world.funding_history(FOO) == ((START_MS + FUNDING_MS, D("0.0001"), D("100.00")),)
    assert world.funding(FOO)[1] == START_MS + 2 * FUNDING_MS


def test_an_isolated_position_pays_funding_itself() -> None:
    world = isolated()
    recorder = Recorder(world)
    go(world, FUNDING_S)
    (told,) = recorder.told
    assert isinstance(told, AccountEvent)
    assert told.positions[0].isolated_wallet == D("50.00500000") - D("0.1")


def test_margin_recovers_and_is_called_again() -> None:
    """Told once per fall, not once per second."""
    world = core(wallet="100")
    buy(world, "15")
    recorder = Recorder(world)
    for _ in range(2):
        world.move_price(FOO, D("0.945"))
        go(world, 30)
        world.move_price(FOO, 1 / D("0.945"))
        go(world, 30)
    assert held(world) == 15
    assert sum(isinstance(event, MarginCallEvent) for event in recorder.told) == 2


def test_a_thin_isolated_position_is_called_too() -> None:
    world = isolated()
    recorder = Recorder(world)
    world.move_price(FOO, D("0.9615"))
    go(world, 30)
    (told,) = recorder.told
    assert isinstance(told, MarginCallEvent)
    assert [one.symbol for one in told.positions] == [FOO]
    assert held(world) == 10


def test_changed_modes_are_told_and_kept() -> None:
    world = core()
    recorder = Recorder(world)
    world.set_position_mode(ME, PositionMode.HEDGE)
    world.set_margin_mode(ME, FOO, MarginMode.ISOLATED)
    assert world.set_multi_assets(ME, on=True)
    assert not world.set_multi_assets(ME, on=True)
    mode, margin, assets = recorder.told
    assert isinstance(mode, ConfigEvent)
    assert isinstance(margin, AccountEvent)
    assert isinstance(assets, ConfigEvent)
    assert (mode.position_mode, margin.reason) == (PositionMode.HEDGE, "MARGIN_TYPE_CHANGE")
    assert assets.multi_assets
    view = world.view(ME)
    assert (view.position_mode, view.margin_mode) == (PositionMode.HEDGE, {FOO: MarginMode.ISOLATED})


def test_margin_moves_only_in_isolated_positions() -> None:
    world = core()
    assert why(world.change_isolated_margin, ME, FOO, BOTH, D(1)) is Refused.MARGIN_MODE_POSITION
    buy(world)
    assert why(world.change_isolated_margin, ME, FOO, BOTH, D(1)) is Refused.MARGIN_MODE_SAME
