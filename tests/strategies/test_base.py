from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.strategies.base import Idea, OwnPosition, entry, joined_score, leave, trail
from tests.strategies.markets import BTC, START_MS

IDEA = Idea(
    symbol=BTC,
    direction=Direction.LONG,
    price=100.1,
    score=0.71234,
    stop_price=99.0,
    take_profit=None,
    volatility=0.001,
    market_condition=0.4,
    reason="test",
)
LONG = OwnPosition(symbol=BTC, direction=Direction.LONG, entry_price=100.0, stop_price=99.0, bars_held=3)


def test_floats_end_at_the_signal() -> None:
    signal = entry("s", IDEA, START_MS)
    assert signal is not None
    assert (signal.price, signal.score, signal.stop_price) == (
        Decimal("100.1"),
        Decimal("0.7123"),
        Decimal(99),
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"price": math.nan},
        {"price": math.inf, "stop_price": 1.0},
        {"price": -1.0, "stop_price": -2.0},
        {"score": math.nan},
        {"stop_price": 100.2},
        {"stop_price": 0.0},
        {"stop_price": math.nan},
        {"direction": Direction.SHORT},
        {"volatility": 0.0},
        {"volatility": 0.3},
        {"volatility": math.nan},
        {"market_condition": math.inf},
        {"take_profit": 99.0},
        {"take_profit": math.inf},
        {"direction": Direction.SHORT, "stop_price": 101.0, "take_profit": -1.0},
    ],
)
def test_an_absurd_number_makes_no_signal(changes: dict[str, Any]) -> None:
    assert entry("s", replace(IDEA, **changes), START_MS) is None


def test_a_nonsense_price_cannot_be_left_at() -> None:
    assert leave("s", LONG, price=math.nan, reason="", now_ms=START_MS) is None
    signal = leave("s", LONG, price=101.0, reason="over", now_ms=START_MS)
    assert isinstance(signal, Signal)
    assert (signal.action, signal.direction) == (Action.EXIT, Direction.LONG)


floats = st.floats(allow_nan=True, allow_infinity=True)


@given(price=floats, distance=floats, step=floats, stop=st.none() | st.floats(1e-3, 1e6), long=st.booleans())
def test_no_number_makes_trailing_loosen_or_fail(price, distance, step, stop, long) -> None:
    direction = Direction.LONG if long else Direction.SHORT
    position = replace(LONG, direction=direction, stop_price=stop)
    signal = trail("s", position, price=price, distance=distance, step=step, now_ms=START_MS)
    if signal is None:
        return
    assert signal.stop_price is not None
    assert signal.stop_price > 0
    if stop is not None:
        assert (signal.stop_price - Decimal(stop)) * direction.sign > 0


def test_a_move_smaller_than_its_step_is_not_worth_a_request() -> None:
    given_ = {"price": 101.0, "now_ms": START_MS}
    assert trail("s", LONG, distance=1.9, step=0.2, **given_) is None
    assert trail("s", LONG, distance=1.7, step=0.2, **given_) is not None


@given(st.floats(0, 1), st.integers(1, 30), st.integers(1, 30))
def test_a_score_is_in_range_and_falls_with_age(merit: float, age: int, fresh: int) -> None:
    age = min(age, fresh)
    score = joined_score(merit, age, fresh)
    assert 0 <= score <= 1
    assert joined_score(merit, age + 1, fresh) < score
