from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.breakers import (
    BreakerFacts,
    BreakerLimits,
    BreakerVerdict,
    Operation,
    assess,
    error_rate,
    stricter,
)
from holdfast.decisions.equity import EquityTrack
from holdfast.decisions.gate import Mode, Refusal
from holdfast.domain.account import Mark
from holdfast.domain.intents import Journaled
from holdfast.domain.orders import OrderState
from tests.decisions.examples import BTC, ETH, NOW_MS, D, intent, journaled, mark

LIMITS = BreakerLimits(
    positions_age_ms_max=60_000,
    balance_age_ms_max=60_000,
    mark_age_ms_max=3_000,
    clock_uncertainty_ms_max=250,
    socket_down_ms_max=300_000,
    error_rate_max_ratio=D("0.02"),
    error_window_ms=600_000,
    error_sample_min=20,
    drawdown_max_ratio=D("0.10"),
    drawdown_latches=True,
    day_loss_max_ratio=D("0.03"),
    entries_per_symbol_max=10,
    entries_window_ms=3_600_000,
    unknown_age_ms_max=15_000,
    unknown_count_max=2,
    unknown_grace_ms=30_000,
    mark_jump_max_ratio=D("0.05"),
    release_ratio=D("0.8"),
    settle_ms=5_000,
)
CALM = BreakerVerdict()


def facts(**changes: Any) -> BreakerFacts:
    """All is well."""
    base = BreakerFacts(
        now_ms=NOW_MS,
        positions_asked_ms=NOW_MS - 1_000,
        balance_asked_ms=NOW_MS - 2_000,
        marks={BTC: mark(), ETH: mark(2_500)},
        marks_before={BTC: mark(50_010), ETH: mark(2_501)},
        clock_uncertainty_ms=20,
        rate_limited_until_ms=0,
        socket_down_since_ms=None,
        naked_since_ms=None,
        store_writable=True,
        operations=(),
        equity=track(),
        entries={},
        unresolved=(),
        handover_until_ms=0,
        asking_since_ms=NOW_MS - 3_600_000,
    )
    return replace(base, **changes)


def track(**changes: Any) -> EquityTrack:
    base = EquityTrack(equity=D(1_000), peak=D(1_000), day_start=D(1_000), day=NOW_MS // 86_400_000)
    return replace(base, **changes)


def unknown(number: int = 1, *, age_ms: int = 16_000, **changes: Any) -> Journaled:
    given_ = {"state": OrderState.UNKNOWN, "signed_ms": NOW_MS - age_ms, "client_id": f"hf-1-{number}-e"}
    return journaled(intent(), **{**given_, **changes})


def operations(failed: int, of: int, *, age_ms: int = 1_000) -> tuple[Operation, ...]:
    return tuple(Operation(NOW_MS - age_ms, n < failed) for n in range(of))


def test_nothing_wrong_blocks_nothing() -> None:
    assert assess(facts(), LIMITS, CALM) == CALM


@pytest.mark.parametrize(
    ("refusal", "changes"),
    [
        (Refusal.POSITIONS_STALE, {"positions_asked_ms": NOW_MS - 60_001}),
        (Refusal.POSITIONS_STALE, {"positions_asked_ms": None}),
        (Refusal.POSITIONS_STALE, {"positions_asked_ms": NOW_MS + 1}),
        (Refusal.BALANCE_STALE, {"balance_asked_ms": NOW_MS - 60_001}),
        (Refusal.CLOCK_SKEW, {"clock_uncertainty_ms": 251}),
        (Refusal.CLOCK_SKEW, {"clock_uncertainty_ms": -251}),
        (Refusal.CLOCK_SKEW, {"clock_uncertainty_ms": None}),
        (Refusal.RATE_LIMITED, {"rate_limited_until_ms": NOW_MS + 1}),
        (Refusal.TAKEN_OVER, {"handover_until_ms": NOW_MS + 1}),
        (Refusal.SOCKET_DOWN, {"socket_down_since_ms": NOW_MS - 300_001}),
        (Refusal.STORE_UNWRITABLE, {"store_writable": False}),
        (Refusal.UNPROTECTED, {"naked_since_ms": NOW_MS - 2_000}),
        (Refusal.ERROR_RATE, {"operations": operations(1, 49)}),
    ],
)
def test_each_cause_blocks_all_symbols_at_once(refusal: Refusal, changes: dict[str, Any]) -> None:
    verdict = assess(facts(**changes), LIMITS, CALM)
    assert verdict.blocks == {refusal}
    assert verdict.blocks_on(ETH) == {refusal}
    assert verdict.mode is None
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(refusal)


def test_a_stop_on_its_way_blocks_nothing() -> None:
    """Every entry is naked for a moment: only what lasts is a reason."""
    assert assess(facts(naked_since_ms=NOW_MS - 1_999), LIMITS, CALM) == CALM


@pytest.mark.parametrize(
    ("refusal", "price_mark"),
    [
        (Refusal.MARK_STALE, None),
        (Refusal.MARK_STALE, mark(age_ms=3_001)),
        (Refusal.MARK_INSANE, mark(0)),
        (Refusal.MARK_INSANE, mark("NaN")),
        (Refusal.MARK_INSANE, mark(47_000)),
        (Refusal.MARK_INSANE, mark(53_000)),
    ],
)
def test_a_bad_mark_blocks_its_symbol_only(refusal: Refusal, price_mark: Mark | None) -> None:
    """G28: absurd data blocks entries on what it is about."""
    verdict = assess(facts(marks={BTC: price_mark, ETH: mark(2_500)}), LIMITS, CALM)
    assert verdict.blocks_on(BTC) == {refusal}
    assert verdict.blocks_on(ETH) == frozenset()
    assert verdict.mode is None


@pytest.mark.parametrize(
    "changes",
    [
        {"positions_asked_ms": NOW_MS - 60_000},
        {"clock_uncertainty_ms": 250},
        {"rate_limited_until_ms": NOW_MS},
        {"handover_until_ms": NOW_MS},
        {"socket_down_since_ms": NOW_MS - 300_000},
        {"operations": operations(1, 50)},
        {"operations": operations(19, 19)},
        {"operations": operations(30, 30, age_ms=600_001)},
        {"entries": {BTC: (NOW_MS,) * 10}},
        {"entries": {BTC: (NOW_MS - 3_600_001,) * 30}},
        {"equity": track(equity=D(971))},
        {"equity": None},
        {"unresolved": (unknown(age_ms=15_000),)},
    ],
)
def test_at_its_limit_nothing_trips_yet(changes: dict[str, Any]) -> None:
    assert assess(facts(**changes), LIMITS, CALM) == CALM


def test_a_block_lifts_by_itself_after_settling() -> None:
    skewed = assess(facts(clock_uncertainty_ms=300), LIMITS, CALM)
    trembling = assess(facts(now_ms=NOW_MS + 6_000, clock_uncertainty_ms=240), LIMITS, skewed)
    assert Refusal.CLOCK_SKEW in trembling.blocks, "below its limit, yet above the release line"
    well = replace(facts(), clock_uncertainty_ms=100)
    soon = assess(replace(well, now_ms=NOW_MS + 10_000), LIMITS, trembling)
    assert Refusal.CLOCK_SKEW in soon.blocks, "gone, but not for long enough"
    assert any("settling" in reason for reason in soon.reasons)
    later = assess(replace(well, now_ms=NOW_MS + 11_000), LIMITS, soon)
    assert Refusal.CLOCK_SKEW not in later.blocks


def test_a_jump_blocks_until_the_price_settled() -> None:
    jumped = assess(facts(marks={BTC: mark(45_000)}), LIMITS, CALM)
    assert jumped.blocks_on(BTC) == {Refusal.MARK_INSANE}
    still = facts(marks={BTC: mark(45_010)}, marks_before={BTC: mark(45_000)})
    assert assess(still, LIMITS, jumped).blocks_on(BTC) == {Refusal.MARK_INSANE}
    later = replace(still, now_ms=NOW_MS + 2_000)
    held = assess(later, replace(LIMITS, settle_ms=2_000), jumped)
    assert Refusal.MARK_INSANE not in held.blocks_on(BTC)


def test_a_clock_set_back_never_holds_a_block_for_ever() -> None:
    blocked = assess(facts(store_writable=False), LIMITS, CALM)
    back = NOW_MS - 3_600_000
    fresh = {"positions_asked_ms": back, "balance_asked_ms": back, "marks": {}}
    early = assess(facts(now_ms=back, **fresh), LIMITS, blocked)
    late = assess(facts(now_ms=back + 5_000, **fresh), LIMITS, early)
    assert early.blocks == {Refusal.STORE_UNWRITABLE}
    assert late.blocks == frozenset()


@pytest.mark.parametrize(
    ("word", "changes"),
    [
        ("entries on BTC/USDT:USDT", {"entries": {BTC: (NOW_MS - 1,) * 11}}),
        ("3 outcomes are unknown", {"unresolved": tuple(unknown(n, age_ms=1) for n in range(3))}),
        ("after it expired", {"unresolved": (unknown(age_ms=35_001),)}),
    ],
)
def test_what_only_a_person_may_take_back(word: str, changes: dict[str, Any]) -> None:
    verdict = assess(facts(**changes), LIMITS, CALM)
    assert verdict.mode is Mode.REDUCE_ONLY
    assert any(word in reason for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("word", "fallen"),
    [
        ("below its peak", track(equity=D(899), day_start=D(899))),
        ("today", track(equity=D(969))),
    ],
)
def test_fall_blocks_at_once_and_steps_down_when_it_stays(word: str, fallen: EquityTrack) -> None:
    """Half a minute: a withdrawal that the stream has not told of yet looks the same."""
    later = {"now_ms": NOW_MS + 31_000, "balance_asked_ms": NOW_MS + 28_000}
    first = assess(facts(equity=fallen), LIMITS, CALM)
    assert (first.blocks, first.mode, first.fallen_since_ms) == ({Refusal.DRAWDOWN}, None, NOW_MS - 2_000)
    not_read = assess(facts(equity=fallen, now_ms=NOW_MS + 40_000), LIMITS, first)
    assert not_read.mode is None
    again = assess(facts(equity=fallen, **later), LIMITS, not_read)
    assert again.mode is Mode.REDUCE_ONLY
    assert any(word in reason for reason in again.reasons)
    told = assess(facts(equity=track(), **later), LIMITS, first)
    assert (told.mode, told.fallen_since_ms) == (None, None)


def test_what_a_crash_left_unknown_takes_no_step_before_it_could_be_asked_for() -> None:
    """A bot that was down for an hour with requests in flight begins as it was, and asks first."""
    left = tuple(unknown(n, age_ms=3_600_000) for n in range(9))
    starting = facts(unresolved=left, asking_since_ms=NOW_MS - 30_000)
    assert assess(starting, LIMITS, CALM).mode is None
    assert assess(replace(starting, now_ms=NOW_MS + 1), LIMITS, CALM).mode is Mode.REDUCE_ONLY


def test_drawdown_only_alerts_when_it_does_not_latch() -> None:
    fallen = facts(equity=track(equity=D(800), day_start=D(800)))
    verdict = assess(fallen, replace(LIMITS, drawdown_latches=False), CALM)
    assert verdict == CALM
    assert Refusal.DRAWDOWN in assess(fallen, LIMITS, CALM).blocks


def test_an_unknown_outcome_blocks_its_symbol_within_budget() -> None:
    """Checklist 25: over 15 s blocks entries on it; a send under way is not unknown yet."""
    assert assess(facts(unresolved=(unknown(),)), LIMITS, CALM).blocks_on(BTC) == {Refusal.UNRESOLVED_INTENT}
    sending = tuple(unknown(n, age_ms=500, state=OrderState.SENDING) for n in range(9))
    assert assess(facts(unresolved=sending), LIMITS, CALM) == CALM
    working = tuple(unknown(n, age_ms=900_000, state=OrderState.WORKING) for n in range(9))
    assert assess(facts(unresolved=working), LIMITS, CALM) == CALM


def test_error_rate_needs_a_sample_and_forgets() -> None:
    """R1.5"""
    old, new = operations(20, 20, age_ms=601_000), operations(3, 30)
    rate = error_rate(old + new, now_ms=NOW_MS, window_ms=600_000, sample_min=20)
    assert rate == D("0.1")
    assert error_rate(new[:19], now_ms=NOW_MS, window_ms=600_000, sample_min=20) is None
    assert error_rate((), now_ms=NOW_MS, window_ms=600_000, sample_min=0) is None


any_facts = st.builds(
    lambda now, positions, clock, limited, down, ok, failed, equity, unknown_age, price: facts(
        now_ms=NOW_MS + now,
        positions_asked_ms=positions,
        clock_uncertainty_ms=clock,
        rate_limited_until_ms=limited,
        socket_down_since_ms=down,
        store_writable=ok,
        operations=operations(failed, 40),
        equity=track(equity=equity),
        unresolved=(unknown(age_ms=unknown_age),),
        marks={BTC: mark(price)},
    ),
    st.integers(-10_000, 10_000),
    st.none() | st.integers(NOW_MS - 90_000, NOW_MS),
    st.none() | st.integers(-500, 500),
    st.integers(NOW_MS - 10_000, NOW_MS + 10_000),
    st.none() | st.integers(NOW_MS - 600_000, NOW_MS),
    st.booleans(),
    st.integers(0, 40),
    st.decimals("0", "1200", places=0),
    st.integers(0, 90_000),
    st.sampled_from(["50000", "40000", "0", "NaN"]),
)


@given(st.sampled_from(Mode), st.lists(any_facts, max_size=3))
def test_no_mode_ever_steps_up_by_itself(mode: Mode, history: list[BreakerFacts]) -> None:
    depth = [Mode.NORMAL, Mode.REDUCE_ONLY, Mode.HALTED]
    verdict = CALM
    for each in history:
        verdict = assess(each, LIMITS, verdict)
        after = stricter(mode, verdict.mode or Mode.NORMAL)
        assert depth.index(after) >= depth.index(mode)
        assert verdict.mode is not Mode.NORMAL
        mode = after


@given(any_facts, any_facts)
def test_a_standing_block_is_never_easier_to_lift(first: BreakerFacts, second: BreakerFacts) -> None:
    """Hysteresis only adds: what blocks from a clean start blocks after any history too."""
    clean = assess(second, LIMITS, CALM)
    after = assess(second, LIMITS, assess(first, LIMITS, CALM))
    assert clean.blocks <= after.blocks
    assert clean.blocks_on(BTC) <= after.blocks_on(BTC)
    assert clean.mode is after.mode
    assert bool(after.blocks or after.symbol_blocks or after.mode) == bool(after.reasons)
