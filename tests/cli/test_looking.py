"""Commands that look at an account from outside its bot: doctor, risk-monitor, check positions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.cli.exits import Exit
from holdfast.domain.orders import Direction
from holdfast.store.database import open_store
from holdfast.store.flags import get_flag
from holdfast.store.home import Home
from tests.engine.world import BTC, KEY, PASSPHRASE, SECRET, RunningBot, World, world

from .run import Ran, holdfast

EXCHANGES = ("binance", "bingx", "bitget")
Look = Callable[..., "asyncio.Future[Ran]"]


class Desk:
    """A simulated exchange, a bot's home there, and the command line beside it."""

    def __init__(
        self, at: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.at, self.monkeypatch, self.capsys = at, monkeypatch, capsys
        home = Home(at.home)
        home.prepare()
        home.api_token()
        account = {"id": "main", "exchange": at.exchange, "base_url": at.server.url}
        lines = [f'{name} = "{value}"' for name, value in account.items()]
        (at.home / "holdfast.toml").write_text("\n".join(['symbols = ["BTC/USDT"]', "[account]", *lines]))
        monkeypatch.setenv("HOLDFAST_KEYS__API_KEY", KEY)
        monkeypatch.setenv("HOLDFAST_KEYS__API_SECRET", SECRET)
        if at.exchange == "bitget":
            monkeypatch.setenv("HOLDFAST_KEYS__PASSPHRASE", PASSPHRASE)

    async def run(self, *arguments: str) -> Ran:
        command = (*arguments, "--home", str(self.at.home))
        return await asyncio.to_thread(holdfast, self.monkeypatch, self.capsys, *command)

    async def held(self, running: RunningBot) -> None:
        self.at.strategy.wishes = {BTC: Direction.LONG}
        await running.until(lambda: bool(self.at.truth().positions), "a position")
        await running.until(lambda: not self.at.truth().unprotected_now, "a stop")
        await running.until(lambda: bool(running.bot.view.positions), "its row in the books")
        self.at.strategy.wishes = {}

    def flag(self) -> int:
        store = open_store(self.at.home / "trading.db", read_only=True)
        try:
            found = store.read(lambda c: get_flag(c, f"{self.at.exchange}_stoploss_missing", "main"))
            return found.value if found else 0
        finally:
            store.close()


@asynccontextmanager
async def desk(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], exchange: str
) -> AsyncIterator[Desk]:
    async with world(home, exchange=exchange, symbols=(BTC,)) as at:
        yield Desk(at, monkeypatch, capsys)


@pytest.mark.parametrize("exchange", EXCHANGES)
async def test_what_is_well_and_what_is_not(tmp_path, monkeypatch, capsys, exchange: str) -> None:
    """Beside a bot that holds a position all is well; then it dies, and its stop and position go."""
    async with desk(tmp_path, monkeypatch, capsys, exchange) as at:
        async with at.at.bot() as running:
            await at.held(running)
            healthy = await at.run("doctor")
            assert healthy.status == Exit.FINE, healthy
            assert "every position has a stop at the exchange" in healthy.out
            assert (await at.run("risk-monitor", "--check-stoploss")).out == "stoploss_missing=[]\n"
            synced = await at.run("check", "positions", "--json")
            assert (synced.status, json.loads(synced.out)) == (Exit.FINE, {"compared": 1, "differences": []})
        core, account = at.at.server.core, at.at.account_id
        assert core.cancel_stops_by_hand(account, BTC) == 1
        naked = await at.run("risk-monitor", "--check-stoploss", "--exchange", exchange)
        assert (naked.status, naked.out) == (Exit.FAILED, 'stoploss_missing=["BTC/USDT:USDT"]\n')
        assert at.flag() == 1
        metric = (tmp_path / "metrics" / f"{exchange}_stoploss_missing.prom").read_text()
        assert f'{exchange}_stoploss_missing{{account="main",exchange="{exchange}"}} 1\n' in metric
        sick = await at.run("doctor", "--json")
        assert sick.status == Exit.GUARANTEE_VIOLATED
        assert [row["examined"] for row in json.loads(sick.out) if row["level"] == "violated"] == ["stops"]
        core.close_by_hand(account, BTC)
        told = await at.run("check", "positions")
        assert told.status == Exit.FAILED
        assert "exchange 0" in told.err
        assert "1 positions compared, 1 differ" in told.err
        assert (await at.run("risk-monitor", "--check-stoploss")).status == Exit.FINE
        assert at.flag() == 0


async def test_what_cannot_be_asked_is_neither_well_nor_missing(tmp_path, monkeypatch, capsys) -> None:
    async with desk(tmp_path, monkeypatch, capsys, "binance") as at:
        async with at.at.bot() as running:
            await at.held(running)
        at.at.fault(kind="endpoint_down", path="openAlgoOrders")
        told = await at.run("risk-monitor", "--check-stoploss")
        assert (told.status, told.out) == (Exit.NOT_KNOWN, "")
        assert "stops: expected an answer of the exchange" in told.err
        assert at.flag() == 0, "the flag says what was seen last"
        at.at.fault(kind="endpoint_down", path="positionRisk")
        told = await at.run("check", "positions")
        assert (told.status, told.out) == (Exit.NOT_KNOWN, "")
        sick = await at.run("doctor")
        assert sick.status == Exit.FAILED
        assert "found: " in sick.out


async def test_the_doctor_tells_what_stands_in_the_way(tmp_path, monkeypatch, capsys) -> None:
    """A wrong secret hides nothing else; an exchange that is not there ends it early, in one row."""
    async with desk(tmp_path, monkeypatch, capsys, "bitget") as at:
        monkeypatch.setenv("HOLDFAST_KEYS__API_SECRET", "another-secret-0123456789")
        told = await at.run("doctor", "--json")
        levels = {row["examined"]: row["level"] for row in json.loads(told.out)}
        assert told.status == Exit.FAILED
        assert (levels["exchange"], levels["clock"], levels["account"], levels["stops"]) == (
            "fine",
            "fine",
            "fault",
            "fault",
        )
        assert "another-secret" not in told.out + told.err
        nobody = await at.run("doctor", "--base-url", "http://127.0.0.1:9")
        assert nobody.status == Exit.FAILED
        assert "expected bitget to answer" in " ".join(nobody.out.split())


async def test_only_this_homes_account_is_looked_at(tmp_path, monkeypatch, capsys) -> None:
    async with desk(tmp_path, monkeypatch, capsys, "binance") as at:
        for option in (("--check-bitget-stoploss",), ("--check-stoploss", "--account", "another")):
            told = await at.run("risk-monitor", *option)
            assert (told.status, told.out) == (Exit.BAD_USE, "")
            assert "expected the one of this home" in told.err
        assert (await at.run("risk-monitor")).status == Exit.BAD_USE
