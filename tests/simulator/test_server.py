"""Starting and stopping: what is refused, what is freed, what runs without a port."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from holdfast.domain.account import PositionMode
from holdfast.simulator.accounts import BadAccounts, read_accounts
from holdfast.simulator.core.market import generated_market
from holdfast.simulator.server import DIALECTS, CannotServe, ServerConfig, SimulatorServer
from tests.simulator.binance.raw import Raw
from tests.simulator.world import BTC, SYMBOLS, JumpClock, world


def server(**changes: object) -> SimulatorServer:
    market = generated_market((BTC,), history_ms=3_600_000)
    return SimulatorServer(ServerConfig(**changes), market, JumpClock())  # type: ignore[arg-type]


async def test_a_port_in_use_is_refused_in_one_sentence():
    async with world() as w:
        second = server(port=w.server.port)
        with pytest.raises(
            CannotServe, match=f"^port: expected a free port, found 127.0.0.1:{w.server.port}"
        ):
            await second.start()


def test_an_unknown_exchange_is_refused():
    with pytest.raises(CannotServe, match=r"expected one of binance, .*found 'mtgox'"):
        server(exchange="mtgox")


async def test_stopping_frees_the_ports_and_can_be_repeated():
    first = server()
    await first.start()
    port = first.port
    await first.stop()
    await first.stop()
    again = server(port=port)
    await again.start()
    assert again.port == port
    await again.stop()


async def test_stopping_lets_go_of_sockets_and_hanging_requests():
    async with world() as w:
        await w.fault(kind="lost_request", path="/time$")
        hanging = asyncio.ensure_future(Raw(w).public("/fapi/v1/time"))
        async with w.http.ws_connect(w.server.url + "/market/ws/btcusdt@aggTrade") as ws:
            await asyncio.sleep(0.1)
            begun = asyncio.get_running_loop().time()
            stopping = asyncio.ensure_future(w.server.stop())
            with pytest.raises(aiohttp.ClientError):
                await hanging
            message = await ws.receive(timeout=2)
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await ws.receive(timeout=2)
            assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
            await stopping
            assert asyncio.get_running_loop().time() - begun < 3


async def test_the_driver_keeps_the_market_going_without_requests():
    async with world() as w:
        before = w.server.core.now_ms
        await asyncio.sleep(1.2)
        assert w.server.core.now_ms > before


async def test_without_a_port_it_makes_protocols_for_any_transport():
    alone = server()
    await alone.start(listen=False)
    assert alone.exchange_server() is not None
    assert alone.admin_server() is not None
    with pytest.raises(CannotServe, match="that listens"):
        _ = alone.port
    await alone.stop()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected JSON"),
        ("{}", "expected a list"),
        ("[]", "expected a list of accounts with at least one"),
        ("[1]", "entry 1: expected an object, found int"),
        ('[{"key": "a"}]', "entry 1: secret: expected text, found None"),
        (
            '[{"key": "a", "secret": "b", "colour": 1}]',
            "entry 1: expected key, secret, wallet, passphrase, position_mode, found 'colour'",
        ),
        ('[{"key": "a", "secret": "b", "wallet": "x"}]', "entry 1: wallet: expected a number"),
        ('[{"key": "a", "secret": "b", "wallet": -1}]', "entry 1: wallet: expected 0 or more"),
        (
            '[{"key": "a", "secret": "b", "position_mode": "both"}]',
            "entry 1: position_mode: expected one_way or hedge, found 'both'",
        ),
        ('[{"key": "a", "secret": "b"}, {"key": "a", "secret": "c"}]', "expected each key once, found 'a'"),
    ],
)
def test_a_bad_accounts_file_is_refused_in_one_sentence(tmp_path, text, words):
    path = tmp_path / "accounts.json"
    path.write_text(text)
    with pytest.raises(BadAccounts) as caught:
        read_accounts(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("exchange", ["binance", "bingx", "bitget"])
@pytest.mark.parametrize("mode", list(PositionMode))
def test_an_accounts_file_says_in_which_position_mode_they_are(tmp_path, exchange, mode):
    path = tmp_path / "accounts.json"
    path.write_text(json.dumps([{"key": "a", "secret": "b", "position_mode": mode}]))
    made = server(exchange=exchange, accounts_file=path)
    assert made.core.account_by_key("a").position_mode is mode


def test_a_missing_accounts_file_is_named(tmp_path):
    with pytest.raises(BadAccounts, match="No such file"):
        read_accounts(tmp_path / "none.json")


async def test_exchanges_over_one_market_have_the_same_prices_and_their_own_accounts():
    market, clock = generated_market(SYMBOLS, history_ms=600_000, seed=7), JumpClock()
    servers = [SimulatorServer(ServerConfig(exchange=name, seed=7), market, clock) for name in DIALECTS]
    for one in servers:
        await one.start()
    try:
        for _ in range(40):
            clock.jump(1_700)
            now_ms = clock.now_ms()
            for one in servers:
                one.core.advance(now_ms)
            for symbol in SYMBOLS:
                lasts = [float(one.core.prices(symbol).last) for one in servers]
                ticks = [float(one.core.instrument(symbol).price_step) for one in servers]
                assert max(lasts) - min(lasts) <= max(ticks)
        servers[0].app.name_account("one", "secret", None)
        assert [len(one.core.accounts()) for one in servers] == [1] + [0] * (len(servers) - 1)
    finally:
        for one in servers:
            await one.stop()
