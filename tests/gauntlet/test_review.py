"""Drills for what a review found broken; each judged by the simulator's own truth."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.gauntlet.arena import BTC, ETH, KEY, SECRET, STARTED_S, Arena, arena

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def order(a: Arena, path: str, **body: object) -> dict[str, Any]:
    """An operator's order over the bot's HTTP interface."""
    home = a.folder / "home"
    port = json.loads((home / "bot.json").read_text())["port"]
    token = (home / "api_token").read_text().strip()
    answer = httpx.post(
        f"http://127.0.0.1:{port}{path}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=20,
    )
    return dict(answer.json())


def by_hand(a: Arena, path: str, **params: str) -> None:
    """The account's owner with the same key, from another program."""
    query = urlencode(params | {"timestamp": str(int(time.time() * 1000))})
    signature = hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    url = f"{a.url}{path}?{query}&signature={signature}"
    httpx.post(url, headers={"X-MBX-APIKEY": KEY}, timeout=10).raise_for_status()


@contextmanager
def locked(a: Arena) -> Iterator[None]:
    """Somebody else holds the database's write lock."""
    with closing(sqlite3.connect(a.folder / "home" / "trading.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")


def told(a: Arena, words: str) -> bool:
    return words in (a.folder / "home" / "logs" / "bot.log").read_text()


def test_kill_and_close_wait_for_no_database(tmp_path: Path) -> None:
    """G26 with G30: the database is locked when the operator kills: in force and flat at once, and written
    as soon as it can be."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        with locked(a):
            answer = order(a, "/kill", reason="drill", liquidate=True)
            assert answer["state"] == "killed"
            assert a.truth()["flat"], answer
            assert "ORDER_NOT_DURABLE" in a.alerts()
        lasting = "select * from operator_state where state = 'killed'"
        a.until(lambda: a._rows(lasting) != [], "a kill that lasts")
        a.wish(ETH="long")
        a.stays(lambda: a.position(ETH) == 0, "no entry", 1.5)
        assert not told(a, "error.unexpected")


def test_tick_changed_in_flight_does_not_keep_a_position_naked(tmp_path: Path) -> None:
    """G31: the tick grows while a position is open and its stop is cancelled: a stop by the new rule."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        a.post("/filters", symbol=BTC, price_step="50")
        a.post("/cancel", account=KEY, symbol=BTC, what="stops")
        a.until(lambda: a.covered() and len(a.stops()) == 1, "a stop by the new rule")
        assert float(a.stops()[0]["trigger_price"]) % 50 == 0
        assert a.truth()["exits"] == 0, "a changed rule is no reason to leave"
        a.post("/status", symbol=ETH, status="CLOSE")
        a.wish(ETH="long")
        a.until(lambda: "NOT_TRADABLE" in a.alerts(), "the operator to be told")
        sent = len(a.requests("POST", "/fapi/v1/order"))
        a.stays(lambda: len(a.requests("POST", "/fapi/v1/order")) == sent, "no more entries", 1.5)
        a.wish()
        a.assert_flat_end()


def test_hanging_read_of_positions_does_not_keep_them_open(tmp_path: Path) -> None:
    """The positions cannot be read during the shutdown: closed all the same, and not called a success."""
    with arena(tmp_path, liquidation_s=8.0) as a:
        a.enter_and_protect()
        a.fault(kind="lost_request", method="GET", path="positionRisk")
        assert a.stop_bot() != 0, "nothing was confirmed"
        assert a.truth()["flat"], a.said()


def test_stop_while_starting_is_no_crash_of_the_last_run(tmp_path: Path) -> None:
    """Closed by hand while the bot was dead, told to stop right after its start: flat, nothing left, and
    the shutdown that begins is not taken for one that failed. Then the position mode is changed by hand:
    told after one refusal."""
    with arena(tmp_path) as a:
        a.enter_and_protect()
        a.kill_bot()
        a.post("/close", account=KEY, symbol=BTC)
        a.start_bot()
        a.assert_flat_end()
        assert not told(a, "LIQUIDATION_UNFINISHED")
        a.start_bot()
        by_hand(a, "/fapi/v1/positionSide/dual", dualSidePosition="true")
        sent = len(a.requests("POST", "/fapi/v1/order"))
        a.wish(BTC="long")
        a.until(lambda: "ACCOUNT_DRIFT" in a.alerts(), "the operator to be told", STARTED_S)
        a.stays(lambda: a.truth()["flat"], "no entry in the wrong mode", 1.5)
        assert len(a.requests("POST", "/fapi/v1/order")) - sent <= 2
