"""The exchange's own truth: what was naked and for how long, and what was done how often."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.orders import PositionSide, Side
from holdfast.simulator.core.model import AlgoType, CoreRefusal
from tests.simulator.core.build import FOO, ME, buy, core, flat, go, line, protect, sell

D = Decimal
BOTH = PositionSide.BOTH


def naked(world: Any) -> bool:
    return bool(world.truth(ME).unprotected_now)


def test_naked_time_runs_from_fill_to_stop() -> None:
    world = core()
    buy(world)
    go(world, 0.25)
    truth = world.truth(ME)
    assert (truth.unprotected_now, truth.naked_seconds_total) == (((FOO, BOTH),), D("0.25"))
    protect(world)
    go(world, 60)
    truth = world.truth(ME)
    assert (truth.unprotected_now, truth.naked_seconds_total) == ((), D("0.25"))
    (one,) = truth.positions
    assert (one.covered, one.naked_ms_max, one.stops_live, len(one.naked_spans)) == (True, 250, 1, 1)


def test_spans_add_up_over_positions() -> None:
    world = core()
    for seconds in (1, 3):
        buy(world)
        go(world, seconds)
        made = protect(world)
        go(world, 5)
        world.cancel_algo(ME, algo_id=made.algo_id)
        go(world, 1)
        sell(world)
        go(world, 1)
    truth = world.truth(ME)
    assert (truth.naked_seconds_total, truth.naked_seconds_max) == (6, 3)
    assert [one.naked_ms_total for one in truth.past_positions] == [2000, 4000]
    assert [one.closed_ms for one in truth.past_positions] != [None, None]
    assert (truth.entries, truth.exits, truth.positions) == (2, 2, ())


def test_a_tolerance_forgives_short_spans() -> None:
    world = core(naked_tolerance_ms=500)
    buy(world)
    go(world, 0.5)
    protect(world)
    assert world.truth(ME).naked_seconds_total == 0


@pytest.mark.parametrize(
    ("trigger", "changes"),
    [
        ("95", {"quantity": "1.99"}),
        ("95", {"quantity": "2", "reduce_only": False}),
        ("105", {"type": AlgoType.TAKE_PROFIT_MARKET}),
        ("95", {"type": AlgoType.STOP, "price": D("94"), "quantity": "2"}),
        ("105", {"side": Side.BUY, "quantity": "2"}),
        (
            "95",
            {"type": AlgoType.TRAILING_STOP_MARKET, "callback_rate": D(1), "quantity": "2"},
        ),
    ],
)
def test_what_does_not_cover_leaves_it_naked(trigger: str, changes: Any) -> None:
    """Too small, not reduce-only, a profit, a limit, the wrong side, a trailing one."""
    world = core()
    buy(world, "2")
    protect(world, trigger, **changes)
    assert naked(world)


@pytest.mark.parametrize("changes", [{}, {"quantity": "2"}, {"quantity": "5"}])
def test_a_covering_stop_covers_longs_and_shorts(changes: Any) -> None:
    world = core()
    buy(world, "2")
    protect(world, "95", **changes)
    assert not naked(world)
    world = core()
    sell(world, "2")
    protect(world, "105", side=Side.BUY, **changes)
    assert not naked(world)


def test_a_stop_beyond_liquidation_covers_nothing() -> None:
    world = core(wallet="100")
    buy(world, "15")
    price = world.summary(world.view(ME)).positions[0].liquidation_price
    far = protect(world, str(round(price - D("0.2"), 2)))
    assert naked(world)
    world.cancel_algo(ME, algo_id=far.algo_id)
    protect(world, str(round(price + D("0.2"), 2)))
    assert not naked(world)


def test_growing_beyond_the_stop_uncovers() -> None:
    world = core()
    buy(world, "2")
    protect(world, quantity="2")
    go(world, 1)
    buy(world, "0.5")
    assert naked(world)
    sell(world, "0.5", reduce_only=True)
    assert not naked(world)


def test_a_firing_stop_leaves_no_naked_moment() -> None:
    world = core(line(100, 90))
    buy(world)
    protect(world, "95")
    go(world, 60)
    truth = world.truth(ME)
    assert (truth.naked_seconds_total, truth.positions) == (0, ())


def test_a_flip_is_an_exit_an_entry_and_a_new_position() -> None:
    world = core()
    buy(world)
    protect(world)
    go(world, 5)
    sell(world, "3")
    go(world, 2)
    truth = world.truth(ME)
    assert (truth.entries, truth.exits, len(truth.past_positions)) == (2, 1, 1)
    assert truth.naked_seconds_total == 2


def test_an_order_counts_once_however_often_it_fills() -> None:
    world = core(flat(volume=60), wallet="1000000", leverage=1)
    buy(world, "20")
    assert world.truth(ME).fills > 3
    assert world.truth(ME).entries == 1


def test_refusals_are_counted_by_reason() -> None:
    world = core()
    for _ in range(2):
        with pytest.raises(CoreRefusal):
            sell(world, reduce_only=True)
    with pytest.raises(CoreRefusal):
        buy(world, "1000000")
    assert world.truth(ME).refused == {"quantity_max": 1, "reduce_only": 2}


def test_a_hand_may_close_open_and_cancel() -> None:
    world = core()
    assert world.close_by_hand(ME, FOO) is None
    world.open_by_hand(ME, FOO, Side.BUY, D(4))
    protect(world)
    part = world.close_by_hand(ME, FOO, share=D("0.25"))
    assert part is not None
    assert (part.filled, part.client_id[:4]) == (1, "web_")
    assert world.cancel_stops_by_hand(ME, FOO) == 1
    assert naked(world)
    whole = world.close_by_hand(ME, FOO)
    assert whole is not None
    assert (whole.filled, world.truth(ME).positions) == (3, ())
