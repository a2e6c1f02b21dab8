"""What the exchange says before anything is traded: keys, rights and symbols, on all three."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from holdfast.cli.exits import Exit, Failure
from holdfast.cli.preflight import preflight
from holdfast.cli.runbot import _holds
from holdfast.domain.account import PositionMode
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from holdfast.runtime.clock import RealClock
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.faults import read_fault
from holdfast.simulator.server import ServerConfig, SimulatorServer
from holdfast.store.books import open_trade
from holdfast.store.database import open_store
from holdfast.store.home import Home
from holdfast.store.words import TradeStatus
from tests.engine.world import BTC, KEY, PASSPHRASE, SECRET, settings

from .demo.test_judge import trade
from .run import holdfast

EXCHANGES = ("binance", "bingx", "bitget")
NOWHERE = Symbol.parse("NOWHERE/USDT")


class Desk:
    """A simulated exchange, and one account's adapter."""

    def __init__(self, name, server, shared):
        self.name, self.server, self.shared = name, server, shared
        self.exchange = self._made(SECRET, PASSPHRASE)

    def _made(self, secret, passphrase):
        return make_exchange(
            self.name,
            credentials=Credentials(KEY, Secret(secret), Secret(passphrase)),
            base_url=self.server.url,
            clock=self.shared.clock,
            shared=self.shared,
        )

    async def look(self, *symbols, holding=False, secret=SECRET, passphrase=PASSPHRASE):
        """What the look says of these symbols and this key."""
        made = settings(self.server.url, symbols or (BTC,), exchange=self.name)
        return await preflight(self._made(secret, passphrase), made, lambda: holding)

    @property
    def account_id(self):
        return self.server.core.account_by_key(KEY).account_id

    def posted(self):
        """Requests that could have changed something."""
        return [each for each in self.server.log.listing() if each.method != "GET"]


@asynccontextmanager
async def desk(name):
    clock = RealClock()
    market = generated_market((BTC,), start_ms=clock.now_ms() // 60_000 * 60_000, seed=3)
    one_way = Switches(position_mode=PositionMode.ONE_WAY)
    config = ServerConfig(exchange=name, read_lag_ms=(0, 0), bingx=one_way)
    server = SimulatorServer(config, market, clock)
    server.app.name_account(KEY, SECRET, None, PASSPHRASE)
    await server.start()
    shared = ExchangeShared(
        clock=clock, random=random.Random(1), settings=ExchangeSettings(request_timeout_s=0.5)
    )
    try:
        yield Desk(name, server, shared)
    finally:
        await shared.close()
        await server.stop()


@pytest.mark.parametrize("name", EXCHANGES)
async def test_good_keys_and_known_symbols_pass_and_nothing_is_sent(name):
    async with desk(name) as at:
        assert await at.look() == ()
        assert at.posted() == []


async def test_another_position_mode_than_configured_is_told():
    """New accounts of BingX are in hedge mode."""
    async with desk("bingx") as at:
        at.server.core.set_position_mode(at.account_id, PositionMode.HEDGE)
        (words,) = await at.look()
        assert words.startswith("the account is in hedge mode and engine.position_mode says one_way")


@pytest.mark.parametrize("name", EXCHANGES)
async def test_a_wrong_secret_is_one_sentence_even_while_something_is_open(name):
    async with desk(name) as at:
        with pytest.raises(
            Failure, match=f"keys: expected keys that {name} takes, found them refused: "
        ) as told:
            await at.look(secret="another-secret", holding=True)
        assert told.value.status is Exit.BAD_USE
        assert "another-secret" not in str(told.value)
        assert at.posted() == []


async def test_a_wrong_passphrase_is_named_and_never_shown():
    async with desk("bitget") as at:
        with pytest.raises(Failure, match=r"refused: 40012 .*check key, secret and passphrase") as told:
            await at.look(passphrase="open sesame")
        assert "sesame" not in str(told.value)


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("holding", [False, True])
async def test_an_unknown_symbol_is_refused_unless_something_of_ours_is_open(name, holding):
    words = f"symbols: expected perpetual contracts that {name} lists, found NOWHERE/USDT:USDT"
    async with desk(name) as at:
        if holding:
            assert await at.look(BTC, NOWHERE, holding=True) == (words,)
        else:
            with pytest.raises(Failure, match=words):
                await at.look(BTC, NOWHERE)
        assert at.posted() == []


async def test_an_account_that_may_not_trade_or_lets_money_go_is_told_where_the_exchange_tells():
    async with desk("binance") as at:
        at.server.core.set_rights(at.account_id, trade=False, withdraw=False)
        with pytest.raises(Failure, match="expected a key that may trade at binance, found one that may not"):
            await at.look()
        at.server.core.set_rights(at.account_id, trade=True, withdraw=True)
        (words,) = await at.look()
        assert "money can be withdrawn from this account" in words


@pytest.mark.parametrize("name", ["bingx", "bitget"])
async def test_where_no_answer_tells_rights_nothing_is_claimed(name):
    """Neither exchange has a question for it that we know of: the first order is refused (100004, 40014)."""
    async with desk(name) as at:
        at.server.core.set_rights(at.account_id, trade=False, withdraw=True)
        assert await at.look() == ()


@pytest.mark.parametrize("name", EXCHANGES)
async def test_an_account_that_gives_no_answer_is_no_reason_to_refuse(name):
    route = {"binance": "accountConfig", "bingx": "assetMode", "bitget": "account/account"}[name]
    async with desk(name) as at:
        at.server.faults.add(read_fault({"kind": "empty", "path": route}))
        assert await at.look() == ()


# --- the command itself ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def venues(tmp_path_factory):
    """The three exchanges in one process, with one named account each; exchange → address."""
    folder = tmp_path_factory.mktemp("venues")
    accounts = folder / "accounts.json"
    accounts.write_text(json.dumps([{"key": KEY, "secret": SECRET, "passphrase": PASSPHRASE}]))
    named = [part for name in EXCHANGES for part in ("--exchange", name)]
    ports = ("--port", "0", "--admin-port", "0", "--symbols", "BTC/USDT", "--seed", "3")
    command = [
        sys.executable,
        "-m",
        "holdfast",
        "simulator",
        "--json",
        "--accounts",
        accounts,
        *ports,
        *named,
    ]
    out = folder / "out"
    with out.open("wb") as file, subprocess.Popen(list(map(str, command)), stdout=file) as process:
        until = time.monotonic() + 60
        while b"\n" not in out.read_bytes() and time.monotonic() < until:
            time.sleep(0.05)
        told = json.loads(out.read_bytes().splitlines()[0])["exchanges"]
        yield {each["exchange"]: each["url"] for each in told}
        process.terminate()


@pytest.fixture
def run(monkeypatch, capsys, tmp_path, venues):
    def command(exchange, *arguments, secret=SECRET, passphrase=PASSPHRASE):
        monkeypatch.setenv("HOLDFAST_KEYS__API_KEY", KEY)
        monkeypatch.setenv("HOLDFAST_KEYS__API_SECRET", secret)
        if exchange == "bitget" and passphrase:
            monkeypatch.setenv("HOLDFAST_KEYS__PASSPHRASE", passphrase)
        where = ("--home", tmp_path / "home", "--port", "0", "--base-url", venues[exchange])
        return holdfast(monkeypatch, capsys, "run", "--exchange", exchange, *where, *arguments)

    return command


@pytest.mark.process
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_run_with_a_wrong_secret_ends_with_one_sentence(run, exchange):
    told = run(exchange, "--symbols", "BTC/USDT", secret="another-secret")
    assert told.status == Exit.BAD_USE
    assert f"keys: expected keys that {exchange} takes, found them refused: " in told.err
    assert "Traceback" not in told.err
    assert "another-secret" not in told.err


@pytest.mark.process
def test_run_with_a_wrong_or_missing_passphrase_ends_with_one_sentence(run, tmp_path):
    missing = run("bitget", passphrase="")
    assert missing.status == Exit.BAD_USE
    assert (
        "keys.passphrase: expected the passphrase of that key (bitget's have one), found nothing"
        in missing.err
    )
    assert not (tmp_path / "home").exists()
    wrong = run("bitget", "--symbols", "BTC/USDT", passphrase="open sesame")
    assert wrong.status == Exit.BAD_USE
    assert "refused: 40012" in wrong.err
    assert "sesame" not in wrong.err
    assert not [
        each for each in (tmp_path / "home").rglob("*") if each.is_file() and b"sesame" in each.read_bytes()
    ]


@pytest.mark.process
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_run_with_a_symbol_the_exchange_does_not_list_ends_with_one_sentence(run, exchange):
    told = run(exchange, "--symbols", "BTC/USDT,NOWHEREUSDT")
    assert told.status == Exit.BAD_USE
    assert f"expected perpetual contracts that {exchange} lists, found NOWHERE/USDT:USDT" in told.err


def test_something_is_held_when_the_books_or_an_unanswered_request_say_so(tmp_path):
    """Then a delisted symbol must not keep the bot from looking after it."""
    home = Home(tmp_path / "home")
    home.prepare()
    store = open_store(home.database)
    assert not _holds(home, "demo")
    store.write(lambda c: open_trade(c, trade(id=0, status=TradeStatus.OPEN, quantity=Decimal("0.01"))))
    assert _holds(home, "demo")
    assert not _holds(home, "another")
    store.close()
