"""S1 and, for the books, S9: the exchange's position is the booked one."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from holdfast.domain.intents import Purpose
from holdfast.domain.orders import OrderState, Side
from holdfast.drills.checkers import impairments as because
from tests.drills.checkers.court import Court, court
from tests.simulator.core.build import FOO, ME

D = Decimal


def wait(sitting: Court) -> None:
    sitting.go(sitting.checkers.bounds.learn_ms / 1000 + 2)


def found(sitting: Court) -> list[str]:
    return [verdict for verdict in sitting.verdicts if verdict == "S1"]


def test_books_that_agree_are_silent_for_ever() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(3_600)
    assert found(sitting) == []


def test_a_position_that_never_reaches_the_books_is_found() -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.go(sitting.checkers.bounds.learn_ms / 1000 - 2)
    assert found(sitting) == []
    wait(sitting)
    assert found(sitting) == ["S1"]


def test_books_closed_by_mistake_are_found_though_they_are_soon_right_again() -> None:
    """G11: an empty answer is taken for flat, and the next one for a position that appears."""
    sitting = court()
    sitting.enter()
    sitting.go(60)
    sitting.book("0")
    sitting.go(3)
    sitting.book("10")
    sitting.go(60)
    assert found(sitting) == ["S1"]
    assert "never held that" in next(v.text for v in sitting.violations if v.checker == "S1")


def test_books_that_say_another_size_are_found() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(60)
    sitting.book("9")
    sitting.go(2)
    assert found(sitting) == ["S1"]


def test_books_that_were_written_late_because_the_disk_failed_are_right() -> None:
    sitting = court()
    sitting.enter()
    sitting.checkers.began(because.STORE)
    sitting.core.close_by_hand(ME, FOO, share=D("0.5"))
    sitting.go(100)
    sitting.core.close_by_hand(ME, FOO)
    sitting.go(100)
    sitting.checkers.ended(because.STORE)
    sitting.book("5")
    sitting.go(2)
    sitting.book("0")
    sitting.go(2)
    assert found(sitting) == []


def test_a_foreign_change_that_is_learned_in_time_is_silent() -> None:
    sitting = court()
    sitting.enter()
    sitting.core.close_by_hand(ME, FOO, share=D("0.5"))
    sitting.go(10)
    sitting.book("5")
    wait(sitting)
    assert found(sitting) == []


def test_what_is_in_flight_may_explain_a_difference_for_as_long_as_it_is() -> None:
    sitting = court()
    name = sitting.name("in")
    sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.send(name, Side.BUY, "10")
    sitting.settle(name, OrderState.UNKNOWN)
    wait(sitting)
    wait(sitting)
    assert found(sitting) == []
    sitting.settle(name)
    wait(sitting)
    assert found(sitting) == ["S1"]


def test_in_flight_never_explains_more_than_its_size() -> None:
    sitting = court()
    name = sitting.name("in")
    sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.settle(name, OrderState.UNKNOWN)
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(11))
    wait(sitting)
    assert found(sitting) == ["S1"]


def test_a_dead_bot_learns_nothing_and_has_its_time_after_the_restart() -> None:
    sitting = court()
    sitting.checkers.began(because.BOT)
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    wait(sitting)
    wait(sitting)
    sitting.checkers.ended(because.BOT)
    sitting.go(10)
    assert found(sitting) == []
    wait(sitting)
    assert found(sitting) == ["S1"]


def test_positions_of_others_need_not_be_booked_where_they_are_left_alone() -> None:
    usual = court().checkers.bounds
    sitting = court(bounds=replace(usual, adopt_unknown=False))
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    wait(sitting)
    assert found(sitting) == []


def test_the_bots_own_position_booked_as_a_strangers_is_found() -> None:
    sitting = court()
    sitting.enter("10")
    sitting.book("10", adopted=True)
    sitting.go(2)
    assert sitting.verdicts == ["S9"]


def test_an_adopted_position_that_a_stranger_opened_is_right() -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.book("5", adopted=True)
    sitting.go(2)
    assert sitting.verdicts == []
