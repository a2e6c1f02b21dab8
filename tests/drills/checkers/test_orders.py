"""S2, S3 and S5: what may stand at the exchange, and what it was preceded by."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import Purpose
from holdfast.domain.orders import OrderState, Side
from holdfast.drills.checkers import impairments as because
from tests.drills.checkers.court import court
from tests.simulator.core.build import FOO, ME

D = Decimal


def test_a_day_of_right_trading_is_not_found_fault_with() -> None:
    """Enter, protect, move the stop, close, take the stop back; and once more by its stop."""
    sitting = court()
    for _ in range(3):
        sitting.enter()
        sitting.go(0.1)
        first = sitting.protect("95")
        sitting.go(30)
        second = sitting.protect("96", quantity="10")
        sitting.go(3)
        sitting.cancel(first)
        sitting.go(600)
        sitting.close()
        sitting.go(5)
        if not sitting.core.view(ME).algos[second.algo_id].status.final:
            sitting.cancel(second)
        sitting.go(60)
    assert sitting.violations == []


# --- S2 ----------------------------------------------------------------------------------------------


def test_the_same_client_id_for_two_orders_is_found() -> None:
    sitting = court()
    name = sitting.enter()
    sitting.protect()
    sitting.core.close_by_hand(ME, FOO)
    sitting.book("0")
    sitting.go(60)
    sitting.send(name, Side.BUY, "10")
    assert sitting.verdicts[0] == "S2"
    assert name in sitting.violations[0].text


def test_an_entry_that_is_doubled_under_a_new_id_is_found() -> None:
    """The exchange cannot know that the two belong together; what stands there says so."""
    sitting = court()
    sitting.enter("10")
    again = sitting.name("in")
    sitting.write(again, Purpose.ENTER, Side.BUY, "10")
    sitting.send(again, Side.BUY, "10")
    assert sitting.verdicts == ["S2"]
    assert "10" in sitting.violations[0].text


def test_two_entries_for_one_decision_are_found_also_when_the_first_is_gone() -> None:
    sitting = court()
    sitting.enter(correlation_id="trade-1")
    sitting.close()
    again = sitting.name("in")
    sitting.write(again, Purpose.ENTER, Side.BUY, "10", correlation_id="trade-1")
    sitting.send(again, Side.BUY, "10")
    assert sitting.verdicts == ["S2"]


def test_an_entry_beside_a_resting_one_is_found() -> None:
    sitting = court()
    for _ in range(2):
        name = sitting.name("in")
        sitting.write(name, Purpose.ENTER, Side.BUY, "10")
        sitting.send(name, Side.BUY, "10", price="99")
        sitting.settle(name, OrderState.WORKING)
    assert sitting.verdicts == ["S2"]


def test_a_stranger_who_trades_beside_the_bot_doubles_nothing() -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(5))
    sitting.enter()
    assert "S2" not in sitting.verdicts


def test_a_second_stop_may_stand_for_a_while_and_not_for_ever() -> None:
    sitting = court()
    sitting.enter()
    sitting.protect("95")
    sitting.protect("96", quantity="10")
    sitting.go(sitting.checkers.bounds.stops_beside_ms / 1000)
    assert sitting.verdicts == []
    sitting.go(5)
    assert sitting.verdicts == ["S2"]


# --- S3 ----------------------------------------------------------------------------------------------


def test_an_order_that_was_never_journaled_is_found() -> None:
    sitting = court()
    name = sitting.name("in")
    sitting.approve(name, Purpose.ENTER, Side.BUY, "10")
    sitting.send(name, Side.BUY, "10")
    assert sitting.verdicts == ["S3"]
    assert "journal" in sitting.violations[0].text


def test_an_order_that_the_gate_never_approved_is_found() -> None:
    sitting = court()
    name = sitting.name("in")
    sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.checkers.orders.submitted.clear()
    sitting.send(name, Side.BUY, "10")
    assert sitting.verdicts == ["S3"]
    assert "approved" in sitting.violations[0].text


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"quantity": D(9)}, "quantity"),
        ({"side": Side.SELL}, "side"),
        ({"purpose": Purpose.PLACE_STOP}, "purpose"),
        ({"purpose": Purpose.CLOSE}, "effect"),
    ],
)
def test_an_order_that_differs_from_its_journal_record_is_found(
    changes: dict[str, object], named: str
) -> None:
    """Each row breaks one thing of an entry for ten."""
    sitting = court()
    name = sitting.name("in")
    row = sitting.write(name, Purpose.ENTER, Side.BUY, "10")
    sitting.journal.rows[name] = replace(row, **changes)  # type: ignore[arg-type]
    sitting.send(name, Side.BUY, "10")
    assert sitting.verdicts == ["S3"]
    assert named in sitting.violations[0].text


def test_protection_is_sent_without_a_record_only_while_the_store_fails() -> None:
    """G26: what can only reduce does not wait for a disk; an entry always does."""
    sitting = court()
    sitting.enter()
    sitting.checkers.began(because.STORE)
    close = sitting.name("out")
    sitting.approve(close, Purpose.CLOSE, Side.SELL, "10")
    sitting.send(close, Side.SELL, "10", reduce_only=True)
    sitting.book("0")
    assert sitting.verdicts == []
    entry = sitting.name("in")
    sitting.approve(entry, Purpose.ENTER, Side.BUY, "10")
    sitting.send(entry, Side.BUY, "10")
    assert sitting.verdicts == ["S3"]


def test_protection_without_a_record_while_the_store_works_is_found() -> None:
    sitting = court()
    sitting.enter()
    close = sitting.name("out")
    sitting.approve(close, Purpose.CLOSE, Side.SELL, "10")
    sitting.send(close, Side.SELL, "10", reduce_only=True)
    assert sitting.verdicts == ["S3"]


# --- S5 ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "mode"),
    [
        (OperatorState.KILLED, Mode.NORMAL),
        (OperatorState.STOPPED, Mode.NORMAL),
        (OperatorState.RUNNING, Mode.REDUCE_ONLY),
        (OperatorState.RUNNING, Mode.HALTED),
    ],
)
def test_an_entry_long_after_a_committed_kill_is_found(operator: OperatorState, mode: Mode) -> None:
    sitting = court()
    sitting.stand(operator, mode)
    sitting.go(20)
    sitting.enter()
    assert sitting.verdicts == ["S5"]


def test_an_entry_that_was_under_way_when_the_kill_was_pressed_is_forgiven() -> None:
    sitting = court()
    sitting.stand(OperatorState.KILLED)
    sitting.go(2)
    sitting.enter()
    assert sitting.verdicts == []


def test_an_entry_that_leaves_while_the_bot_itself_is_killed_is_found_at_once() -> None:
    """Check, await, act: the bot knew better when it sent it."""
    sitting = court()
    sitting.approve("hf-1-in-1aaaaa", Purpose.ENTER, Side.BUY, "10", wanted="killed")
    assert sitting.verdicts == ["S5"]


def test_a_bot_that_runs_again_since_a_moment_is_right() -> None:
    """Resumed and entered within one look at what it obeys (seed 600001)."""
    sitting = court()
    sitting.checkers.given.obeyed("stopped", sitting.now_ms)
    sitting.go(60)
    sitting.enter()
    assert sitting.verdicts == []


def test_closing_and_protecting_after_a_kill_is_right() -> None:
    sitting = court()
    sitting.enter()
    sitting.stand(OperatorState.KILLED, Mode.HALTED)
    sitting.go(20)
    sitting.protect()
    sitting.close()
    assert sitting.verdicts == []


def test_after_a_person_resumed_entries_are_right_again() -> None:
    sitting = court()
    sitting.stand(OperatorState.KILLED)
    sitting.go(60)
    sitting.stand(OperatorState.RUNNING)
    sitting.go(1)
    sitting.enter()
    assert sitting.verdicts == []
