"""S4: an entry that breaks a limit at the exchange, counting what is unknown as filled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.intents import Purpose
from holdfast.domain.orders import OrderState, Side
from holdfast.drills.checkers.bounds import Bounds, bounds_of
from holdfast.drills.spec import base_settings
from tests.drills.checkers.court import Court, court
from tests.simulator.core.build import FOO, ME, flat, line

D = Decimal


def bounds(**limits: Any) -> Bounds:
    usual = bounds_of(base_settings((FOO,)))
    return replace(usual, limits=replace(usual.limits, **limits))


def found(sitting: Court) -> list[str]:
    return [violation.text for violation in sitting.violations if violation.checker == "S4"]


def test_an_entry_within_every_limit_is_silent() -> None:
    """Half of 10 000 may be one order: 49 at 100 are less."""
    sitting = court()
    sitting.enter("49")
    assert found(sitting) == []


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"order_notional_max_ratio": D("0.09")}, "order notional"),
        ({"position_notional_max_ratio": D("0.09")}, "position notional"),
        ({"gross_exposure_max_ratio": D("0.09")}, "gross exposure"),
        ({"max_positions": 0}, "positions"),
        ({"daily_trades_max": 0}, "entries today"),
        ({"leverage_max": 2}, "leverage"),
    ],
)
def test_one_broken_limit_is_named(limits: dict[str, Any], named: str) -> None:
    """Ten at 100 are 1 000 of 10 000; each row forbids exactly that in one way."""
    sitting = court(bounds=bounds(**limits))
    sitting.core.set_leverage(ME, FOO, 3)
    sitting.go(60)
    sitting.enter("10")
    assert [text.split(" on ")[2].split(":")[0] for text in found(sitting)] == [named]


def test_an_entry_of_unknown_outcome_counts_as_filled() -> None:
    sitting = court(bounds=bounds(gross_exposure_max_ratio=D("0.15")))
    sitting.write(sitting.name("in"), Purpose.ENTER, Side.BUY, "10")
    sitting.settle("hf-1-in-1aaaaa", OrderState.UNKNOWN)
    sitting.enter("10")
    assert len(found(sitting)) == 1


def test_an_unknown_entry_that_filled_is_not_counted_twice() -> None:
    sitting = court(bounds=bounds(gross_exposure_max_ratio=D("0.25")))
    name = sitting.name("in")
    sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.send(name, Side.BUY, "10")
    sitting.settle(name, OrderState.UNKNOWN)
    sitting.enter("10")
    assert found(sitting) == []


def test_equity_may_be_as_old_as_the_bot_may_know_it() -> None:
    """A loss that the bot need not know of yet does not make its entry too large; an old one does."""
    for seconds, expected in ((10, 0), (120, 1)):
        sitting = court(flat(), line(100, 60), flat(60), bounds=bounds(balance_age_ms_max=30_000))
        sitting.core.open_by_hand(ME, FOO, Side.BUY, D(200))
        sitting.go(118)
        sitting.core.close_by_hand(ME, FOO)
        sitting.go(seconds)
        quantity = sitting.core.view(ME).wallet * D("0.505") / 60
        sitting.enter(f"{quantity:.2f}")
        assert len(found(sitting)) >= expected, seconds
        if not expected:
            assert found(sitting) == []


def test_a_position_that_a_stranger_just_opened_is_not_held_against_an_entry() -> None:
    sitting = court(bounds=bounds(gross_exposure_max_ratio=D("0.15")))
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(10))
    sitting.enter("10")
    assert found(sitting) == []


def test_a_position_that_a_stranger_opened_long_ago_counts() -> None:
    sitting = court(bounds=bounds(gross_exposure_max_ratio=D("0.15")))
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(10))
    sitting.go(90)
    sitting.enter("10")
    assert len(found(sitting)) == 1


def test_a_limit_passed_by_the_market_alone_is_no_entry() -> None:
    sitting = court(flat(), line(100, 180), bounds=bounds(position_notional_max_ratio=D("0.15")))
    sitting.enter("10")
    sitting.go(118)
    assert found(sitting) == []
