from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.select import (
    Drop,
    Performance,
    Quality,
    Selection,
    SelectPolicy,
    quality,
    risk_reward,
    select,
)
from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from tests.decisions.examples import BTC, ETH, NOW_MS, D

POLICY = SelectPolicy()
SYMBOLS = [Symbol.parse(f"{base}/USDT:USDT") for base in ("ADA", "BNB", "BTC", "DOT", "ETH", "SOL", "XRP")]


def signal(**changes: Any) -> Signal:
    base = Signal(
        strategy="adx_trend",
        symbol=BTC,
        action=Action.ENTER,
        direction=Direction.LONG,
        score=D("0.8"),
        reason="test",
        created_ms=NOW_MS - 1_000,
        price=D(100),
        stop_price=D(98),
        market_condition=D("0.5"),
    )
    return replace(base, **changes)


def choose(*signals: Signal, **changes: Any) -> Selection:
    given_: dict[str, Any] = {
        "held": frozenset(),
        "pending": frozenset(),
        "performance": {},
        "policy": POLICY,
        "now_ms": NOW_MS,
    }
    return select(signals, **{**given_, **changes})


def test_best_quality_wins_not_best_score() -> None:
    """A proven strategy in a fitting market beats a somewhat louder one."""
    loud = signal(strategy="loud", score=D("0.9"), market_condition=D("0.1"))
    proven = signal(strategy="proven", symbol=ETH, score=D("0.8"), market_condition=D("0.9"))
    history = {"proven": Performance(40, 28), "loud": Performance(40, 8)}
    selection = choose(loud, proven, performance=history)
    assert selection.best is not None
    assert selection.best.signal is proven
    assert [each.signal.strategy for each in selection.ranked] == ["proven", "loud"]


def test_quality_is_forty_thirty_twenty_ten() -> None:
    parts = Quality(
        score=D("0.9"),
        performance=D("0.6"),
        market_condition=D("0.3"),
        risk_reward=D("0.2"),
        history=True,
    )
    assert parts.total == D("0.36") + D("0.18") + D("0.06") + D("0.02")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"action": Action.EXIT}, Drop.NOT_AN_ENTRY),
        ({"score": D("0.6499")}, Drop.SCORE_TOO_LOW),
        ({"score": D("1.01")}, Drop.IMPOSSIBLE),
        ({"score": D("NaN")}, Drop.IMPOSSIBLE),
        ({"price": D(0)}, Drop.IMPOSSIBLE),
        ({"stop_price": D("NaN")}, Drop.IMPOSSIBLE),
        ({"created_ms": NOW_MS - 86_400_001}, Drop.TOO_OLD),
        ({"created_ms": NOW_MS + 5_001}, Drop.FROM_THE_FUTURE),
        ({"symbol": ETH}, Drop.IN_POSITION),
        ({"symbol": SYMBOLS[0]}, Drop.PENDING),
    ],
)
def test_each_dropped_signal_has_its_reason(changes: dict[str, Any], reason: Drop) -> None:
    selection = choose(signal(**changes), held=frozenset({ETH}), pending=frozenset({SYMBOLS[0]}))
    assert selection.best is None
    assert [each.reason for each in selection.dropped] == [reason]
    assert selection.dropped[0].detail


@pytest.mark.parametrize("changes", [{"score": D("0.65")}, {"created_ms": NOW_MS - 86_400_000}])
def test_the_limits_themselves_still_pass(changes: dict[str, Any]) -> None:
    assert choose(signal(**changes)).best is not None


def test_only_the_top_ten_by_score_are_ranked() -> None:
    many = [signal(strategy=f"s{n:02}", score=D("0.70") + D(n) / 100) for n in range(13)]
    selection = choose(*many)
    assert len(selection.ranked) == 10
    assert {each.signal.strategy for each in selection.dropped} == {"s00", "s01", "s02"}
    assert {each.reason for each in selection.dropped} == {Drop.NOT_AMONG_TOP}


def test_no_history_is_neutral_and_shown() -> None:
    parts = quality(signal(), Performance(trades=19, wins=19), POLICY)
    assert (parts.performance, parts.history) == (D("0.5"), False)
    assert "performance 0.50 (no history)" in parts.describe()
    parts = quality(signal(), Performance(trades=20, wins=15), POLICY)
    assert (parts.performance, parts.history) == (D("0.75"), True)
    assert "no history" not in parts.describe()


def test_a_win_rate_of_zero_never_gives_full_quality() -> None:
    """The old bot showed quality 1.0 for a strategy that had never won."""
    perfect = signal(score=D(1), market_condition=D(1), take_profit=D(200))
    assert quality(perfect, Performance(50, 0), POLICY).total == D("0.7")
    assert quality(perfect, Performance(50, 50), POLICY).total == D(1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"take_profit": D(106)}, "1"),
        ({"take_profit": D(103)}, "0.5"),
        ({"take_profit": D(150)}, "1"),
        ({"take_profit": D(99)}, "0"),
        ({"take_profit": None}, "0.5"),
        ({"stop_price": None, "take_profit": D(150)}, "0"),
        ({"stop_price": D(101)}, "0"),
        ({"direction": Direction.SHORT, "stop_price": D(102), "take_profit": D(97)}, "0.5"),
    ],
)
def test_risk_reward_counts_reward_against_risk(changes: dict[str, Any], expected: str) -> None:
    assert risk_reward(signal(**changes), POLICY) == D(expected)


signals = st.builds(
    Signal,
    strategy=st.sampled_from(["a", "b"]),
    symbol=st.sampled_from(SYMBOLS),
    action=st.sampled_from([Action.ENTER, Action.ENTER, Action.EXIT]),
    direction=st.sampled_from(Direction),
    score=st.decimals("0.6", "1", places=2),
    reason=st.just(""),
    created_ms=st.sampled_from([NOW_MS, NOW_MS - 1, NOW_MS - 90_000_000]),
    price=st.sampled_from([D(100), D(101)]),
    stop_price=st.sampled_from([None, D(99), D(102)]),
    market_condition=st.decimals("-1", "2", places=1),
)
records = st.builds(
    lambda trades, lost: Performance(trades, max(0, trades - lost)), st.integers(0, 50), st.integers(0, 50)
)


@given(st.lists(signals, max_size=12), st.integers(0, 1000), st.dictionaries(st.sampled_from("ab"), records))
def test_order_of_arrival_never_changes_the_choice(offered, seed, performance) -> None:
    shuffled = list(offered)
    random.Random(seed).shuffle(shuffled)
    assert choose(*offered, performance=performance) == choose(*shuffled, performance=performance)


@given(st.lists(signals, max_size=12), st.dictionaries(st.sampled_from("ab"), records))
def test_every_signal_is_ranked_or_dropped_with_a_reason(offered, performance) -> None:
    held = frozenset({SYMBOLS[2]})
    selection = choose(*offered, performance=performance, held=held)
    told = [each.signal for each in selection.ranked] + [each.signal for each in selection.dropped]
    assert sorted(map(repr, told)) == sorted(map(repr, offered))
    totals = [each.quality.total for each in selection.ranked]
    assert totals == sorted(totals, reverse=True)
    assert len(totals) <= POLICY.candidates_max
    for each in selection.ranked:
        assert each.signal.symbol not in held
        assert each.signal.score >= POLICY.min_signal_score
        assert Decimal(0) <= each.quality.total <= 1
