from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.domain.account import Fact, MarginMode, Position, PositionKey, PositionMode
from holdfast.domain.invariant import InvariantViolation, require
from holdfast.domain.orders import Direction, PositionSide
from tests.decisions.examples import BTC, NOW_MS, D

POSITION = Position(
    symbol=BTC,
    side=PositionSide.BOTH,
    quantity=D("-0.1"),
    entry_price=D(50_000),
    mark_price=D(49_000),
    unrealized_pnl=D(100),
    liquidation_price=D(65_000),
    leverage=5,
    margin_mode=MarginMode.CROSS,
    updated_ms=NOW_MS,
)


def test_a_short_position_is_counted_unsigned() -> None:
    assert POSITION.direction is Direction.SHORT
    assert POSITION.notional == D(4_900)


def test_a_side_of_hedge_mode_has_a_name_of_its_own() -> None:
    assert POSITION.key.name == "BTC/USDT:USDT"
    assert [PositionKey(BTC, side).name for side in (PositionSide.LONG, PositionSide.SHORT)] == [
        "BTC/USDT:USDT long",
        "BTC/USDT:USDT short",
    ]


def test_an_entry_opens_its_side_in_hedge_mode_only() -> None:
    assert [PositionMode.HEDGE.side_of(each) for each in Direction] == [PositionSide.LONG, PositionSide.SHORT]
    assert {PositionMode.ONE_WAY.side_of(each) for each in Direction} == {PositionSide.BOTH}


def test_roe_is_pnl_on_initial_margin() -> None:
    """100 on a margin of 4,900 ÷ 5 = 980."""
    assert round(POSITION.roe, 4) == D("0.1020")


def test_roe_is_zero_while_leverage_or_size_is_unknown() -> None:
    assert replace(POSITION, leverage=0).roe == 0
    assert replace(POSITION, quantity=D(0)).roe == 0


def test_age_counts_from_the_question_not_the_answer() -> None:
    assert Fact((), asked_ms=1_000, answered_ms=4_000).age_ms(5_000) == 4_000


def test_require_raises_what_nobody_else_raises() -> None:
    require(condition=True, message="fine")
    with pytest.raises(InvariantViolation, match="said why"):
        require(condition=False, message="said why")
