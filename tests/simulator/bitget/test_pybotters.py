"""pybotters, a client with nothing of ccxt in it, signs, logs in and trades on a simulated Bitget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pybotters
import pybotters.auth
import pybotters.ws
import pytest

from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import BTCUSDT, MIX
from tests.simulator.world import World

HOST = "127.0.0.1"
KEY, SECRET, PASSPHRASE = "named", "deep", "word"
ORDER = {"marginMode": "crossed", "side": "buy", "orderType": "market", "size": "0.01"}


@asynccontextmanager
async def client(w: World, patch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """It finds the way to sign by the host's name, and takes the time from the machine."""
    await w.admin("POST", "/accounts", key=KEY, secret=SECRET, passphrase=PASSPHRASE)
    clock = SimpleNamespace(time=lambda: w.clock.now_ms() / 1_000)
    for module in (pybotters.auth, pybotters.ws):
        patch.setattr(module, "time", clock)
    patch.setitem(pybotters.auth.Hosts.items, HOST, pybotters.auth.Hosts.items["api.bitget.com"])
    patch.setitem(pybotters.ws.AuthHosts.items, HOST, pybotters.ws.AuthHosts.items["ws.bitget.com"])
    patch.setitem(pybotters.ws.HeartbeatHosts.items, HOST, pybotters.ws.HeartbeatHosts.items["ws.bitget.com"])
    apis = {"bitget": [KEY, SECRET, PASSPHRASE]}
    async with pybotters.Client(apis=apis, base_url=w.server.url) as made:
        yield made


async def post(made: Any, path: str, **fields: str) -> Any:
    async with made.post(path, data=BTCUSDT | fields) as answer:
        body = await answer.json()
        assert body["code"] == "00000", body
        return body["data"]


async def get(made: Any, path: str, **params: str) -> Any:
    async with made.get(path, params=BTCUSDT | params) as answer:
        body = await answer.json()
        assert body["code"] == "00000", body
        return body["data"]


async def until(seen: Callable[[], Any]) -> Any:
    for _ in range(100):
        if seen():
            return seen()
        await asyncio.sleep(0.05)
    raise AssertionError("waited five seconds in vain")


async def test_it_places_finds_and_cancels_stops_over_rest(monkeypatch: pytest.MonkeyPatch):
    async with bitget() as w, client(w, monkeypatch) as made:
        ticker = (await get(made, f"{MIX}/market/ticker"))[0]
        await post(made, f"{MIX}/order/place-order", **ORDER)
        trigger = f"{float(ticker['lastPr']) * 0.97:.1f}"
        stop = {
            "planType": "pos_loss",
            "triggerPrice": trigger,
            "triggerType": "mark_price",
            "holdSide": "buy",
        }
        placed = await post(made, f"{MIX}/order/place-tpsl-order", **stop)
        found = await get(made, f"{MIX}/order/orders-plan-pending", planType="profit_loss")
        assert [row["orderId"] for row in found["entrustedList"]] == [placed["orderId"]]
        held = (await get(made, f"{MIX}/position/all-position"))[0]
        assert (held["total"], held["stopLossId"]) == ("0.01", placed["orderId"])
        await post(made, f"{MIX}/order/close-positions")
        assert await get(made, f"{MIX}/position/all-position") == []


async def test_its_stores_follow_the_private_channels(monkeypatch: pytest.MonkeyPatch):
    async with bitget() as w, client(w, monkeypatch) as made:
        store = pybotters.BitgetV2DataStore()
        channels = ("orders", "orders-algo", "positions", "fill", "positions-history")
        args = [{"instType": "USDT-FUTURES", "channel": name, "instId": "default"} for name in channels]
        args.append({"instType": "USDT-FUTURES", "channel": "account", "coin": "default"})
        await made.ws_connect(
            w.server.url.replace("http", "ws") + "/v2/ws/private",
            send_json={"op": "subscribe", "args": args},
            hdlr_json=store.onmessage,
        )
        await until(store.account.find)
        await post(made, f"{MIX}/order/place-order", **ORDER)
        assert (await until(store.positions.find))[0]["total"] == "0.01"
        trigger = f"{float(w.server.core.prices(w.server.core.symbols()[0]).last) * 0.97:.1f}"
        stop = {
            "planType": "pos_loss",
            "triggerPrice": trigger,
            "triggerType": "fill_price",
            "holdSide": "buy",
        }
        await post(made, f"{MIX}/order/place-tpsl-order", **stop)
        assert (await until(store.orders_algo.find))[0]["planType"] == "psl"
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
        w.jump(5)
        await until(store.positions_history.find)
        assert store.positions.find() == store.orders_algo.find() == store.orders.find() == []
        assert [fill["side"] for fill in store.fill.find()] == ["buy", "sell"]


async def test_its_book_is_the_exchanges(monkeypatch: pytest.MonkeyPatch):
    async with bitget() as w, client(w, monkeypatch) as made:
        store = pybotters.BitgetV2DataStore()
        arg = {"instType": "USDT-FUTURES", "channel": "books", "instId": "BTCUSDT"}
        await made.ws_connect(
            w.server.url.replace("http", "ws") + "/v2/ws/public",
            send_json={"op": "subscribe", "args": [arg]},
            hdlr_json=store.onmessage,
        )
        await until(store.book.find)
        for _ in range(8):
            w.jump(2)
            await asyncio.sleep(0.1)
        book = store.book.sorted(limit=10)
        there = await get(made, f"{MIX}/market/merge-depth", limit="10")
        for side in ("bids", "asks"):
            assert [[level["price"], level["amount"]] for level in book[side]] == there[side]
