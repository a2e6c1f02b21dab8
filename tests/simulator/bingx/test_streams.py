"""The socket of the simulated BingX: gzip, Ping and Pong, topics, the user stream and its end."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from holdfast.simulator.bingx.config import Switches
from tests.simulator.bingx.clients import BINGX, KEY, Raw
from tests.simulator.world import World, world


class Ear:
    """Hears frames, answers pings unless it is deaf."""

    def __init__(self, running: World, ws: aiohttp.ClientWebSocketResponse, *, deaf: bool = False) -> None:
        self.world, self.ws, self.deaf = running, ws, deaf
        self.frames: list[Any] = []
        self.pings = 0

    async def subscribe(self, topic: str, kind: str = "sub") -> Any:
        await self.ws.send_json({"id": f"id-{topic}", "reqType": kind, "dataType": topic})
        return await self.until(lambda frame: frame.get("id") == f"id-{topic}")

    async def until(self, fits: Callable[[Any], bool]) -> Any:
        """The next frame that *fits*, while market time passes."""
        async with asyncio.timeout(10):
            while True:
                frame = await self.next()
                if frame is not None and fits(frame):
                    return frame

    async def event(self, name: str, execution: str = "") -> Any:
        return await self.until(
            lambda frame: frame.get("e") == name and (not execution or frame["o"]["x"] == execution)
        )

    async def next(self) -> Any:
        """One frame; None for a ping or when nothing came for a moment."""
        try:
            message = await asyncio.wait_for(self.ws.receive(), 0.05)
        except TimeoutError:
            self.world.jump(1)
            return None
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise ConnectionError(f"closed with {message.data}")
        text = gzip.decompress(message.data)
        if text == b"Ping":
            self.pings += 1
            if not self.deaf:
                await self.ws.send_str("Pong")
            return None
        self.frames.append(json.loads(text))
        return self.frames[-1]


@asynccontextmanager
async def ear(running: World, query: str = "", *, deaf: bool = False) -> AsyncIterator[Ear]:
    async with running.http.ws_connect(f"{running.server.url}/swap-market{query}") as ws:
        yield Ear(running, ws, deaf=deaf)


async def listen_key(raw: Raw) -> str:
    return str((await raw.signed("POST", "user/auth/userDataStream")).json["listenKey"])


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with world(BINGX) as running:
        yield Raw(running)


# --- topics ----------------------------------------------------------------------------------------


async def test_frames_are_binary_gzip_and_answers_carry_the_id(raw: Raw) -> None:
    async with ear(raw.world) as listener:
        answer = await listener.subscribe("BTC-USDT@ticker")
        assert answer == {
            "id": "id-BTC-USDT@ticker",
            "code": 0,
            "msg": "",
            "dataType": "",
            "data": None,
        }
        frame = await listener.until(lambda one: one.get("dataType") == "BTC-USDT@ticker")
        assert float(frame["data"]["B"]) < float(frame["data"]["A"])


@pytest.mark.parametrize("topic", ["BTCUSDT@ticker", "BTC-USDT@nothing", "NOPE-USDT@trade", ""])
async def test_an_unknown_topic_is_refused(raw: Raw, topic: str) -> None:
    async with ear(raw.world) as listener:
        assert (await listener.subscribe(topic))["code"] == 80014


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"id": "id-", "reqType": "do"}'])
async def test_what_makes_no_sense_is_refused(raw: Raw, text: str) -> None:
    async with ear(raw.world) as listener:
        await listener.ws.send_str(text)
        assert (await listener.until(lambda frame: "code" in frame))["code"] == 80014


async def test_one_socket_hears_two_hundred_topics_at_most(raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.simulator.bingx.tongue.TOPICS_MAX", 2)
    async with ear(raw.world) as listener:
        assert (await listener.subscribe("BTC-USDT@ticker"))["code"] == 0
        assert (await listener.subscribe("ETH-USDT@ticker"))["code"] == 0
        assert (await listener.subscribe("BTC-USDT@ticker"))["code"] == 0
        assert (await listener.subscribe("XRP-USDT@ticker"))["code"] == 80403


async def test_what_is_unsubscribed_is_silent(raw: Raw) -> None:
    async with ear(raw.world) as listener:
        await listener.subscribe("BTC-USDT@bookTicker")
        await listener.until(lambda frame: frame.get("dataType") == "BTC-USDT@bookTicker")
        await listener.subscribe("BTC-USDT@bookTicker", "unsub")
        listener.frames.clear()
        for _ in range(5):
            await listener.next()
        assert listener.frames == []


async def test_increments_rebuild_the_book(raw: Raw) -> None:
    """`all` first, then changes; a quantity of zero deletes."""
    async with ear(raw.world) as listener:
        await listener.subscribe("BTC-USDT@incrDepth")
        first = await listener.until(lambda frame: "action" in (frame.get("data") or {}))
        assert first["data"]["action"] == "all"
        book = dict(first["data"]["bids"])
        for _ in range(5):
            frame = await listener.until(lambda one: "action" in (one.get("data") or {}))
            assert frame["data"]["action"] == "update"
            for price, size in frame["data"]["bids"]:
                book[price] = size
                if float(size) == 0:
                    del book[price]
        _, bids, _ = raw.world.server.app.venue.books.read(raw.world.server.core.symbols()[0], 100)
        assert book == dict(bids)


async def test_no_socket_is_served_elsewhere(raw: Raw) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await raw.world.http.ws_connect(f"{raw.world.server.url}/ws")


# --- Ping and Pong ---------------------------------------------------------------------------------


@pytest.mark.parametrize("deaf", [False, True])
async def test_who_does_not_answer_pings_is_disconnected(monkeypatch: pytest.MonkeyPatch, deaf: bool) -> None:
    monkeypatch.setattr("holdfast.simulator.bingx.tongue.PING_EVERY_S", 0.1)
    impatient = replace(BINGX, bingx=Switches(pong_within_s=0.35))
    async with world(impatient) as running, ear(running, deaf=deaf) as listener:
        if deaf:
            with pytest.raises(ConnectionError):
                await listener.until(lambda _frame: False)
        else:
            for _ in range(20):
                await listener.next()
        assert listener.pings >= 1
        assert listener.ws.closed is deaf


# --- the user stream -------------------------------------------------------------------------------


async def test_the_stream_begins_with_the_settings_and_repeats_them(raw: Raw) -> None:
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        first = await listener.event("ACCOUNT_CONFIG_UPDATE")
        assert first["ac"]["mt"] == "cross"
        settings = {"symbol": "BTC-USDT", "side": "SHORT", "leverage": 17}
        await raw.signed("POST", "swap/v2/trade/leverage", **settings)
        again = await listener.until(lambda frame: frame.get("ac", {}).get("S") == 17)
        assert again["ac"]["l"] == first["ac"]["l"]
        assert again["E"] // 5_000 > first["E"] // 5_000


async def test_an_order_and_its_position_are_told(raw: Raw) -> None:
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        made = (await raw.order(side="SELL", positionSide="SHORT")).data["order"]
        placed = await listener.event("ORDER_TRADE_UPDATE", "NEW")
        filled = await listener.event("ORDER_TRADE_UPDATE", "TRADE")
        assert placed["o"]["i"] == filled["o"]["i"] == made["orderId"]
        assert (filled["o"]["X"], filled["o"]["ps"]) == ("FILLED", "SHORT")
        assert float(filled["o"]["n"]) < 0
        update = await listener.event("ACCOUNT_UPDATE")
        (row,) = update["a"]["P"]
        assert (row["pa"], row["ps"], row["mt"]) == ("0.01000000", "SHORT", "cross")
        await raw.order(side="BUY", positionSide="SHORT")
        gone = await listener.event("ACCOUNT_UPDATE")
        assert (gone["a"]["P"][0]["pa"], gone["a"]["P"][0]["ps"]) == ("0", "SHORT")


async def test_a_one_way_position_keeps_its_direction_when_it_ends(raw: Raw) -> None:
    await raw.one_way()
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        await raw.order(side="SELL", positionSide="BOTH")
        assert (await listener.event("ACCOUNT_UPDATE"))["a"]["P"][0]["ps"] == "SHORT"
        await raw.order(side="BUY", positionSide="BOTH", reduceOnly="true")
        (row,) = (await listener.event("ACCOUNT_UPDATE"))["a"]["P"]
        assert (row["pa"], row["ps"]) == ("0", "SHORT")


async def test_a_stop_is_told_from_placing_to_its_orders_fill(raw: Raw) -> None:
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        await raw.order()
        await listener.event("ORDER_TRADE_UPDATE", "TRADE")
        stop = (await raw.stop()).data["order"]
        placed = await listener.event("ORDER_TRADE_UPDATE", "NEW")
        assert (placed["o"]["i"], placed["o"]["o"]) == (stop["orderId"], "STOP_MARKET")
        await raw.world.admin("POST", "/price", symbol="BTCUSDT", ratio=0.95)
        raw.world.jump(60)
        child = await listener.event("ORDER_TRADE_UPDATE", "TRADE")
        assert (child["o"]["ti"], child["o"]["S"]) == (stop["orderId"], "SELL")
        assert child["o"]["i"] != stop["orderId"]


async def test_the_event_may_have_its_other_name() -> None:
    async with world(replace(BINGX, bingx=Switches(order_event="TRADE_UPDATE"))) as running:
        raw = Raw(running)
        async with ear(running, f"?listenKey={await listen_key(raw)}") as listener:
            await raw.order()
            assert (await listener.event("TRADE_UPDATE", "TRADE"))["o"]["X"] == "FILLED"


async def test_a_listen_key_that_ends_says_so_and_then_nothing(raw: Raw) -> None:
    key = await listen_key(raw)
    async with ear(raw.world, f"?listenKey={key}") as listener:
        await listener.event("ACCOUNT_CONFIG_UPDATE")
        await raw.world.admin("POST", "/expire-stream", account=KEY)
        assert (await listener.event("listenKeyExpired"))["listenKey"] == key
        listener.frames.clear()
        await raw.order()
        for _ in range(8):
            await listener.next()
        assert listener.frames == []


async def test_listen_keys_are_kept_alive_by_their_name(raw: Raw) -> None:
    key = await listen_key(raw)
    path = "user/auth/userDataStream"
    assert await listen_key(raw) == key
    raw.world.jump(1)
    assert (await raw.signed("PUT", path, listenKey=key)).raw == b""
    assert (await raw.signed("PUT", path)).status == 204
    raw.world.jump(1)
    assert (await raw.signed("PUT", path, listenKey="nobody")).status == 404
    assert (await raw.signed("DELETE", path, listenKey=key)).status == 200
    raw.world.jump(1)
    assert (await raw.signed("PUT", path, listenKey=key)).status == 404
    assert await listen_key(raw) != key


# --- faults ----------------------------------------------------------------------------------------


async def test_a_silent_stream_stays_open(raw: Raw) -> None:
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        await listener.event("ACCOUNT_CONFIG_UPDATE")
        await raw.world.fault(kind="ws_silent", stream="user")
        while await listener.next() is not None:
            pass
        listener.frames.clear()
        await raw.order()
        for _ in range(12):
            await listener.next()
        assert listener.frames == []
        assert not listener.ws.closed


async def test_events_are_lost_by_name_and_sockets_closed(raw: Raw) -> None:
    async with ear(raw.world, f"?listenKey={await listen_key(raw)}") as listener:
        await raw.world.fault(kind="events_dropped", path="ORDER_TRADE_UPDATE/TRADE")
        await raw.order()
        await listener.event("ACCOUNT_UPDATE")
        executions = [frame["o"]["x"] for frame in listener.frames if "o" in frame]
        assert executions == ["NEW"]
        await raw.world.fault(kind="ws_close", stream="user", times=1)
        with pytest.raises(ConnectionError):
            await listener.until(lambda _frame: False)
