"""`holdfast demo` as a user runs it: real processes, one clock, judged by the exchange."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from holdfast.cli.demo import children
from holdfast.cli.exits import Exit, Failure
from holdfast.store.home import Home
from tests.cli.run import holdfast

from .test_judge import NAMED


def demo(*arguments, **options):
    command = [sys.executable, "-m", "holdfast", "demo", "--headless", "--json", "--port", "0", *arguments]
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


@pytest.mark.process
@pytest.mark.timeout(330)
@pytest.mark.parametrize("exchange", ["binance", "bingx", "bitget"])
def test_a_demo_trades_protects_and_ends_flat(tmp_path, exchange):
    """Generated market: the first entry comes in its first minute."""
    home = tmp_path / "home"
    with demo("--exchange", exchange, "--minutes", "2", "--speed", "20", "--home", home) as process:
        out, err = process.communicate(timeout=300)
    summary = json.loads(out.splitlines()[-1])
    assert process.returncode == Exit.FINE, err
    assert set(summary) >= NAMED
    assert summary["entries"] >= 1
    assert summary["entries"] <= summary["exits"]
    assert (summary["flat"], summary["books_match_exchange"]) == (True, True)
    assert (summary["unprotected_now"], summary["duplicate_orders"], summary["errors"]) == (0, 0, 0)
    assert summary["liquidation_state"] == "COMPLETED"
    assert 0 < summary["effective_speed"] <= 20.5
    assert json.loads(Home(home).snapshot.read_text())["positions"] == []
    assert not (home / "bot.json").exists()
    token = Home(home).api_token().value
    assert token not in (home / "logs" / "bot.log").read_text()


@pytest.mark.process
@pytest.mark.timeout(330)
def test_a_demo_of_all_exchanges_has_one_market_three_bots_and_one_verdict(tmp_path):
    home = tmp_path / "home"
    with demo("--exchange", "all", "--minutes", "2", "--home", home) as process:
        out, err = process.communicate(timeout=300)
    assert process.returncode == Exit.FINE, err
    summary = json.loads(out.splitlines()[-1])
    assert list(summary["exchanges"]) == ["binance", "bingx", "bitget"]
    for name, one in summary["exchanges"].items():
        assert set(one) >= NAMED
        assert one["entries"] >= 1, name
        assert Home(home / name).address().exchange == name
    assert summary["entries"] == sum(one["entries"] for one in summary["exchanges"].values())
    assert (summary["flat"], summary["unprotected_now"], summary["duplicate_orders"]) == (True, 0, 0)


@pytest.mark.process
@pytest.mark.timeout(330)
def test_ctrl_c_at_any_time_ends_a_demo_in_order(tmp_path):
    with demo("--minutes", "600", "--home", tmp_path / "home") as process:
        log = tmp_path / "home" / "logs" / "bot.out"
        until = time.monotonic() + 60
        while not (log.exists() and "HTTP on" in log.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=250)
    summary = json.loads(out.splitlines()[-1])
    assert summary["flat"] is True, err
    assert summary["unprotected_now"] == 0
    assert process.returncode == (Exit.FINE if summary["entries"] else Exit.FAILED)


def test_a_demo_on_a_killed_home_asks_for_resume(monkeypatch, capsys, tmp_path):
    from holdfast.decisions.gate import OperatorState
    from holdfast.store.database import open_store
    from holdfast.store.home import ExchangeAddress
    from holdfast.store.operator import set_operator

    home = Home(tmp_path / "home")
    home.prepare()
    home.bind(ExchangeAddress(exchange="binance", base_url="http://127.0.0.1:1", mode="demo"))
    store = open_store(home.database)
    store.write(lambda c: set_operator(c, OperatorState.KILLED, "test", "storm", 1))
    store.close()
    told = holdfast(monkeypatch, capsys, "demo", "--headless", "--port", "0", "--home", home.path)
    assert told.status == Exit.BAD_USE
    assert "found it killed (storm); see holdfast resume" in told.err


async def test_a_child_does_not_get_the_settings_of_the_users_own_bot(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDFAST_RIKS__X", "1")
    monkeypatch.setenv("GLOBAL_KILL_SWITCH", "1")
    arguments = ("check", "config", "--home", str(tmp_path), "--json")
    extra = {"HOLDFAST_ACCOUNT__BASE_URL": "http://127.0.0.1:9"}
    child = await children.start("bot", arguments, tmp_path / "out", extra)
    told = await children.first_json(child, 30)
    assert told["address"] == "http://127.0.0.1:9"
    assert await child.process.wait() == Exit.FINE


async def test_a_process_that_dies_is_told_with_its_last_words(tmp_path):
    child = await children.start("simulator", ("nonsense",), tmp_path / "out", {})
    with pytest.raises(Failure, match="No such command 'nonsense'") as caught:
        await children.first_json(child, 20)
    assert caught.value.status is Exit.BAD_USE
    assert "ended by itself with status 2" in str(caught.value)


def test_a_demo_of_an_exchange_nobody_has_built_names_those_there_are(monkeypatch, capsys, tmp_path):
    told = holdfast(
        monkeypatch, capsys, "demo", "--headless", "--exchange", "kraken", "--home", tmp_path / "new"
    )
    assert told.status == Exit.BAD_USE
    assert "--exchange: expected one of binance, bingx, bitget, or all, found 'kraken'" in told.err
    assert not (tmp_path / "new").exists()


def test_a_demo_of_one_exchange_does_not_settle_in_the_home_of_another(monkeypatch, capsys, tmp_path):
    from holdfast.store.home import ExchangeAddress

    home = Home(tmp_path / "home")
    home.prepare()
    home.bind(ExchangeAddress(exchange="binance", base_url="http://127.0.0.1:1", mode="demo"))
    for exchange in ("bingx", "all"):
        told = holdfast(
            monkeypatch, capsys, "demo", "--headless", "--exchange", exchange, "--home", home.path
        )
        assert told.status == Exit.BAD_USE
        assert f"home {home.path}: expected " in told.err
