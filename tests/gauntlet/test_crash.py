"""kill -9 at the worst moments, with real processes: nothing doubled, protected or flat after the restart."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.gauntlet.arena import ALGO, BTC, ETH, KEY, ORDER, STARTED_S, Arena, arena

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def _restarted_whole(a: Arena) -> None:
    """After a restart: every position covered once, books true, and nothing was doubled."""
    a.start_bot()
    a.until(lambda: _safe(a), "protected or flat", STARTED_S)
    a.stays(lambda: _safe(a), "protected or flat", 1.5)
    truth = a.truth()
    held = {p["symbol"]: abs(float(p["quantity"])) for p in truth["positions"]}
    for symbol in held:
        a.until(lambda s=symbol: len(a.stops(s)) == 1, "exactly one stop")
    a.until(
        lambda: {t["symbol"]: float(t["quantity"]) for t in a.trades() if t["status"] == "open"} == held,
        "books that match the exchange",
    )
    a.assert_never_doubled()


def _safe(a: Arena) -> bool:
    return all(p["covered"] for p in a.truth()["positions"])


@pytest.mark.parametrize("fault", ["delay", "delay_reply"])
def test_kill_9_during_entry(tmp_path: Path, fault: str) -> None:
    """Killed while the entry travels (before or after its effect): one order at most, protected."""
    with arena(tmp_path) as a:
        a.fault(kind=fault, method="POST", path=ORDER, delay_ms=1500)
        a.wish(BTC="long")
        a.until(lambda: bool(_orders_sent(a)), "an entry on its way", STARTED_S)
        time.sleep(0.3)
        a.kill_bot()
        a.wish()
        time.sleep(2)
        a.heal()
        _restarted_whole(a)
        assert a.truth()["entries"] <= 1
        a.assert_flat_end()


@pytest.mark.parametrize("fault", ["delay", "delay_reply"])
def test_kill_9_during_protection(tmp_path: Path, fault: str) -> None:
    """Killed while the stop travels: after the restart exactly one stop stands."""
    with arena(tmp_path, deadline_ms=30_000) as a:
        a.fault(kind=fault, method="POST", path=ALGO, delay_ms=1500)
        a.wish(BTC="long")
        a.until(lambda: a.position() != 0, "a position", STARTED_S)
        time.sleep(0.4)
        a.kill_bot()
        a.wish()
        time.sleep(2)
        a.heal()
        _restarted_whole(a)
        assert a.truth()["entries"] == 1
        a.assert_flat_end()


def test_kill_9_during_liquidation_is_resumed(tmp_path: Path) -> None:
    """Killed while two positions are being closed: the next start finishes what was begun."""
    with arena(tmp_path) as a:
        a.enter_and_protect("BTC")
        a.enter_and_protect("ETH", "short")
        a.fault(kind="delay", method="POST", path=ORDER, delay_ms=1500)
        assert a.bot is not None
        a.bot.terminate()
        time.sleep(0.5)
        a.kill_bot()
        a.heal()
        covered_or_flat = all(p["covered"] for p in a.truth()["positions"])
        assert covered_or_flat, "stops go last"
        a.start_bot()
        a.until(lambda: a.truth()["flat"], "the liquidation resumed", STARTED_S)
        a.assert_never_doubled()
        assert a.position(BTC) == a.position(ETH) == 0
        # What is opened since is not part of that liquidation: another crash must not close it.
        a.enter_and_protect("BTC")
        a.kill_bot()
        a.start_bot()
        a.stays(lambda: a.position(BTC) != 0 and a.covered(BTC), "the new position, protected", 2)
        a.assert_flat_end()


def test_kill_9_twice_in_a_row_changes_nothing(tmp_path: Path) -> None:
    """Two crashes with a position open: the same position, one stop, and no second entry."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        held = a.position()
        for _ in range(2):
            a.kill_bot()
            a.start_bot()
            time.sleep(1)
        a.stays(lambda: a.position() == held and len(a.stops()) == 1, "unchanged", 2)
        a.assert_never_doubled()
        a.assert_flat_end()


def _orders_sent(a: Arena) -> bool:
    """Whether the journal holds an entry: the request is on its way or about to be."""
    database = a.folder / "home" / "trading.db"
    return database.exists() and bool(a.intents("enter"))


def test_kill_switch_file_latches_over_a_restart(tmp_path: Path) -> None:
    """A KILL file in the home halts entries, keeps the stop, and a restart does not lift it."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        (a.folder / "home" / "KILL").write_text("drill")
        time.sleep(1.5)
        a.wish(ETH="long")
        a.stays(lambda: a.position(ETH) == 0 and a.covered(), "no entry, still protected", 3)
        a.kill_bot()
        (a.folder / "home" / "KILL").unlink()
        a.start_bot()
        time.sleep(4)
        a.stays(lambda: a.position(ETH) == 0 and a.covered(), "no entry, still protected", 2)
        assert a.http.get(f"{a.admin}/truth", params={"account": KEY}).json()["entries"] == 1
        a.assert_flat_end()
