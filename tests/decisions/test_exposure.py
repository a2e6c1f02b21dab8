from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.exposure import exposure
from holdfast.domain.account import MarginMode, Position
from holdfast.domain.intents import Purpose
from holdfast.domain.orders import OrderState, PositionSide
from tests.decisions.examples import BTC, ETH, NOW_MS, D, intent, journaled

MARKS = {BTC: D(50_000), ETH: D(2_500)}
HELD = Position(
    symbol=BTC,
    side=PositionSide.BOTH,
    quantity=D("-0.1"),
    entry_price=D(49_000),
    mark_price=D(50_000),
    unrealized_pnl=D(-100),
    liquidation_price=D(0),
    leverage=3,
    margin_mode=MarginMode.CROSS,
    updated_ms=NOW_MS,
)


def test_positions_and_open_entries_count_together() -> None:
    entry = journaled(intent(symbol=ETH, quantity=D(2)), state=OrderState.UNKNOWN)
    found = exposure([HELD], [entry], MARKS, positions_asked_ms=NOW_MS)
    assert found.by_symbol == {BTC: D(5_000), ETH: D(5_000)}
    assert (found.gross, found.pending, found.count) == (D(10_000), D(5_000), 2)


def test_an_entry_filled_after_the_read_still_counts() -> None:
    """Between the fill and the next read of the positions nobody may think that there is room."""
    filled = journaled(
        intent(quantity=D("0.02")), state=OrderState.FILLED, filled=D("0.02"), resolved_ms=NOW_MS + 5
    )
    assert exposure([], [filled], MARKS, positions_asked_ms=NOW_MS).gross == D(1_000)
    assert exposure([], [filled], MARKS, positions_asked_ms=NOW_MS + 6).gross == 0


def test_closing_orders_and_dead_entries_add_nothing() -> None:
    closing = journaled(intent(purpose=Purpose.CLOSE))
    dead = journaled(intent(), state=OrderState.CLOSED, resolved_ms=NOW_MS + 5)
    assert exposure([], [closing, dead], MARKS, positions_asked_ms=NOW_MS).by_symbol == {}


def test_a_missing_mark_does_not_hide_exposure() -> None:
    found = exposure([], [journaled(intent(quantity=D("0.02")))], {}, positions_asked_ms=NOW_MS)
    assert found.gross == D("0.02") * D(49_000), "at least its stop price counts"


states = st.sampled_from(OrderState)


@given(st.lists(st.tuples(states, st.integers(1, 40), st.booleans()), max_size=8))
def test_nothing_that_may_be_open_is_forgotten(entries: list[tuple[OrderState, int, bool]]) -> None:
    """Checklist 3 and 10: every order sent counts at once, unknown ones as filled."""
    journal = [
        replace(
            journaled(intent(quantity=D(lots) / 1000)),
            state=state,
            filled=D(lots) / 1000 if state is OrderState.FILLED else D(0),
            resolved_ms=NOW_MS + 1 if late else NOW_MS - 1,
        )
        for state, lots, late in entries
    ]
    found = exposure([HELD], journal, MARKS, positions_asked_ms=NOW_MS)
    maybe = sum((j.intent.quantity for j in journal if j.open), D(0))
    assert found.by_symbol[BTC] >= D(5_000) + maybe * 50_000
    assert found.gross == sum(found.by_symbol.values())
