"""The books follow the exchange, and only on evidence (R3, G10-G12, G21)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.evidence import Evidence
from holdfast.decisions.facts import Facts
from holdfast.decisions.reconcile import (
    Appeared,
    Doubtful,
    Drift,
    Flipped,
    ForeignOrder,
    OrphanStop,
    Resized,
    Vanished,
    reconcile,
)
from holdfast.domain.account import AccountConfig, Fact, Position, PositionMode
from holdfast.domain.intents import Journaled, Purpose
from holdfast.domain.orders import ExchangeStatus, OrderState, PositionSide, Side
from tests.decisions.examples import intent, journaled
from tests.decisions.holdings import (
    FRESH,
    KEY,
    NOW_MS,
    OURS,
    D,
    facts,
    order,
    position,
    read,
    short,
    stop,
    tracked,
)


def entry(**changes: object) -> Journaled:
    """Our filled entry to the example position."""
    base = journaled(
        intent(quantity=D("0.5")), state=OrderState.FILLED, filled=D("0.5"), signed_ms=NOW_MS - 60_000
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def lost(**changes: object) -> Facts:
    """In the books, and neither believed nor in the last two reads."""
    base = facts(tracked={KEY: tracked()}, naked_since={})
    return replace(base, **changes)  # type: ignore[arg-type]


def test_books_that_agree_have_no_findings() -> None:
    assert reconcile(facts(position(), stops=(stop(),))) == ()


# --- gone ----------------------------------------------------------------------------------------


def test_two_reads_that_agree_are_confirmed_doubt_and_no_more() -> None:
    """Both may be empty by the same failure (R3.3, G11): the executions decide."""
    assert reconcile(lost()) == (Doubtful(tracked(), confirmed=True),)


def test_the_exchanges_own_event_is_enough() -> None:
    told = lost(positions_read=None, positions_before=None, flat_news={KEY: NOW_MS - 10})
    assert reconcile(told) == (Vanished(tracked(), Evidence.NEWS, NOW_MS - 10),)


@pytest.mark.parametrize(
    "before",
    [
        None,
        read(position(), age_ms=6_000),
        read(age_ms=6_000, complete=False),
        read(age_ms=1_999),
        read(age_ms=58_001),
    ],
    ids=["none", "showed it", "partial", "too near", "before it was visible"],
)
def test_one_read_makes_only_doubt(before: Fact[tuple[Position, ...]] | None) -> None:
    """No single read, failed read or partial read ever closes books (R3.3)."""
    assert reconcile(lost(positions_before=before)) == (Doubtful(tracked()),)


def test_partial_or_missing_read_says_nothing_at_all() -> None:
    assert reconcile(lost(positions_read=read(complete=False))) == ()
    assert reconcile(lost(positions_read=None)) == ()


def test_old_flat_news_does_not_close_a_position_opened_since() -> None:
    """The news is kept by position; a late or doubled one is about the life before."""
    reopened = tracked(opened_ms=NOW_MS - 1_000)
    world = lost(tracked={KEY: reopened}, flat_news={KEY: NOW_MS - 1_001}, positions_read=read(position()))
    assert reconcile(world) == ()


@given(
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_doubt_is_confirmed_only_by_two_late_complete_empty_reads(
    last_age: int,
    gap: int,
    last_whole: bool,
    before_whole: bool,
    last_shows: bool,
    before_shows: bool,
    life: int,
) -> None:
    held = tracked(opened_ms=NOW_MS - life)
    last = read(*([position()] if last_shows else []), age_ms=last_age, complete=last_whole)
    before = read(*([position()] if before_shows else []), age_ms=last_age + gap, complete=before_whole)
    world = lost(tracked={KEY: held}, positions_read=last, positions_before=before)
    findings = reconcile(world)
    assert not any(isinstance(found, Vanished) for found in findings)
    confirmed = any(isinstance(found, Doubtful) and found.confirmed for found in findings)
    proven = (
        last_whole
        and before_whole
        and not last_shows
        and not before_shows
        and gap >= FRESH.confirm_ms
        and life - (last_age + gap) >= FRESH.visibility_ms
    )
    assert confirmed == proven


# --- there ---------------------------------------------------------------------------------------


def test_unknown_position_has_no_explanation() -> None:
    world = facts(position(), tracked={})
    assert reconcile(world) == (Appeared(position(), ""),)


@pytest.mark.parametrize("state", [OrderState.SENDING, OrderState.UNKNOWN, OrderState.WORKING])
def test_open_entry_explains_a_position(state: OrderState) -> None:
    """Even one without an answer: it may well have been executed (G02, G03)."""
    open_ = entry(state=state, filled=D(0))
    assert reconcile(facts(position(), tracked={}, intents=(open_,))) == (
        Appeared(position(), open_.client_id),
    )


def test_newest_filled_entry_explains_a_position() -> None:
    older = entry(client_id="hf-1-in-0aaaaa", signed_ms=NOW_MS - 90_000)
    world = facts(position(), tracked={}, recent_entries=(entry(), older))
    assert reconcile(world) == (Appeared(position(), entry().client_id),)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": OrderState.CLOSED, "filled": D(0)},
        {"intent": intent(side=Side.SELL)},
        {"intent": intent(position_side=PositionSide.LONG)},
        {"intent": intent(purpose=Purpose.CLOSE)},
    ],
    ids=["had no effect", "other direction", "other side", "no entry"],
)
def test_entry_that_cannot_have_opened_it_explains_nothing(changes: dict[str, object]) -> None:
    """A position opened by hand must not inherit the stop of an entry that was refused."""
    world = facts(position(), tracked={}, recent_entries=(entry(**changes),))
    assert reconcile(world) == (Appeared(position(), ""),)


def test_size_and_side_are_compared() -> None:
    held = {KEY: tracked()}
    assert reconcile(facts(position(quantity=D("0.4")), tracked=held)) == (
        Resized(tracked(), position(quantity=D("0.4"))),
    )
    assert reconcile(facts(short(), tracked=held)) == (Flipped(tracked(), short()),)


@pytest.mark.parametrize(("age_ms", "explains"), [(1_000, True), (60_000, False)])
def test_flip_is_explained_by_a_later_entry_of_ours(age_ms: int, explains: bool) -> None:
    """The one before ended while nobody looked, and the last run had entered again (dense seed 50097)."""
    other = entry(intent=intent(side=Side.SELL), signed_ms=NOW_MS - age_ms, client_id=OURS)
    held = tracked(entry_signed_ms=NOW_MS - 30_000)
    found = reconcile(facts(short(), tracked={KEY: held}, recent_entries=(other,)))
    assert found == (Flipped(held, short(), OURS if explains else ""),)


# --- beside --------------------------------------------------------------------------------------


def test_orphan_stop_is_named() -> None:
    assert reconcile(facts(stops=(stop(),))) == (OrphanStop(stop()),)


def test_resting_order_of_nobody_of_ours_is_foreign() -> None:
    resting = {
        "o1": order(),
        "o2": order(order_id="o2", client_id=OURS),
        "o3": order(order_id="o3", client_id="autoclose-17"),
        "o4": order(order_id="o4", status=ExchangeStatus.CANCELLED),
    }
    assert reconcile(facts(orders=resting, our_ids=frozenset({OURS}))) == (ForeignOrder(order()),)


def test_wrong_position_mode_is_drift() -> None:
    config = AccountConfig(position_mode=PositionMode.HEDGE, can_trade=True, multi_assets=False)
    world = facts(config=Fact(config, NOW_MS, NOW_MS))
    assert reconcile(world) == (Drift("position_mode", "", "one_way", "hedge"),)
