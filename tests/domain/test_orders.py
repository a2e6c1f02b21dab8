from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.intents import Purpose
from holdfast.domain.orders import (
    TRANSITIONS,
    Direction,
    ExchangeStatus,
    Heard,
    OrderState,
    Side,
    after,
)
from tests.decisions.examples import NOW_MS, intent, journaled

FINAL = {OrderState.FILLED, OrderState.CLOSED}
news = st.lists(st.sampled_from(Heard), max_size=12)


def life(heard: list[Heard]) -> list[OrderState]:
    """The states an order goes through; news that contradicts what is proven changes nothing."""
    states = [OrderState.SENDING]
    for each in heard:
        states.append(after(states[-1], each) or states[-1])
    return states


def test_every_state_has_a_row_and_leads_somewhere_known() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    assert {state for row in TRANSITIONS.values() for state in row.values()} <= set(OrderState)


@given(news)
def test_what_is_final_stays_final(heard: list[Heard]) -> None:
    states = life(heard)
    for before, now in itertools.pairwise(states):
        assert before not in FINAL or now is before


def test_no_news_ever_makes_an_order_unsent() -> None:
    """An order is sent once: nothing leads back to sending."""
    assert all(OrderState.SENDING not in row.values() for row in TRANSITIONS.values())


@given(news)
def test_silence_alone_never_ends_an_order(heard: list[Heard]) -> None:
    """Only the exchange's word or a proof closes it (architecture rule 6)."""
    silent = [each for each in heard if each in (Heard.NO_ANSWER, Heard.ACK)]
    assert not FINAL & set(life(silent))


@given(news)
def test_late_and_doubled_news_is_harmless(heard: list[Heard]) -> None:
    """Hearing each thing twice ends where hearing it once ends."""
    doubled = [each for pair in zip(heard, heard, strict=True) for each in pair]
    assert life(doubled)[-1] is life(heard)[-1]


@pytest.mark.parametrize(
    ("state", "heard"),
    [
        (OrderState.SENDING, Heard.PROVEN_DEAD),
        (OrderState.UNKNOWN, Heard.REJECT),
        (OrderState.WORKING, Heard.REJECT),
        (OrderState.WORKING, Heard.PROVEN_DEAD),
        (OrderState.FILLED, Heard.CANCELLED),
        (OrderState.FILLED, Heard.PROVEN_DEAD),
        (OrderState.CLOSED, Heard.FILL),
    ],
)
def test_contradictions_are_told_not_guessed(state: OrderState, heard: Heard) -> None:
    assert after(state, heard) is None


@given(st.sampled_from(OrderState))
def test_only_unfinished_intents_count_as_open(state: OrderState) -> None:
    assert journaled(intent(), state=state).open == (state not in FINAL)


def test_expiry_is_signed_time_plus_window() -> None:
    assert journaled(intent(), window_ms=5_000).expires_ms == NOW_MS + 5_000


def test_only_an_entry_raises_risk() -> None:
    assert [purpose for purpose in Purpose if purpose.raises_risk] == [Purpose.ENTER]


@given(st.sampled_from(Direction))
def test_opening_and_closing_sides_are_opposite(direction: Direction) -> None:
    assert direction.opening.opposite is direction.closing
    assert direction.opening.sign == direction.sign == -direction.closing.sign


def test_sides_and_final_statuses() -> None:
    assert Side.BUY.opposite.opposite is Side.BUY
    assert [s for s in ExchangeStatus if not s.final] == [ExchangeStatus.OPEN, ExchangeStatus.PARTIAL]
