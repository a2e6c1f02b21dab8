"""A stop whose end nobody told is asked for, in time and not too often."""

from __future__ import annotations

from dataclasses import replace

from holdfast.domain.intents import Accepted, Intent, Purpose
from holdfast.domain.orders import ClientOrderId, Side, StopStatus
from holdfast.engine.lost import AGAIN_MS, LOOK_MS, MISSING_MS, LostStops
from tests.decisions.examples import BTC, NOW_MS, D, journaled
from tests.decisions.holdings import stop
from tests.engine.parts import state

PLACED = journaled(
    Intent(purpose=Purpose.PLACE_STOP, symbol=BTC, side=Side.SELL, trigger_price=D(49_000)),
    client_id=ClientOrderId("hf-1-stop-1aaaaa"),
)
STOP = stop(stop_id="s1", client_id=PLACED.client_id)


def asked(lost: LostStops, standing: set[str], *times: int) -> list[bool]:
    return [bool(lost.due(lambda: standing, NOW_MS + at_ms)) for at_ms in times]


def test_a_stop_that_stands_is_never_asked_for() -> None:
    lost = LostStops()
    lost.stands(STOP)
    assert asked(lost, {"s1"}, 0, 60_000, 120_000) == [False, False, False]


def test_a_missing_stop_is_asked_for_after_a_while_and_again_much_later() -> None:
    lost = LostStops()
    lost.stands(STOP)
    again = MISSING_MS + AGAIN_MS
    assert asked(lost, set(), 0, MISSING_MS - 1) == [False, False]
    assert lost.due(set, NOW_MS + MISSING_MS + LOOK_MS) == [STOP]
    assert asked(lost, set(), MISSING_MS + 3 * LOOK_MS, again + 2 * LOOK_MS) == [False, True]


def test_one_that_is_seen_again_was_not_lost() -> None:
    lost = LostStops()
    lost.stands(STOP)
    assert asked(lost, set(), 0, 4_000) == [False, False]
    assert asked(lost, {"s1"}, 5_500) == [False]
    assert asked(lost, set(), 7_000, 9_000) == [False, False]


def test_an_end_that_was_told_asks_nothing() -> None:
    """As the account's state hears it: the reply that it stands, then the word of its end."""
    held = state()
    held.accepted_stop(PLACED, Accepted(exchange_id="s1", stop=STOP), NOW_MS)
    held.hear_stop(replace(STOP, status=StopStatus.CANCELLED), NOW_MS + 1)
    assert asked(held.lost, set(), 0, 60_000) == [False, False]


def test_an_end_that_was_not_told_is_asked_for() -> None:
    """Also when the stream told of the stop before its request was answered."""
    held = state()
    held.hear_stop(STOP, NOW_MS)
    held.cancelled_stop(replace(PLACED.intent, target_id="s1"), NOW_MS + 1)
    assert not held.lost.due(held.believed_stops, NOW_MS + LOOK_MS)
    assert held.lost.due(held.believed_stops, NOW_MS + LOOK_MS + MISSING_MS) == [STOP]


def test_a_clock_set_back_holds_no_question_back() -> None:
    lost = LostStops()
    lost.stands(STOP)
    assert asked(lost, set(), 60_000, 0, MISSING_MS + 60_000) == [False, False, True]
