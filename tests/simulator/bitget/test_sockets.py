"""The WebSocket's frames: login, subscriptions, pings, refusals (bitget.md §7.1, §7.5)."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import WSMsgType

from holdfast.simulator.bitget.tongue import BitgetTongue
from holdfast.simulator.wire.sockets import Manner, Pulse
from tests.simulator.bitget.clients import KEY, bitget
from tests.simulator.bitget.raw import Raw
from tests.simulator.bitget.sockets import PRODUCT, connected, event, push


async def test_a_ping_is_answered():
    async with bitget() as w, connected(w, "public") as heard:
        await heard.say("ping")
        assert await heard.next() == "pong"


@pytest.mark.parametrize("thousandths", [1, 1_000])
async def test_a_login_may_be_stamped_in_seconds_or_milliseconds(thousandths: int):
    async with bitget() as w, connected(w) as heard:
        await heard.login(str(w.clock.now_ms() // thousandths))
        assert await heard.next() == {"event": "login", "code": 0, "msg": ""}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"apiKey": ""}, 30011),
        ({"passphrase": "wrong"}, 30012),
        ({"timestamp": "soon"}, 30013),
        ({"timestamp": "1600000000"}, 30014),
        ({"sign": "c2hvcnQ="}, 30015),
    ],
)
async def test_a_login_is_refused_with_its_code(changes: dict[str, str], code: int):
    async with bitget() as w, connected(w) as heard:
        await w.admin("POST", "/accounts", key=KEY, secret="secret", passphrase="word")
        await heard.login(**changes)
        answer = await heard.next()
        assert (answer["event"], answer["code"]) == ("error", code)


async def test_private_channels_need_a_login():
    async with bitget() as w, connected(w) as heard:
        await heard.subscribe("orders")
        assert (await heard.next())["code"] == 30004


@pytest.mark.parametrize(
    ("category", "arg"),
    [
        ("public", {"channel": "nothing", "instId": "BTCUSDT"}),
        ("public", {"channel": "ticker", "instId": "NOPEUSDT"}),
        ("public", {"channel": "candle7m", "instId": "BTCUSDT"}),
        ("public", {"channel": "orders", "instId": "default"}),
        ("public", {"channel": "ticker", "instId": "BTCUSDT", "instType": "SPOT"}),
        ("private", {"channel": "ticker", "instId": "BTCUSDT"}),
    ],
)
async def test_a_channel_that_is_not_there(category: str, arg: dict[str, str]):
    async with bitget() as w, connected(w, category) as heard:
        await heard.say({"op": "subscribe", "args": [{"instType": PRODUCT} | arg]})
        answer = await heard.next()
        assert (answer["event"], answer["code"]) == ("error", 30001)


@pytest.mark.parametrize(
    ("frame", "code"),
    [("{not json", 30002), ({"op": "dance", "args": []}, 30003), ([1], 30003), ({"op": "subscribe"}, 30016)],
)
async def test_frames_that_make_no_sense(frame: object, code: int):
    async with bitget() as w, connected(w, "public") as heard:
        await heard.say(frame)
        assert (await heard.next())["code"] == code


async def test_the_state_comes_at_once_and_by_either_key():
    async with bitget() as w, connected(w) as heard:
        await Raw(w).order()
        await heard.login()
        await heard.until(event("login"))
        await heard.subscribe("account", coin="default")
        await heard.subscribe("positions", coin="default")
        account = await heard.until(push("account"))
        positions = await heard.until(push("positions"))
        assert account["data"][0]["marginCoin"] == "USDT"
        assert positions["data"][0]["total"] == "0.01"
        assert positions["action"] == "snapshot"


async def test_after_unsubscribing_nothing_comes():
    async with bitget() as w, connected(w, "public") as heard:
        arg = {"instType": PRODUCT, "channel": "ticker", "instId": "BTCUSDT"}
        await heard.say({"op": "subscribe", "args": [arg]})
        await heard.until(push("ticker"))
        await heard.say({"op": "unsubscribe", "args": [arg]})
        await heard.until(event("unsubscribe", arg=arg))
        heard.frames.clear()
        w.jump(5)
        assert await heard.drain() == []


async def test_a_position_that_ends_is_told_with_its_history():
    async with bitget() as w, connected(w) as heard:
        raw = Raw(w)
        await raw.order()
        await heard.login()
        await heard.until(event("login"))
        for channel in ("positions", "positions-history", "equity"):
            await heard.subscribe(channel)
        await heard.until(push("equity"))
        await raw.order(side="sell", reduceOnly="YES")
        past = (await heard.until(push("positions-history")))["data"][0]
        assert (past["holdSide"], past["openSize"], past["closeSize"]) == ("long", "0.01", "0.01")
        assert heard.pushes("positions")[-1]["data"] == []


async def test_accounts_hear_only_of_themselves():
    async with bitget() as w, connected(w) as heard:
        await heard.login()
        await heard.until(event("login"))
        await heard.subscribe("orders")
        await heard.until(event("subscribe"))
        await Raw(w, "somebody-else").order()
        await heard.drain()
        assert heard.pushes("orders") == []


async def test_a_connection_without_pings_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """The server never asks: it waits for the client's own pings."""
    quick = Manner(pulse=Pulse(every_s=0.1, answer_within_s=0.35, asks=False))
    monkeypatch.setattr(BitgetTongue, "manner", quick)
    async with bitget() as w, connected(w, "public") as silent, connected(w, "public") as alive:
        for _ in range(8):
            await alive.say("ping")
            assert await alive.next() == "pong"
            await asyncio.sleep(0.1)
        assert (await silent.ws.receive()).type is WSMsgType.CLOSE
        assert not alive.ws.closed


async def test_the_admin_can_end_an_accounts_sockets():
    async with bitget() as w, connected(w) as heard, connected(w) as stranger:
        await heard.login()
        await heard.until(event("login"))
        await w.admin("POST", "/expire-stream", account=KEY)
        assert (await heard.ws.receive()).type is WSMsgType.CLOSE
        await stranger.say("ping")
        assert await stranger.next() == "pong"


async def test_there_are_no_other_sockets():
    async with bitget() as w:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="404"):
            await w.http.ws_connect(f"{w.server.url}/v3/ws/public")


async def test_who_subscribes_again_begins_with_the_book_as_it_is():
    async with bitget() as w, connected(w, "public") as heard:
        arg = {"instType": PRODUCT, "channel": "books", "instId": "BTCUSDT"}
        for op in ("subscribe", "unsubscribe", "subscribe"):
            await heard.drain(0.2)
            heard.frames.clear()
            w.jump(2)
            await heard.say({"op": op, "args": [arg]})
            await heard.until(event(op))
        snapshot = (await heard.until(push("books")))["data"][0]
        there = (await Raw(w).get("/api/v2/mix/market/merge-depth", limit="max")).data
        assert (snapshot["bids"], snapshot["asks"]) == (there["bids"], there["asks"])


async def test_a_triggered_stop_is_told_in_the_exchanges_order():
    """Plan, child order, positions, the sibling that ends with them, and at last history and money."""
    async with bitget() as w, connected(w) as heard:
        raw = Raw(w)
        await raw.order()
        await raw.stop()
        await raw.stop(planType="pos_profit", triggerPrice=str(raw.price(1.2)))
        await heard.login()
        await heard.until(event("login"))
        for channel in ("account", "positions", "positions-history", "orders", "orders-algo", "fill"):
            await heard.subscribe(channel)
        await heard.drain()
        heard.frames.clear()
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
        w.jump(90)
        told = [(frame["arg"]["channel"], frame["data"]) for frame in await heard.drain()]
        assert [f"{channel}:{data[0].get('status', '')}" if data else channel for channel, data in told] == [
            "orders-algo:executing",
            "orders-algo:executed",
            "orders:live",
            "fill:",
            "orders:filled",
            "positions",
            "orders-algo:cancelled",
            "positions-history:",
            "account:",
        ]
