"""The gauntlet in real time with real processes; each row judged by the simulator's own truth."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.gauntlet.arena import ALGO, AT_ONCE_S, BTC, ETH, ORDER, STARTED_S, arena

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def test_g01_stop_stands_one_round_trip_after_the_fill(tmp_path: Path) -> None:
    """A market entry fills at once; its stop is at the exchange right after."""
    with arena(tmp_path, latency_ms=50) as a:
        a.enter_and_protect()
        truth = a.truth()
        assert truth["naked_seconds_max"] < AT_ONCE_S, truth["naked_seconds_max"]
        assert truth["exits"] == 0
        assert len(a.stops()) == 1
        a.assert_never_doubled()
        a.assert_flat_end()


def test_g02_lost_reply_makes_no_second_entry(tmp_path: Path) -> None:
    """The entry is accepted, the reply lost: one order, found by its id, protected in full."""
    with arena(tmp_path) as a:
        a.fault(kind="lost_reply", method="POST", path=ORDER, times=1)
        a.wish(BTC="long")
        a.until(a.covered, "a stop", STARTED_S)
        held = a.position()
        a.stays(lambda: a.position() == held, "one entry", 3)
        a.wish()
        assert a.truth()["entries"] == 1
        assert len(a.stops()) == 1
        assert a.truth()["naked_seconds_max"] < AT_ONCE_S
        assert len(a.trades()) == 1
        a.assert_never_doubled()
        a.assert_flat_end()


@pytest.mark.parametrize(
    ("status", "code", "msg"),
    [
        (503, 0, "Unknown error, please check your request or try again later."),
        (408, -1007, "Timeout waiting for response from backend server."),
    ],
)
def test_g03_execution_status_unknown_is_resolved(tmp_path: Path, status: int, code: int, msg: str) -> None:
    """ "Execution status unknown", executed, and the fill event is a second late."""
    with arena(tmp_path) as a:
        a.fault(kind="error_after", method="POST", path=ORDER, times=1, status=status, code=code, msg=msg)
        a.fault(kind="events_delayed", delay_ms=1000, stream="user")
        a.wish(BTC="long")
        a.until(a.covered, "a stop", STARTED_S)
        a.wish()
        held = a.position()
        a.stays(lambda: a.position() == held, "one entry", 2)
        assert a.truth()["entries"] == 1
        a.assert_never_doubled()
        a.heal()
        a.assert_flat_end()


@pytest.mark.parametrize(("code", "msg"), [(-2021, "Order would immediately trigger."), (-4120, "Use algo.")])
def test_g05_refused_stop_closes_at_once(tmp_path: Path, code: int, msg: str) -> None:
    """The exchange refuses the stop for good: the position is closed at market, with an alert."""
    with arena(tmp_path) as a:
        a.fault(kind="reject", method="POST", path=ALGO, code=code, msg=msg)
        a.wish(BTC="long")
        a.until(lambda: a.truth()["entries"] >= 1, "an entry", STARTED_S)
        a.wish()
        a.until(lambda: a.truth()["flat"], "flat")
        truth = a.truth()
        assert truth["naked_seconds_max"] < AT_ONCE_S, truth["naked_seconds_max"]
        assert str(code) in a.alerts()
        a.heal()
        a.assert_flat_end()


def test_g06_stop_with_lost_replies_stands_once(tmp_path: Path) -> None:
    """The stop is accepted and its reply lost, twice: exactly one stop stands."""
    with arena(tmp_path) as a:
        a.fault(kind="lost_reply", method="POST", path=ALGO, times=2)
        a.wish(BTC="long")
        a.until(a.covered, "a stop", STARTED_S)
        a.wish()
        a.stays(lambda: len(a.stops()) == 1, "exactly one stop", 4)
        a.assert_never_doubled()
        a.assert_flat_end()


@pytest.mark.parametrize("kind", ["endpoint_down", "rate_limited", "lost_request"])
def test_g07_dead_stop_endpoint_means_close_at_the_deadline(tmp_path: Path, kind: str) -> None:
    """5xx, 429 or silence for minutes: closed reduce-only at the deadline, alert at once."""
    with arena(tmp_path, deadline_ms=4_000) as a:
        a.fault(kind=kind, method="POST", path=ALGO)
        a.wish(BTC="long")
        a.until(lambda: a.truth()["entries"] >= 1, "an entry", STARTED_S)
        a.wish()
        a.until(lambda: a.truth()["flat"], "flat")
        truth = a.truth()
        assert truth["naked_seconds_max"] < a.deadline_ms / 1000 + AT_ONCE_S, truth["naked_seconds_max"]
        assert "STOP_MISSING" in a.alerts() or "PROTECTION_FAILED" in a.alerts()
        assert truth["entries"] == truth["exits"] == 1
        a.heal()
        a.assert_flat_end()


def test_g08_price_through_the_stop_while_stops_fail(tmp_path: Path) -> None:
    """The stop endpoint is down and the price runs 10 % through: closed at once, not at the deadline."""
    with arena(tmp_path, deadline_ms=30_000) as a:
        a.fault(kind="endpoint_down", method="POST", path=ALGO)
        a.wish(BTC="long")
        a.until(lambda: a.position() != 0, "a position", STARTED_S)
        a.wish()
        a.post("/price", symbol=BTC, ratio="0.9", seconds=1)
        a.until(lambda: a.truth()["flat"], "flat")
        assert a.truth()["naked_seconds_max"] < a.deadline_ms / 1000
        a.heal()
        a.assert_flat_end()


def test_g10_position_closed_by_hand_closes_the_books(tmp_path: Path) -> None:
    """Closed on the exchange: books follow within a cycle, with the true exit, and no stop stays."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        a.post("/close", account="gauntlet-key-0001", symbol=BTC)
        a.until(lambda: [t["status"] for t in a.trades()] == ["closed"], "closed books")
        trade = a.trades()[0]
        assert trade["exit_reason"] == "EXCHANGE_CLOSED_RECONCILIATION"
        assert trade["exit_cause"] == "manual"
        fills = a.http.get(f"{a.admin}/events", params={"account": "gauntlet-key-0001"}).json()
        assert trade["exit_price"] is not None, fills
        assert float(trade["fees"]) > 0
        a.until(lambda: not a.stops(), "no orphan stop")
        a.assert_flat_end()


def test_g11_failing_and_empty_reads_change_no_books(tmp_path: Path) -> None:
    """The position query fails, then answers empty once: nothing is closed or opened in the books."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        held = a.position()
        a.fault(kind="error_before", method="GET", path="positionRisk", times=3)
        time.sleep(2)
        a.heal()
        a.fault(kind="empty_read", method="GET", path="positionRisk", times=1)
        time.sleep(3)
        a.heal()
        assert [t["status"] for t in a.trades()] == ["open"]
        assert a.position() == held
        assert len(a.stops()) == 1
        a.assert_flat_end()


def test_g12_unknown_position_at_start_is_adopted(tmp_path: Path) -> None:
    """A position nobody of ours opened stands at start: protected before anything is traded."""
    with arena(tmp_path) as a:
        a.kill_bot()
        a.post("/open", account="gauntlet-key-0001", symbol=ETH, side="buy", quantity="1.5")
        a.start_bot()
        a.until(lambda: a.covered(ETH), "a stop for the adopted position", STARTED_S)
        a.until(lambda: any(t["adopted"] for t in a.trades()), "the adopted position in the books")
        a.assert_flat_end()


def test_g13_stop_cancelled_by_hand_is_made_again(tmp_path: Path) -> None:
    """Somebody cancels the stop: it stands again within a cycle."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        first = a.stops()[0]
        a.post("/cancel", account="gauntlet-key-0001", symbol=BTC, what="stops")
        a.until(lambda: a.covered() and a.stops() != [first], "a new stop")
        assert a.truth()["naked_seconds_max"] < AT_ONCE_S
        a.stays(lambda: len(a.stops()) == 1, "exactly one stop", 2)
        a.assert_flat_end()


def test_g17_refused_close_at_shutdown_keeps_the_stop(tmp_path: Path) -> None:
    """Closing is answered 503 during the whole shutdown: the stop stays, the status says so, and the
    next start finishes the work."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        a.fault(kind="error_before", method="POST", path=ORDER, status=503, msg="Service Unavailable.")
        sent_before = len(a.requests("POST", "/fapi/v1/order"))
        assert a.stop_bot() != 0
        assert a.covered(), "the survivor keeps its stop"
        assert len(a.requests("POST", "/fapi/v1/order")) - sent_before <= 12, "bounded retries"
        assert "LIQUIDATION_FAILED" in (a.folder / "home" / "logs" / "audit.jsonl").read_text()
        a.heal()
        a.start_bot()
        a.until(lambda: a.truth()["flat"], "the unfinished liquidation resumed", STARTED_S)
        a.assert_flat_end()
