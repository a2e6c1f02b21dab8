"""A WebSocket that is kept: connect, listen, notice silence, reconnect with backoff, say so.

On aiohttp's client over the shared session, not on ccxt.pro. Measured or read in ccxt 4.5.90: its
client declares a silent Binance socket dead after six to nine minutes, never renews a listen key
twice, ignores `listenKeyExpired`, reads the wall clock, decodes every frame into floats and runs
tasks nobody owns. What would be left of it is the call to `ws_connect`.

All waiting here is on the event loop's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp

from holdfast.domain.protocols import Random
from holdfast.exchanges.stats import AdapterStats

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
CONNECT_WITHIN_S = 10.0
HEALTHY_AFTER_S = 30.0
"""A connection that lived so long was a good one: the backoff starts anew."""


class StreamLost(Exception):
    """This connection is of no more use; the message says why, for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a silent connection is dead and how fast to try again (seconds of loop time)."""

    ping_every_s: float
    pong_within_s: float
    backoff_first_s: float
    backoff_max_s: float
    data_within_s: float | None
    """Longest silence of data; None where silence is normal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one dialect does with a connection. Every function may raise `StreamLost`."""

    name: str
    url: Callable[[], Awaitable[str]]
    hello: Callable[[], tuple[str, ...]]
    """Text frames to send first."""
    hear: Callable[[str | bytes], bool]
    """Takes one message; says whether it was data (and not an answer to us)."""
    tick: Callable[[], Awaitable[None]]
    """Called about every `ping_every_s`, whatever arrives."""
    up_on_data: bool
    """Up only when data has come, not when the connection stands."""
    owed: Callable[[], tuple[str, ...]] = tuple
    """Text frames to send after a message was taken: answers to an exchange's pings, what follows a login."""


class StreamKeeper:
    """Runs one stream until cancelled. *report(up, cause)* is called at each change, never twice alike."""

    def __init__(
        self,
        *,
        source: Source,
        timing: Timing,
        session: Callable[[], aiohttp.ClientSession],
        report: Callable[[bool, str], None],
        random: Random,
        stats: AdapterStats,
    ) -> None:
        self._source = source
        self._timing = timing
        self._session = session
        self._report = report
        self._random = random
        self._stats = stats
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._up: bool | None = None
        self._heard_s = 0.0
        self._data_s = 0.0
        self._tick_s = 0.0

    async def run(self) -> None:
        """Connect again and again; returns only by cancellation."""
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._connection()
            except StreamLost as lost:
                self._say(up=False, cause=str(lost))
            self._stats.reconnects[self._source.name] += 1
            failures = 1 if loop.time() - started >= HEALTHY_AFTER_S else failures + 1
            await asyncio.sleep(self._backoff_s(failures))

    async def send(self, text: str) -> None:
        """Send a frame if a connection stands; what a new connection needs belongs into `hello`."""
        if self._socket is None or self._socket.closed:
            return
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError):
            return  # the reader notices the same and reconnects

    def _backoff_s(self, failures: int) -> float:
        """Doubling, capped, and spread by half so that many accounts do not come back together."""
        doubled = self._timing.backoff_first_s * float(2 ** min(failures - 1, 20))
        longest = min(doubled, self._timing.backoff_max_s)
        return longest * self._random.uniform(0.5, 1.0)

    async def _connection(self) -> None:
        socket = await self._connect()
        self._socket = socket
        try:
            for text in self._source.hello():
                await socket.send_str(text)
            if not self._source.up_on_data:
                self._say(up=True, cause="connected")
            await self._listen(socket)
        except (aiohttp.ClientError, OSError) as error:
            raise StreamLost(f"connection lost: {type(error).__name__}") from error
        finally:
            self._socket = None
            await socket.close()

    async def _connect(self) -> aiohttp.ClientWebSocketResponse:
        url = await self._source.url()
        try:
            async with asyncio.timeout(CONNECT_WITHIN_S):
                return await self._session().ws_connect(
                    url,
                    autoping=False,
                    max_msg_size=MESSAGE_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                )
        except aiohttp.WSServerHandshakeError as error:
            raise StreamLost(f"cannot connect: HTTP {error.status}") from error
        except TimeoutError as error:
            raise StreamLost(f"cannot connect within {CONNECT_WITHIN_S:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise StreamLost(f"cannot connect: {type(error).__name__}") from error

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """One timer serves many messages: it is only looked at when it fires."""
        loop = asyncio.get_running_loop()
        self._heard_s = self._data_s = loop.time()
        self._tick_s = loop.time() + self._timing.ping_every_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(max(self._next_s(), loop.time() + 0.001)):
                    while loop.time() < self._tick_s:
                        await self._take(socket, await socket.receive(), loop.time())
            self._check_alive(loop.time())
            if loop.time() >= self._tick_s:
                await self._tick(socket, loop.time())

    def _next_s(self) -> float:
        """When something has to be looked at again, even if nothing arrives."""
        return min(self._tick_s, *(at for at, _ in self._deadlines()))

    def _deadlines(self) -> list[tuple[float, str]]:
        timing = self._timing
        found = [(self._heard_s + timing.ping_every_s + timing.pong_within_s, "no answer to ping")]
        if timing.data_within_s is not None:
            found.append((self._data_s + timing.data_within_s, f"no data for {timing.data_within_s:g} s"))
        return found

    def _check_alive(self, now: float) -> None:
        """Any frame proves the connection; only data proves the feed."""
        for at, cause in self._deadlines():
            if now >= at:
                raise StreamLost(cause)

    async def _take(
        self, socket: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage, now: float
    ) -> None:
        match message.type:
            case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                if self._source.hear(message.data):
                    self._data_s = now
                    self._say(up=True, cause="data")
                for text in self._source.owed():
                    await self._within(socket.send_str(text))
            case aiohttp.WSMsgType.PING:
                await self._within(socket.pong(message.data))
            case aiohttp.WSMsgType.PONG:
                pass
            case _:
                raise StreamLost(f"closed by the exchange: code {socket.close_code}")
        self._heard_s = now

    async def _tick(self, socket: aiohttp.ClientWebSocketResponse, now: float) -> None:
        self._tick_s = now + self._timing.ping_every_s
        await self._within(socket.ping())
        await self._source.tick()

    async def _within(self, sending: Awaitable[None]) -> None:
        """Writing blocks when the other side takes nothing more; that is a dead connection too."""
        try:
            async with asyncio.timeout(self._timing.pong_within_s):
                await sending
        except TimeoutError as error:
            raise StreamLost("the exchange takes no more data") from error

    def _say(self, *, up: bool, cause: str) -> None:
        if self._up is not up:
            self._up = up
            self._report(up, cause)
