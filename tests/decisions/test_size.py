from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from holdfast.decisions.gate import Approved, Refusal, gate
from holdfast.decisions.size import NotSized, Sized, SizeFacts, SizePolicy, minimum_notional, size
from holdfast.decisions.stop_price import estimated_liquidation, safer_stop, stop_fault
from holdfast.domain.orders import Direction, Side
from tests.decisions.examples import (
    INSTRUMENT,
    LIMITS,
    NOW_MS,
    D,
    context,
    funds,
    intent,
    journaled,
    mark,
    quote,
    room,
)

POLICY = SizePolicy(risk_per_trade_ratio=D("0.01"))


def facts(**changes: Any) -> SizeFacts:
    """10,000 of equity, long at 50,000 with a stop 5 % below, at leverage 3."""
    base = SizeFacts(
        instrument=INSTRUMENT,
        direction=Direction.LONG,
        price=D(50_000),
        stop_price=D(47_500),
        equity=D(10_000),
        available=D(10_000),
        leverage=3,
    )
    return replace(base, **changes)


def test_one_percent_at_risk_over_stop_distance() -> None:
    """1 % of 10,000 = 100 lost over 2,500 a coin = 0.04 coins."""
    result = size(facts(), LIMITS, POLICY)
    assert isinstance(result, Sized)
    assert (result.quantity, result.notional, result.risk) == (D("0.040"), D(2_000), D(100))
    assert result.margin == D(2_000) / 3 + D(2_000) * LIMITS.margin_buffer_ratio
    assert result.bound_by == "risk_per_trade_ratio"


@pytest.mark.parametrize(
    ("changes", "bound_by"),
    [
        ({"stop_price": D(49_500)}, "order_notional_max_ratio"),
        ({"available": D(300)}, "available margin"),
        ({"pending_notional": D(29_000)}, "available margin"),
        ({"symbol_notional": D(4_000)}, "position_notional_max_ratio"),
        ({"gross_notional": D(9_000)}, "gross_exposure_max_ratio"),
        ({"instrument": replace(INSTRUMENT, market_quantity_max=D("0.01"))}, "largest order of the exchange"),
    ],
)
def test_each_cap_binds_where_it_is_lowest(changes: dict[str, Any], bound_by: str) -> None:
    result = size(facts(**changes), LIMITS, POLICY)
    assert isinstance(result, Sized)
    assert result.bound_by == bound_by
    assert result.notional < 2_500


def test_leverage_bracket_caps_the_position() -> None:
    limits = replace(LIMITS, leverage_max=125)
    rich = facts(equity=D(4_000_000), available=D(4_000_000), leverage=110, stop_price=D(49_870))
    result = size(rich, limits, POLICY)
    assert isinstance(result, Sized)
    assert result.bound_by == "leverage bracket"
    assert result.notional <= 300_000


def test_too_small_an_account_is_told_what_would_help() -> None:
    """R5.6: below minimum notional is known beforehand and explained with its remedy."""
    result = size(facts(equity=D(100), available=D(100)), LIMITS, POLICY)
    assert isinstance(result, NotSized)
    assert result.reason is Refusal.QUANTITY_BELOW_MIN
    assert "takes orders from 150" in result.explanation
    assert "risk_per_trade_ratio allows 20" in result.explanation
    assert "hold about 750 of equity" in result.explanation


def test_following_the_remedy_makes_it_sizable() -> None:
    """The equity that the refusal asks for is enough."""
    poor = facts(equity=D(740), available=D(740), stop_price=D(47_500))
    assert isinstance(size(poor, LIMITS, POLICY), NotSized)
    helped = replace(poor, equity=D(750), available=D(750))
    assert isinstance(size(helped, LIMITS, POLICY), Sized)


def test_between_minimum_quantity_and_notional_is_a_notional_matter() -> None:
    result = size(facts(equity=D(300), available=D(300)), LIMITS, POLICY)
    assert isinstance(result, NotSized)
    assert result.reason is Refusal.NOTIONAL_BELOW_MIN


def test_minimum_keeps_room_for_a_drifting_mark() -> None:
    """0.002 × 50,000 = 100 is the minimum exactly: a tick down and the exchange would refuse (-4164)."""
    assert minimum_notional(INSTRUMENT, D(50_000), POLICY) == D(150)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"available": D(30)}, Refusal.MARGIN),
        ({"available": D(0)}, Refusal.MARGIN),
        ({"equity": D(-5)}, Refusal.MARGIN),
        ({"gross_notional": D(9_990)}, Refusal.EXPOSURE_TOO_LARGE),
        ({"symbol_notional": D(6_000)}, Refusal.POSITION_TOO_LARGE),
        ({"leverage": 0}, Refusal.LEVERAGE),
        ({"leverage": 6}, Refusal.LEVERAGE),
        ({"price": D("NaN")}, Refusal.MARK_INSANE),
        ({"price": D(0)}, Refusal.MARK_INSANE),
        ({"stop_price": D(50_001)}, Refusal.STOP_INSANE),
        ({"stop_price": D(49_990)}, Refusal.STOP_INSANE),
        ({"stop_price": D(30_000)}, Refusal.STOP_INSANE),
        ({"direction": Direction.SHORT}, Refusal.STOP_INSANE),
    ],
)
def test_each_refusal_has_its_reason_and_words(changes: dict[str, Any], reason: Refusal) -> None:
    result = size(facts(**changes), LIMITS, POLICY)
    assert isinstance(result, NotSized)
    assert result.reason is reason
    assert len(result.explanation.split()) > 4


def test_missing_stop_takes_the_policy_distance() -> None:
    result = size(facts(stop_price=None), LIMITS, replace(POLICY, default_stop_ratio=D("0.03")))
    assert isinstance(result, Sized)
    assert result.stop_price == D(48_500)


@pytest.mark.parametrize(
    ("direction", "stop", "rounded"),
    [(Direction.LONG, "47500.03", "47500.1"), (Direction.SHORT, "52500.07", "52500.0")],
)
def test_stop_rounds_towards_the_market(direction: Direction, stop: str, rounded: str) -> None:
    assert safer_stop(INSTRUMENT, direction, D(stop)) == D(rounded)


@pytest.mark.parametrize(("direction", "expected"), [(Direction.LONG, 45_181), (Direction.SHORT, 54_781)])
def test_liquidation_is_estimated_from_margin_and_maintenance(direction: Direction, expected: int) -> None:
    """50,000 × (1 ∓ 1/10) ÷ (1 ∓ 0.004): the sheet's formula for an isolated position."""
    assert round(estimated_liquidation(INSTRUMENT, direction, D(50_000), 10, D(1_000))) == expected


def test_stop_behind_liquidation_is_said_with_numbers() -> None:
    words = stop_fault(
        INSTRUMENT,
        Direction.LONG,
        price=D(50_000),
        stop_price=D(45_500),
        distance_min_ratio=D("0.001"),
        distance_max_ratio=D("0.5"),
        leverage=10,
    )
    assert "not safely nearer than liquidation, about 45180" in words


@given(
    direction=st.sampled_from(Direction),
    price=st.decimals("20000", "80000", places=1),
    distance=st.decimals("0.001", "0.11", places=4),
    equity=st.decimals("200", "3000000", places=2),
    available_ratio=st.decimals("0.01", "1", places=2),
    leverage=st.integers(1, 5),
    gross_ratio=st.decimals("0", "1.1", places=2),
    risk=st.decimals("0.005", "0.02", places=3),
)
def test_a_size_breaks_no_limit_and_passes_the_gate(
    direction, price, distance, equity, available_ratio, leverage, gross_ratio, risk
) -> None:
    """What sizing grants, the gate approves; and the stop never costs more than the risk asked for."""
    available, gross = equity * available_ratio, equity * gross_ratio
    asked = facts(
        direction=direction,
        price=price,
        stop_price=price * (1 - direction.sign * distance),
        equity=equity,
        available=available,
        leverage=leverage,
        gross_notional=gross,
    )
    result = size(asked, LIMITS, replace(POLICY, risk_per_trade_ratio=risk))
    event(type(result).__name__)
    if isinstance(result, NotSized):
        assert result.explanation
        return
    assert result.quantity % INSTRUMENT.quantity_step == 0
    assert result.risk <= equity * risk
    assert result.margin <= available
    side = Side.BUY if direction is Direction.LONG else Side.SELL
    verdict = gate(
        journaled(intent(side=side, quantity=result.quantity, stop_price=result.stop_price)),
        context=context(
            mark=mark(price),
            quote=quote(price),
            reference_price=price,
            balance=funds(equity=equity, available=available),
            leverage=leverage,
            room=room(gross_notional=gross),
        ),
        limits=LIMITS,
        now_ms=NOW_MS,
    )
    assert isinstance(verdict, Approved)


def test_the_worst_explanation_is_still_a_sentence() -> None:
    """Numbers far from any sense do not break the words."""
    result = size(facts(equity=Decimal("0.000001"), available=Decimal("0.000001")), LIMITS, POLICY)
    assert isinstance(result, NotSized)
    assert "equity" in result.explanation
