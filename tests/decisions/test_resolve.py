"""What proves that a request without an answer had an effect, and what proves that it never will."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.decisions.resolve import dead_after_ms, verdict
from holdfast.domain.intents import Accepted, Lookup, NotFound, Unavailable, Unknown
from holdfast.domain.orders import ExchangeStatus, Heard, StopStatus
from tests.decisions.examples import NOW_MS, D, intent, journaled
from tests.decisions.holdings import order, stop

REQUEST = journaled(intent(), signed_ms=NOW_MS, window_ms=5_000)


def judged(lookup: Lookup) -> Heard | None:
    return verdict(REQUEST, lookup, clock_doubt_ms=1_000, visibility_ms=2_000)


@given(st.integers(-60_000, 120_000), st.integers(0, 60_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_proven_dead_never_before_expiry_and_visibility(
    asked: int, window: int, doubt: int, visible: int
) -> None:
    """Until the exchange must refuse it and would have shown it, "not found" proves nothing."""
    request = journaled(intent(), signed_ms=NOW_MS, window_ms=window)
    lookup = NotFound(asked_ms=NOW_MS + asked)
    heard = verdict(request, lookup, clock_doubt_ms=doubt, visibility_ms=visible)
    assert (heard is Heard.PROVEN_DEAD) == (asked > window + doubt + visible)
    assert heard in (None, Heard.PROVEN_DEAD)


def test_death_is_counted_from_the_signed_time() -> None:
    assert dead_after_ms(REQUEST, 1_000, 2_000) == NOW_MS + 8_000


@pytest.mark.parametrize("lookup", [Unknown(cause="cut"), Unavailable(cause="503", retry_after_ms=9)])
def test_a_question_without_an_answer_proves_nothing(lookup: Lookup) -> None:
    assert judged(lookup) is None


@pytest.mark.parametrize(
    ("status", "filled", "heard"),
    [
        (ExchangeStatus.OPEN, "0", Heard.ACK),
        (ExchangeStatus.PARTIAL, "0.1", Heard.ACK),
        (ExchangeStatus.FILLED, "0.5", Heard.FILL),
        (ExchangeStatus.CANCELLED, "0", Heard.CANCELLED),
        (ExchangeStatus.CANCELLED, "0.1", Heard.FILL),
        (ExchangeStatus.EXPIRED, "0.1", Heard.FILL),
        (ExchangeStatus.REJECTED, "0", Heard.CANCELLED),
    ],
)
def test_a_found_order_is_what_its_status_and_fills_say(
    status: ExchangeStatus, filled: str, heard: Heard
) -> None:
    found = Accepted(exchange_id="1", order=order(status=status, filled=D(filled)))
    assert judged(found) is heard


@pytest.mark.parametrize("status", list(StopStatus))
def test_a_found_stop_arrived_unless_it_is_gone(status: StopStatus) -> None:
    gone = status in (StopStatus.CANCELLED, StopStatus.EXPIRED, StopStatus.REJECTED)
    found = Accepted(exchange_id="1", stop=stop(status=status))
    assert judged(found) is (Heard.CANCELLED if gone else Heard.ACK)


def test_found_without_details_has_arrived() -> None:
    assert judged(Accepted(exchange_id="1")) is Heard.ACK
