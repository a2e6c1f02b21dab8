"""Sockets by hand: paths, control frames, keys, pings, faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from tests.simulator.binance.raw import Raw
from tests.simulator.world import BTC, World, world


@asynccontextmanager
async def socket(w: World, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with w.http.ws_connect(w.server.url.replace("http", "ws", 1) + path, autoping=False) as ws:
        await asyncio.sleep(0.05)
        yield ws


async def heard(w: World, ws: aiohttp.ClientWebSocketResponse, seconds: float = 4) -> list[Any]:
    """What arrives while *seconds* of market time pass."""
    for _ in range(round(seconds)):
        w.jump(1)
    messages = []
    while True:
        try:
            message = await ws.receive(timeout=0.15)
        except TimeoutError:
            return messages
        if message.type is not aiohttp.WSMsgType.TEXT:
            return [*messages, message]
        messages.append(message.json())


@pytest.mark.parametrize(
    ("path", "event", "wrapped"),
    [
        ("/market/ws/btcusdt@aggTrade", "aggTrade", False),
        ("/market/ws/btcusdt@markPrice@1s", "markPriceUpdate", False),
        ("/market/ws/btcusdt@markPrice", "markPriceUpdate", False),
        ("/market/ws/btcusdt@kline_5m", "kline", False),
        ("/market/ws/btcusdt@ticker", "24hrTicker", False),
        ("/market/ws/btcusdt@miniTicker", "24hrMiniTicker", False),
        ("/public/ws/btcusdt@trade", "trade", False),
        ("/public/ws/btcusdt@bookTicker", "bookTicker", False),
        ("/public/ws/btcusdt@depth@100ms", "depthUpdate", False),
        ("/public/ws/btcusdt@depth20", "depthUpdate", False),
        ("/ws/btcusdt@aggTrade", "aggTrade", False),
        ("/market/stream?streams=btcusdt@aggTrade", "aggTrade", True),
        ("/stream?streams=btcusdt@bookTicker/btcusdt@depth5", "bookTicker", True),
        ("/public/ws/btcusdt@aggTrade", None, False),
        ("/market/ws/btcusdt@bookTicker", None, False),
        ("/private/ws/btcusdt@aggTrade", None, False),
        ("/market/ws/BTCUSDT@aggTrade", None, False),
        ("/market/ws/nosuch@aggTrade", None, False),
    ],
)
async def test_a_stream_is_served_on_its_category_only(path, event, wrapped):
    async with world() as w, socket(w, path) as ws:
        messages = await heard(w, ws)
        if event is None:
            assert messages == []
            return
        first = messages[0]
        assert ("stream" in first) is wrapped
        payload = first["data"] if wrapped else first
        assert (payload["e"], payload["s"], payload["st"]) == (event, "BTCUSDT", 1)


@pytest.mark.parametrize("name", ["!markPrice@arr@1s", "!ticker@arr", "!miniTicker@arr"])
async def test_streams_of_all_symbols_tell_of_all(name):
    async with world() as w, socket(w, f"/market/ws/{name}") as ws:
        assert {row["s"] for row in (await heard(w, ws))[0]} == {"BTCUSDT", "ETHUSDT", "XRPUSDT"}


async def test_control_frames_answer_with_the_id_as_sent():
    async with world() as w, socket(w, "/market/stream/0") as ws:
        for number, method, params, result in (
            (1, "SUBSCRIBE", ["btcusdt@aggTrade", "ethusdt@kline_1m"], None),
            ("b-2", "LIST_SUBSCRIPTIONS", [], ["btcusdt@aggTrade", "ethusdt@kline_1m"]),
            (3, "UNSUBSCRIBE", ["btcusdt@aggTrade"], None),
            (4, "LIST_SUBSCRIPTIONS", [], ["ethusdt@kline_1m"]),
        ):
            await ws.send_json({"method": method, "params": params, "id": number})
            assert (await ws.receive(timeout=2)).json() == {"result": result, "id": number}
        assert {message["stream"] for message in await heard(w, ws)} == {"ethusdt@kline_1m"}


@pytest.mark.parametrize(
    "frame", ["{", "[]", '{"method":"DANCE","id":1}', '{"method":"SUBSCRIBE","params":1}']
)
async def test_a_bad_control_frame_is_answered_not_obeyed(frame):
    async with world() as w, socket(w, "/market/ws") as ws:
        await ws.send_str(frame)
        answer = (await ws.receive(timeout=2)).json()
        assert answer["code"] == 2
        assert answer["msg"].startswith("Invalid request: ")


async def test_pings_are_answered_also_while_the_stream_is_silent():
    async with world() as w, socket(w, "/market/ws/btcusdt@aggTrade") as ws:
        await w.fault(kind="ws_silent")
        await ws.ping(b"there?")
        (pong,) = await heard(w, ws)
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"there?")


async def test_a_closed_candle_is_told_before_the_next_one():
    async with world() as w, socket(w, "/market/ws/btcusdt@kline_1m") as ws:
        w.jump(55)
        candles = [message["k"] for message in await heard(w, ws, 10)]
        starts = [candle["t"] for candle in candles]
        assert starts == sorted(starts)
        for earlier, later in pairwise(candles):
            assert earlier["x"] == (later["t"] > earlier["t"])
        assert sum(candle["x"] for candle in candles) == 1
        (row,) = (
            await Raw(w).public(
                "/fapi/v1/klines", symbol="BTCUSDT", interval="1m", startTime=starts[0], limit=1
            )
        ).json
        closed = next(candle for candle in candles if candle["x"])
        assert [closed[name] for name in "tohlcvT"] == row[:7]


@pytest.mark.parametrize("how", ["query", "path", "subscribe", "bare"])
async def test_the_user_stream_is_reached_in_each_known_way(how):
    paths = {
        "query": "/private/ws?listenKey={}",
        "path": "/private/ws/{}",
        "subscribe": "/private/stream",
        "bare": "/ws/{}",
    }
    async with world() as w:
        raw = Raw(w)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        assert len(key) == 64
        assert (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"] == key
        async with socket(w, paths[how].format(key)) as ws:
            if how == "subscribe":
                await ws.send_json({"method": "SUBSCRIBE", "params": [key], "id": "u"})
                await ws.receive(timeout=2)
            await raw.order()
            messages = await heard(w, ws, 0)
            assert all(("stream" in message) == (how == "subscribe") for message in messages)
            events = [message.get("data", message)["e"] for message in messages]
            assert sorted(events) == [
                "ACCOUNT_UPDATE",
                "ORDER_TRADE_UPDATE",
                "ORDER_TRADE_UPDATE",
                "TRADE_LITE",
            ]


async def test_a_listen_key_lives_an_hour_from_its_last_extension():
    async with world(symbols=(BTC,)) as w:
        raw = Raw(w)
        assert (await raw.keyed("PUT", "/fapi/v1/listenKey")).code == -1125
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with socket(w, f"/private/ws?listenKey={key}") as ws:
            w.jump(1_800)
            assert (await raw.keyed("PUT", "/fapi/v1/listenKey")).json == {"listenKey": key}
            w.jump(3_500)
            assert await heard(w, ws, 0) == []
            w.jump(200)
            (event,) = await heard(w, ws, 0)
            assert (event["e"], event["listenKey"]) == ("listenKeyExpired", key)
            await raw.order()
            assert await heard(w, ws, 0) == [], "and then nothing more"
        assert (await raw.keyed("PUT", "/fapi/v1/listenKey")).code == -1125
        assert (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"] != key


async def test_deleting_the_key_ends_the_stream_for_everybody():
    async with world() as w:
        raw = Raw(w)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with socket(w, f"/private/ws?listenKey={key}") as ws:
            assert (await raw.keyed("DELETE", "/fapi/v1/listenKey")).json == {}
            await raw.order()
            assert await heard(w, ws, 0) == []


@pytest.mark.parametrize(
    ("fault", "orders", "accounts"),
    [
        ({"kind": "events_doubled"}, 4, 2),
        ({"kind": "events_dropped", "path": "ORDER_TRADE_UPDATE"}, 0, 1),
        ({"kind": "ws_silent", "stream": "user"}, 0, 0),
        ({"kind": "ws_silent", "stream": "market"}, 2, 1),
    ],
)
async def test_user_events_are_lost_or_doubled_by_fault(fault, orders, accounts):
    async with world() as w:
        raw = Raw(w)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with socket(w, f"/private/ws?listenKey={key}") as ws:
            await w.fault(**fault)
            await raw.order()
            events = [message["e"] for message in await heard(w, ws, 0)]
            assert events.count("ORDER_TRADE_UPDATE") == orders
            assert events.count("ACCOUNT_UPDATE") == accounts


async def test_a_delayed_event_arrives_after_later_ones():
    async with world() as w:
        raw = Raw(w)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with socket(w, f"/private/ws?listenKey={key}") as ws:
            await w.fault(kind="events_delayed", path="ACCOUNT_UPDATE", delay_ms=120, times=1)
            await raw.order()
            events = [message["e"] for message in await heard(w, ws, 0)]
            assert events[-1] == "ACCOUNT_UPDATE"
            assert len(events) == 4


async def test_sockets_are_closed_by_fault_with_its_code():
    async with world() as w, socket(w, "/market/ws/btcusdt@aggTrade") as ws:
        await w.fault(kind="ws_close", ws_code=1012, times=1)
        w.jump(1)
        closed = await ws.receive(timeout=2)
        while closed.type is aiohttp.WSMsgType.TEXT:
            closed = await ws.receive(timeout=2)
        assert ws.close_code == 1012
        async with socket(w, "/market/ws/btcusdt@aggTrade") as again:
            assert await heard(w, again) != []


async def test_a_socket_is_refused_while_its_endpoint_is_down():
    async with world() as w:
        await w.fault(kind="endpoint_down", path="^/private/", times=1)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with socket(w, "/private/ws?listenKey=x"):
                pass
        assert caught.value.status == 503
        async with socket(w, "/private/ws?listenKey=x") as ws:
            assert await heard(w, ws, 1) == [], "an unknown key hears nothing"


async def test_a_liquidation_is_told_to_its_owner_and_to_all():
    async with world() as w:
        raw = Raw(w)
        await raw.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        await raw.order(quantity="10")
        async with socket(w, "/market/ws/!forceOrder@arr") as market, socket(w, f"/private/ws/{key}") as user:
            await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.9")
            told = await heard(w, market, 20)
            assert {message["e"] for message in told} == {"forceOrder"}
            events = [message for message in await heard(w, user, 0) if message["e"] == "ORDER_TRADE_UPDATE"]
            assert events[-1]["o"]["x"] == "CALCULATED"
            assert events[-1]["o"]["c"].startswith("autoclose-")
        forced = (await raw.signed("GET", "/fapi/v1/forceOrders", autoCloseType="LIQUIDATION")).json
        assert forced[0]["clientOrderId"].startswith("autoclose-")
