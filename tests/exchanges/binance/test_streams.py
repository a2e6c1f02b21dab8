"""Streams over real sockets: up, down, silence, expiry, garbage."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from holdfast.domain.invariant import InvariantViolation
from holdfast.exchanges.binance.adapter import BinanceExchange
from holdfast.exchanges.port import (
    BalanceNews,
    ConfigNews,
    MarkNews,
    News,
    OrderNews,
    PositionNews,
    StopNews,
    StreamState,
)
from tests.exchanges.support import BTC, RECORDED, Exchange, HandClock, binance, body, exchange_server

EVENTS: list[dict[str, Any]] = RECORDED["events"]
FAST = {"ping_every_s": 0.1, "pong_within_s": 0.1, "market_silence_ms": 300, "backoff_first_s": 0.02}
Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


async def hold(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


async def mark(socket: web.WebSocketResponse, price: str = "60000.1") -> None:
    await socket.send_json({"e": "markPriceUpdate", "E": 5, "s": "BTCUSDT", "p": price, "st": 1})


@dataclass
class Streams:
    """A server whose sockets do what the test says, and everything the adapter told."""

    exchange: BinanceExchange
    server: Exchange
    clock: HandClock
    heard: list[News] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def listen(self, news: News) -> None:
        self.heard.append(news)
        self.changed.set()

    def states(self, stream: str) -> list[tuple[bool, str]]:
        return [(n.up, n.cause) for n in self.heard if isinstance(n, StreamState) and n.stream == stream]

    def of(self, kind: type) -> list[Any]:
        return [news for news in self.heard if isinstance(news, kind)]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self.changed.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.changed.wait(), 0.05)


def socket_route(
    talks: list[Talk], *, autoping: bool = True
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Each connection takes the next talk; the last one serves all further connections."""

    async def route(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=autoping)
        await socket.prepare(request)
        with suppress(ConnectionError, asyncio.CancelledError):
            await (talks.pop(0) if len(talks) > 1 else talks[0])(socket)
            await socket.close()
        return socket

    return route


@asynccontextmanager
async def streams(
    *,
    user: list[Talk] | None = None,
    market: list[Talk] | None = None,
    autoping: bool = True,
    **settings: Any,
) -> AsyncIterator[Streams]:
    routes = {
        ("POST", "/fapi/v1/listenKey"): (200, body({"listenKey": "KEY"})),
        ("PUT", "/fapi/v1/listenKey"): (200, b"{}"),
        ("GET", "/private/ws"): socket_route(user or [hold], autoping=autoping),
        ("GET", "/market/ws"): socket_route(market or [hold], autoping=autoping),
    }
    clock = HandClock()
    async with (
        exchange_server(routes) as server,
        binance(server.url, clock, **{**FAST, **settings}) as exchange,
    ):
        yield Streams(exchange, server, clock)


async def test_recorded_user_events_arrive_as_news() -> None:
    """After the stream is said to be up; what we do not use is counted."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for event in EVENTS:
            await socket.send_json(event)
        await hold(socket)

    async with streams(user=[talk]) as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: len(s.of(ConfigNews)) == 2)
        kinds = [type(news) for news in s.heard]
        assert kinds[:6] == [StreamState, StopNews, StopNews, StopNews, OrderNews, PositionNews]
        assert s.states("user") == [(True, "connected")]
        assert s.exchange.stats.ignored_events == {"TRADE_LITE": 1}
        assert s.server.sent_to("GET", "/private/ws") == ["listenKey=KEY"]
        assert s.of(BalanceNews)[0].currency == "USDT"


async def test_an_expired_listen_key_means_a_new_one() -> None:
    """The exchange says so once and is then silent for ever."""

    async def expire(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"e": "listenKeyExpired", "E": 1, "listenKey": "KEY"})
        await hold(socket)

    async with streams(user=[expire, hold]) as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: len(s.states("user")) == 3)
        assert s.states("user") == [(True, "connected"), (False, "listen key expired"), (True, "connected")]
        assert len(s.server.sent_to("POST", "/fapi/v1/listenKey")) == 2


async def test_the_listen_key_is_extended_again_and_again() -> None:
    """By the bot's clock, each half hour; ccxt does it once."""
    async with streams() as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: bool(s.states("user")))
        for count in (1, 2, 3):
            s.clock.pass_ms(30 * 60 * 1000)
            await s.until(lambda count=count: len(s.server.sent_to("PUT", "/fapi/v1/listenKey")) == count)  # type: ignore[misc]
        assert s.states("user") == [(True, "connected")]


async def test_a_lost_listen_key_reconnects_the_stream() -> None:
    """-1125 on extending: somebody deleted it."""
    async with streams() as s:
        s.server.routes[("PUT", "/fapi/v1/listenKey")] = (400, b'{"code":-1125,"msg":"does not exist"}')
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: bool(s.states("user")))
        s.clock.pass_ms(30 * 60 * 1000)
        await s.until(lambda: len(s.states("user")) == 3)
        assert [up for up, _ in s.states("user")] == [True, False, True]
        assert "not extended" in s.states("user")[1][1]


async def test_a_quiet_user_stream_lives_by_pings() -> None:
    """No events for long is normal there."""
    async with streams() as s:
        await s.exchange.start_streams([], s.listen)
        await asyncio.sleep(0.7)
        assert s.states("user") == [(True, "connected")]


async def test_a_socket_that_answers_no_ping_is_dead() -> None:
    """A black hole is noticed in seconds, not in ccxt's minutes."""

    async def black_hole(socket: web.WebSocketResponse) -> None:
        await asyncio.sleep(10)

    async with streams(user=[black_hole, hold], autoping=False) as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: len(s.states("user")) >= 2)
        assert s.states("user")[1] == (False, "no answer to ping")


async def test_the_exchanges_pings_are_answered() -> None:
    """Else it closes the connection after ten minutes."""
    answered: list[bytes] = []

    async def ping(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"hello")
        message = await socket.receive()
        assert message.type is WSMsgType.PONG
        answered.append(message.data)
        await hold(socket)

    async with streams(user=[ping], autoping=False, ping_every_s=5.0) as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: bool(answered))
        assert answered == [b"hello"]


async def test_marks_flow_after_subscribing() -> None:
    """One socket for all symbols; up when the first price has come."""
    frames: list[Any] = []

    async def talk(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            frames.append(json.loads(message.data))
            await socket.send_json({"result": None, "id": frames[-1]["id"]})
            await mark(socket)

    async with streams(market=[talk], market_silence_ms=5000) as s:
        await s.exchange.start_streams([BTC], s.listen)
        await s.until(lambda: bool(s.of(MarkNews)))
        assert s.states("market") == [(True, "data")]
        assert frames == [{"method": "SUBSCRIBE", "params": ["btcusdt@markPrice@1s"], "id": 1}]
        eth = type(BTC)("ETH", "USDT", "USDT")
        await s.exchange.watch_marks([BTC, eth])
        await s.until(lambda: len(frames) == 2)
        assert frames[1]["params"] == ["ethusdt@markPrice@1s"]
        assert (s.of(MarkNews)[0].symbol, s.of(MarkNews)[0].mark.source) == (BTC, "ws")


async def test_a_market_without_prices_is_down() -> None:
    """The connection stands, pings are answered, nothing comes: silence is the failure."""

    async def once(socket: web.WebSocketResponse) -> None:
        await mark(socket)
        await hold(socket)

    async with streams(market=[once]) as s:
        await s.exchange.start_streams([BTC], s.listen)
        await s.until(lambda: len(s.states("market")) >= 3)
        assert s.states("market")[:3] == [(True, "data"), (False, "no data for 0.3 s"), (True, "data")]


async def test_a_refused_subscription_is_told() -> None:
    """Not waited out."""

    async def refuse(socket: web.WebSocketResponse) -> None:
        await socket.send_json({"code": 2, "msg": "Invalid request", "id": 1})
        await hold(socket)

    async with streams(market=[refuse]) as s:
        await s.exchange.start_streams([BTC], s.listen)
        await s.until(lambda: bool(s.states("market")))
        assert s.states("market")[0] == (False, "subscription refused: 2 Invalid request")


async def test_an_unreadable_user_event_asks_for_the_truth_again() -> None:
    """It may have been a fill: *up* is said once more, and the stream lives on."""

    async def garbage(socket: web.WebSocketResponse) -> None:
        for text in ("{", '{"e":"ORDER_TRADE_UPDATE"}', "[]", "null", '{"e":"ALGO_UPDATE","o":{}}'):
            await socket.send_str(text)
        await socket.send_bytes(b"\xff\xfe")
        await socket.send_json(EVENTS[-1])
        await hold(socket)

    async with streams(user=[garbage], ping_every_s=5.0) as s:
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: bool(s.of(ConfigNews)))
        states = s.states("user")
        assert [up for up, _ in states] == [True, True]
        assert "could not be read" in states[1][1]
        assert s.exchange.stats.bad_events["user"] == 6


async def test_garbage_on_the_market_stream_is_counted_and_survived() -> None:
    """A price of NaN, text, HTML: nothing of it is a price, none of it keeps the stream alive."""

    async def garbage(socket: web.WebSocketResponse) -> None:
        for price in ("NaN", "-1", "0", "1e999"):
            await mark(socket, price)
        await socket.send_str("<html>")
        await mark(socket)
        await hold(socket)

    async with streams(market=[garbage], market_silence_ms=5000) as s:
        await s.exchange.start_streams([BTC], s.listen)
        await s.until(lambda: bool(s.of(MarkNews)))
        assert len(s.of(MarkNews)) == 1
        assert s.exchange.stats.bad_events["market"] == 5


async def test_an_unreachable_exchange_is_down_once_and_tried_again() -> None:
    """Reported once, however often it fails, and counted."""
    async with streams() as s:
        s.server.routes[("POST", "/fapi/v1/listenKey")] = (503, b"Service Unavailable.")
        await s.exchange.start_streams([], s.listen)
        await s.until(lambda: s.exchange.stats.reconnects["user"] >= 3)
        assert [up for up, _ in s.states("user")] == [False]
        s.server.routes[("POST", "/fapi/v1/listenKey")] = (200, body({"listenKey": "KEY"}))
        await s.until(lambda: s.states("user")[-1][0])


async def test_closing_ends_every_task() -> None:
    """Nothing is left running or reported afterwards."""
    before = asyncio.all_tasks()
    async with streams(market=[mark]) as s:
        await s.exchange.start_streams([BTC], s.listen)
        await s.until(lambda: bool(s.of(MarkNews)))
        await s.exchange.close()
        left = [task.get_name() for task in asyncio.all_tasks() - before if "stream" in task.get_name()]
        told = len(s.heard)
        await asyncio.sleep(0.2)
        assert (left, len(s.heard)) == ([], told)


async def test_a_failing_listener_is_loud_and_the_stream_said_down() -> None:
    """A bug of ours must not look like a quiet account."""
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))

    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_json(EVENTS[-1])
        await hold(socket)

    async with streams(user=[talk]) as s:

        def listen(news: News) -> None:
            s.listen(news)
            if isinstance(news, ConfigNews):
                raise InvariantViolation("a bug")

        await s.exchange.start_streams([], listen)
        await s.until(lambda: len(s.states("user")) == 2)
        assert s.states("user")[1] == (False, "stream task ended: InvariantViolation")
        assert isinstance(reported[0]["exception"], InvariantViolation)
        with pytest.raises(InvariantViolation):
            await s.exchange.start_streams([], listen)
