"""S6 and the naked ledger: cover that could have been had, and time that nobody could have used."""

from __future__ import annotations

from decimal import Decimal

import pytest

from holdfast.domain.account import PositionKey
from holdfast.domain.orders import PositionSide, Side
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.naked import NakedLedger, NakedSpan, closed_cause
from holdfast.simulator.faults import FaultKind
from tests.drills.checkers.court import Court, court
from tests.simulator.core.build import FOO, ME

D = Decimal
STOP, ORDER = "/fapi/v1/algoOrder", "/fapi/v1/order"


def past(sitting: Court, ms: int) -> None:
    sitting.go(ms / 1000 + 2)


def found(sitting: Court) -> list[str]:
    return [violation.text for violation in sitting.violations if violation.checker == "S6"]


# --- the bound on avoidable time -------------------------------------------------------------------


def test_a_position_that_gets_its_stop_in_time_is_silent() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(0.1)
    sitting.protect()
    sitting.go(3_600)
    assert found(sitting) == []


def test_a_position_without_a_stop_is_found_after_the_bound_and_not_before() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(sitting.checkers.bounds.naked_ms / 1000 - 2)
    assert found(sitting) == []
    sitting.go(4)
    assert len(found(sitting)) == 1


def test_a_stop_that_does_not_cover_all_of_it_is_no_cover() -> None:
    sitting = court()
    sitting.enter("10")
    sitting.protect("95", quantity="9")
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert len(found(sitting)) == 1


def test_a_position_that_is_closed_in_time_needs_no_stop() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(10)
    sitting.close()
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert found(sitting) == []


def test_what_a_stranger_opened_has_to_be_found_first() -> None:
    sitting = court()
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(10))
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert found(sitting) == []
    past(sitting, sitting.checkers.bounds.learn_ms)
    assert len(found(sitting)) == 1


@pytest.mark.parametrize("cause", [because.BOT, because.NETWORK, because.STOPS, closed_cause(FOO)])
def test_an_outage_excuses_for_as_long_as_it_lasts(cause: object) -> None:
    sitting = court()
    sitting.checkers.began(cause)
    sitting.enter()
    past(sitting, 10 * sitting.checkers.bounds.naked_ms)
    assert found(sitting) == []
    sitting.checkers.ended(cause)
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert len(found(sitting)) == 1


def test_an_outage_of_something_else_excuses_nothing() -> None:
    """The account's events alone, or its reads alone: the other way of knowing is left."""
    for cause in (because.READS, because.STREAM, because.STORE, closed_cause("another")):
        sitting = court()
        sitting.checkers.began(cause)
        sitting.enter()
        past(sitting, sitting.checkers.bounds.naked_ms)
        assert len(found(sitting)) == 1, cause


def test_a_bot_that_can_know_nothing_is_excused() -> None:
    sitting = court()
    sitting.checkers.began(because.READS)
    sitting.checkers.began(because.STREAM)
    sitting.enter()
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert found(sitting) == []


def test_tries_that_meet_faults_excuse_until_the_next_try_is_due() -> None:
    sitting = court()
    sitting.alerts.add(FOO)
    sitting.enter()
    for _ in range(5):
        sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
        sitting.go(15)
    assert found(sitting) == []
    past(sitting, sitting.checkers.bounds.tries_pause_ms + sitting.checkers.bounds.naked_ms)
    assert len(found(sitting)) == 1


def test_a_try_that_passes_ends_the_excuse() -> None:
    sitting = court()
    sitting.alerts.add(FOO)
    sitting.enter()
    sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
    sitting.go(1)
    sitting.arrive("POST", STOP, symbol="FOOUSDT")
    past(sitting, sitting.checkers.bounds.naked_ms)
    assert len(found(sitting)) == 1


# --- the bot's own hand ----------------------------------------------------------------------------


def test_a_stop_cancelled_before_its_replacement_stands_is_found_at_once() -> None:
    sitting = court()
    sitting.enter()
    first = sitting.protect("95")
    sitting.go(60)
    sitting.cancel(first)
    sitting.go(0.1)
    sitting.protect("96")
    sitting.go(60)
    assert len(found(sitting)) == 1
    assert first.client_id in str(sitting.violations[0])


def test_a_stop_cancelled_after_its_replacement_stands_is_right() -> None:
    sitting = court()
    sitting.enter()
    first = sitting.protect("95")
    sitting.go(60)
    sitting.protect("96", quantity="10")
    sitting.go(2)
    sitting.cancel(first)
    sitting.go(60)
    assert found(sitting) == []


def test_a_stop_cancelled_by_hand_is_not_the_bots_doing() -> None:
    sitting = court()
    sitting.enter()
    sitting.protect()
    sitting.go(60)
    sitting.core.cancel_stops_by_hand(ME, FOO)
    sitting.go(2)
    sitting.protect()
    assert found(sitting) == []


# --- bounded retries, standing alert ---------------------------------------------------------------


def test_hammering_the_stop_endpoint_is_found() -> None:
    sitting = court()
    sitting.alerts.add(FOO)
    sitting.enter()
    for _ in range(sitting.checkers.bounds.tries_max + 1):
        sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
        sitting.go(0.1)
    assert ["protective requests" in text for text in found(sitting)] == [True]


def test_protection_that_fails_without_an_alert_is_found() -> None:
    sitting = court()
    sitting.enter()
    sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
    sitting.go(10)
    assert ["no alert" in text for text in found(sitting)] == [True]


def test_protection_that_fails_with_its_alert_is_silent() -> None:
    sitting = court()
    sitting.alerts.add(FOO)
    sitting.enter()
    sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
    sitting.go(10)
    assert found(sitting) == []


# --- the ledger ------------------------------------------------------------------------------------


def test_the_ledger_splits_a_stretch_into_what_could_be_had_and_what_not() -> None:
    """Two seconds of freedom, five of outage, one of freedom; then the stop stands."""
    sitting = court()
    sitting.enter()
    sitting.go(2)
    sitting.checkers.began(because.NETWORK)
    sitting.go(5)
    sitting.checkers.ended(because.NETWORK)
    sitting.checkers.struck("link_stalled", sitting.now_ms)
    sitting.go(1)
    sitting.protect()
    (span,) = sitting.checkers.outcome().naked.spans
    assert (span.avoidable_ms, span.unavoidable_ms, span.kinds) == (3_000, 5_000, ("link_stalled",))


def test_the_time_of_a_failed_try_is_the_faults_up_to_the_next_try() -> None:
    sitting = court()
    sitting.alerts.add(FOO)
    sitting.enter()
    sitting.go(0.1)
    sitting.arrive("POST", STOP, FaultKind.ERROR_BEFORE, symbol="FOOUSDT")
    sitting.go(0.5)
    sitting.protect()
    (span,) = sitting.checkers.outcome().naked.spans
    assert (span.avoidable_ms, span.unavoidable_ms, span.kinds) == (100, 500, ("error_before",))


def test_a_stretch_that_never_ends_is_in_the_ledger_too() -> None:
    sitting = court()
    sitting.enter()
    sitting.go(7)
    (span,) = sitting.checkers.outcome().naked.spans
    assert (span.avoidable_ms, span.kinds) == (7_000, ("none",))


def test_a_position_covered_in_the_moment_it_opens_was_never_naked() -> None:
    sitting = court()
    sitting.enter()
    sitting.protect()
    assert sitting.checkers.outcome().naked.spans == []


def test_figures_are_by_fault_kind_and_over_many_worlds() -> None:
    def span(ms: int, *kinds: str) -> NakedSpan:
        return NakedSpan(symbol=FOO, since_ms=0, until_ms=ms + 50, avoidable_ms=ms, kinds=kinds)

    ledger = NakedLedger([span(ms, "none") for ms in range(1, 100)])
    ledger.merge(NakedLedger([span(5_000, "lost_reply", "stream")]))
    rows = {row.kind: row for row in ledger.rows()}
    assert list(rows) == ["lost_reply", "none", "stream", "all"]
    none = rows["none"].avoidable
    assert (none.count, none.median_ms, none.p99_ms, none.max_ms) == (99, 50, 99, 99)
    assert (rows["all"].avoidable.count, rows["all"].avoidable.max_ms) == (100, 5_000)
    assert rows["stream"].unavoidable.max_ms == 50


def test_nothing_naked_is_a_row_of_nothing() -> None:
    (row,) = NakedLedger().rows()
    assert (row.kind, row.avoidable.count, row.avoidable.p99_ms) == ("all", 0, 0)


def test_two_positions_are_told_apart() -> None:
    sitting = court()
    sitting.enter()
    sitting.protect()
    sitting.go(60)
    sitting.close()
    sitting.go(5)
    sitting.core.open_by_hand(ME, FOO, Side.BUY, D(3))
    sitting.go(2)
    spans = sitting.checkers.outcome().naked.spans
    assert [span.avoidable_ms for span in spans] == [2_000]
    assert PositionKey(FOO, PositionSide.BOTH) not in sitting.checkers.naked.__getattribute__("_open")
