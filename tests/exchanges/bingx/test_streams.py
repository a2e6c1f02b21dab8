"""What the exchange may say on a socket, said by a scripted server."""

import asyncio
import gzip
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

from holdfast.domain.secret import Secret
from holdfast.exchanges.bingx.adapter import BingxExchange
from holdfast.exchanges.factory import Credentials, make_exchange
from holdfast.exchanges.port import News, OrderNews, StreamState
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared
from tests.exchanges.bingx.support import RECORDED
from tests.exchanges.support import BTC, HandClock, exchange_server

PATH = "/swap-market"
KEY = ("POST", "/openApi/user/auth/userDataStream")


def packed(value: Any) -> bytes:
    return gzip.compress(json.dumps(value).encode() if not isinstance(value, bytes) else value)


@asynccontextmanager
async def talking(*frames: bytes) -> AsyncIterator[tuple[list[News], list[str]]]:
    """Both streams against a server that says *frames* once; what was heard, and what the server heard."""
    heard: list[News] = []
    answers: list[str] = []

    async def talk(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for frame in frames:
            await socket.send_bytes(frame)
        stream = "user" if request.query else "market"
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            answers.append(f"{stream} {message.data}")
        return socket

    async with exchange_server({KEY: (200, b'{"listenKey":"k"}'), ("GET", PATH): talk}) as server:
        clock = HandClock()
        shared = ExchangeShared(clock=clock, random=random.Random(1), settings=ExchangeSettings())
        exchange = make_exchange(
            "bingx",
            credentials=Credentials("key", Secret("secret")),
            base_url=server.url,
            clock=clock,
            shared=shared,
        )
        assert isinstance(exchange, BingxExchange)
        await exchange.start_streams([BTC], heard.append)
        try:
            async with asyncio.timeout(5):
                yield heard, answers
        finally:
            await exchange.close()
            await shared.close()


async def test_the_exchanges_own_ping_is_answered_as_text() -> None:
    """Without a `Pong` it ends the connection; a protocol's pong is another thing."""
    async with talking(packed(b"Ping")) as (_, answers):
        while len(answers) < 3:
            await asyncio.sleep(0.01)
    topic = "BTC-USDT@markPrice"
    (asked,) = [answer for answer in answers if "reqType" in answer]
    assert json.loads(asked.removeprefix("market ")) == {"id": topic, "reqType": "sub", "dataType": topic}
    assert sorted(answer for answer in answers if answer != asked) == ["market Pong", "user Pong"]


async def test_what_cannot_be_read_asks_for_the_truth_again() -> None:
    """It may have been a fill; so may an execution that does not say its size."""
    (executed,) = [event for event in RECORDED["events"] if event["e"] == "TRADE_UPDATE"]
    for frame, told in ((b"\x1f\x8bnonsense", False), (packed(b"{"), False), (packed(executed), True)):
        async with talking(frame) as (heard, _):
            while not any(isinstance(n, StreamState) and "could not be read" in n.cause for n in heard):
                await asyncio.sleep(0.01)
            assert [n for n in heard if isinstance(n, StreamState) and not n.up] == []
        assert any(isinstance(n, OrderNews) for n in heard) is told


async def test_a_refused_subscription_and_an_ended_key_are_lost_streams() -> None:
    """Each is down with its words."""
    refused = packed({"id": "x", "code": 80403, "msg": "too many topics"})
    async with talking(refused) as (heard, _):
        while {n.stream for n in heard if isinstance(n, StreamState) and not n.up} != {"user", "market"}:
            await asyncio.sleep(0.01)
    assert all("80403" in n.cause for n in heard if isinstance(n, StreamState) and not n.up)
    (ended,) = [event for event in RECORDED["events"] if event["e"] == "listenKeyExpired"]
    async with talking(packed(ended)) as (heard, _):
        while not any(isinstance(n, StreamState) and n.cause == "listen key expired" for n in heard):
            await asyncio.sleep(0.01)
