"""What the core shows: views with lag, candles, depth, tape, prices, time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import DAY_MS, MINUTE_MS, Bar
from holdfast.simulator.core.engine import Core, CoreConfig
from holdfast.simulator.core.model import CoreRefusal, PriceEvent, Status, TradeEvent
from tests.simulator.core.build import (
    FOO,
    ME,
    START_MS,
    Recorder,
    WrittenMarket,
    buy,
    core,
    flat,
    go,
    held,
    line,
    protect,
    sell,
)

D = Decimal


def test_a_view_lags_as_far_as_asked() -> None:
    world = core()
    go(world, 5)
    buy(world, "2")
    go(world, 0.3)
    order = buy(world, price="99")
    go(world, 0.2)
    world.cancel_order(ME, FOO, order_id=order.order_id)
    now, before, long_before = (world.view(ME, lag) for lag in (0, 200, 501))
    assert now.orders[order.order_id].status is Status.CANCELED
    assert before.orders[order.order_id].status is Status.NEW
    assert (before.live_orders, now.live_orders) == ((order.order_id,), ())
    assert long_before.orders == {}
    assert (long_before.wallet, long_before.fills) == (10000, [])


def test_a_view_never_changes_afterwards() -> None:
    world = core()
    buy(world, "2")
    kept = world.view(ME)
    told = (repr(kept), dict(kept.orders), list(kept.fills))
    protect(world)
    sell(world, "1")
    go(world, 3)
    assert (repr(kept), dict(kept.orders), list(kept.fills)) == told


def test_two_seconds_of_versions_are_kept() -> None:
    world = core()
    for _ in range(40):
        buy(world, "1")
        go(world, 0.1)
    assert len(world.view(ME, 1950).fills) == 21
    assert len(world.view(ME, 60_000).fills) <= 22


def test_accounts_are_found_by_their_key() -> None:
    world = core()
    other = world.open_account("other", "key2", "secret2", D(5))
    assert world.accounts() == (ME, "other")
    found = world.account_by_key("key2")
    assert found is not None
    assert (found.account_id, found.secret, found.wallet) == ("other", "secret2", other.wallet)
    assert world.account_by_key("none") is None
    for account_id, key in ((ME, "new"), ("new", "key")):
        with pytest.raises(ValueError, match="expected a new account id and API key"):
            world.open_account(account_id, key, "s")


def test_accounts_do_not_touch_each_other() -> None:
    world = core()
    world.open_account("other", "key2", "secret2")
    buy(world, "5")
    assert world.view("other").wallet == 10000
    assert held(world) == 5
    assert world.truth("other").fills == 0


def test_candles_join_history_and_the_open_one() -> None:
    world = core(line(100, 103), line(103, 99))
    go(world, 90)
    candles = world.candles(FOO, MINUTE_MS)
    assert [candle.open_ms for candle in candles] == [START_MS + i * MINUTE_MS for i in range(-3, 2)]
    assert [candle.closed for candle in candles] == [True] * 4 + [False]
    first = candles[3]
    assert (first.open, first.high, first.low, first.close) == (100, 103, 100, 103)
    growing = candles[4]
    assert growing.open == 103
    assert 100 < growing.close < 103
    assert abs(growing.volume - 30_000 * D(31) / 30) < 1


@pytest.mark.parametrize(
    ("query", "opens"),
    [
        ({"limit": 2}, [0, 1]),
        ({"start_ms": -2, "limit": 2}, [-2, -1]),
        ({"start_ms": -9, "end_ms": -2}, [-3, -2]),
        ({"end_ms": -1, "limit": 1}, [-1]),
        ({"start_ms": 7}, []),
        ({"end_ms": -9}, []),
    ],
)
def test_candles_are_selected_by_time_and_count(query: dict[str, int], opens: list[int]) -> None:
    """Minutes from the start, -3 to 1."""
    world = core()
    go(world, 60)
    for name in ("start_ms", "end_ms"):
        if name in query:
            query[name] = START_MS + query[name] * MINUTE_MS
    told = [(candle.open_ms - START_MS) // MINUTE_MS for candle in world.candles(FOO, MINUTE_MS, **query)]
    assert told == opens


def test_longer_candles_are_whole_and_aligned() -> None:
    """Twelve minutes of history: two whole 5m candles lie before the start."""
    bars = [Bar(100, 101 + i, 99 - i, 100 + i, 60.0) for i in range(10)]
    world = Core(WrittenMarket(bars, history=12), CoreConfig())
    world.advance(START_MS + 7 * MINUTE_MS)
    candles = world.candles(FOO, 5 * MINUTE_MS)
    assert [candle.open_ms - START_MS for candle in candles] == [-600_000, -300_000, 0, 300_000]
    whole = candles[2]
    assert (whole.open, whole.high, whole.low, whole.close) == (100, 105, 95, 104)
    assert (whole.volume, whole.closed, candles[3].closed) == (300, True, False)
    assert world.candles(FOO, 5 * MINUTE_MS)[2] is whole


def test_weeks_begin_on_monday() -> None:
    world = Core(WrittenMarket([flat()], history=10 * 1440), CoreConfig())
    (week,) = world.candles(FOO, 7 * DAY_MS, limit=1)
    assert week.open_ms == 1_746_403_200_000  # Monday 2025-05-05


def test_mark_candles_are_smoother_than_last() -> None:
    world = core(line(100, 110), line(110, 100))
    go(world, 119)
    last, mark = (world.candles(FOO, MINUTE_MS, limit=2, source=one)[1] for one in ("last", "mark"))
    assert mark.high < last.high
    assert mark.volume == 0


def test_the_mark_follows_a_jump_within_seconds() -> None:
    world = core()
    world.move_price(FOO, D("0.9"))
    go(world, 1)
    first = world.prices(FOO)
    assert (first.last, first.mark) == (90, 97)
    go(world, 9)
    assert abs(world.prices(FOO).mark - 90) < D("0.4")


def test_a_move_may_take_its_time() -> None:
    world = core()
    world.move_price(FOO, D("1.1"), seconds=10)
    go(world, 5)
    assert abs(world.prices(FOO).last - D("104.88")) <= D("0.01")
    go(world, 30)
    assert world.prices(FOO).last == 110


def test_depth_shows_what_a_taker_would_get() -> None:
    world = core(wallet="1000000", leverage=1)
    bids, asks = world.depth(FOO, 3)
    assert asks == ((D("100.01"), 250), (D("100.02"), 500), (D("100.03"), 750))
    assert bids == ((D("100.00"), 250), (D("99.99"), 500), (D("99.98"), 750))
    buy(world, "300")
    assert world.depth(FOO, 1)[1] == ((D("100.02"), 450),)


def test_every_second_has_its_price_and_print() -> None:
    world = core(line(100, 99))
    go(world, 1)
    recorder = Recorder(world)
    go(world, 3.5)
    prices = [event for event in recorder.market if isinstance(event, PriceEvent)]
    prints = [event for event in recorder.market if isinstance(event, TradeEvent)]
    assert [event.at_ms - START_MS for event in prices] == [2000, 3000, 4000]
    assert all(event.bid <= event.last <= event.ask for event in prices)
    assert [(event.quantity, event.buyer_is_maker) for event in prints] == [(1000, True)] * 3
    assert world.tape(FOO, 2) == tuple(prints[-2:])


def test_less_than_a_step_waits_for_the_tape() -> None:
    world = core(flat(volume=0.3))
    recorder = Recorder(world)
    go(world, 60)
    prints = [event for event in recorder.market if isinstance(event, TradeEvent)]
    assert 28 <= len(prints) <= 30
    assert all(event.quantity == D("0.01") for event in prints)


def test_an_unknown_symbol_is_refused_everywhere() -> None:
    world, none = core(), Symbol.parse("NONEUSDT")
    for read in (world.prices, world.instrument, world.funding, world.tape, world.funding_history):
        with pytest.raises(CoreRefusal, match="unknown_symbol"):
            read(none)


def test_time_never_runs_backwards() -> None:
    world = core()
    go(world, 10)
    world.advance(START_MS)
    assert world.now_ms == START_MS + 10_000
    assert world.next_ms() == START_MS + 11_000
