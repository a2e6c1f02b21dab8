"""WebSocket connections: what each is subscribed to, and getting messages out in their time.

A message has a due time (latency, delaying faults); each socket has one writer that
sends in that order. A socket that does not read is closed when its queue is full, as the real one
closes slow readers.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

QUEUE_MAX = 20_000
CUT = 1006
"""No code for the wire: the connection ends without a closing handshake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """How a dialect keeps its connections alive, and when it gives them up."""

    every_s: float = 180.0
    answer_within_s: float = 600.0
    lifetime_s: float = 24 * 3600.0
    word: bytes | None = None
    """What is sent as a message; None: a ping frame."""
    asks: bool = True
    """The server pings; otherwise the client has to, by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a dialect's frames go out: their kind, their wrapping for some sockets, their pulse."""

    frame: WSMsgType = WSMsgType.TEXT
    pulse: Pulse = Pulse()
    wrap: Callable[[str, bytes], bytes] = lambda _name, data: data
    """A stream's payload for a *combined* socket."""


class Socket:
    """One connection. *category* "" is a bare path, which serves everything (legacy clients)."""

    def __init__(
        self,
        number: int,
        category: str,
        combined: bool,
        ws: web.WebSocketResponse,
        cut: Callable[[], None],
        manner: Manner,
    ) -> None:
        self.number = number
        self.category = category
        self.combined = combined
        self.names: dict[str, None] = {}
        self._ws = ws
        self._cut = cut
        self._manner = manner
        self._loop = asyncio.get_running_loop()
        self._queue: list[tuple[float, int, bytes]] = []
        self._sequence = 0
        self._news = asyncio.Event()
        self._opened = self._heard_pong = self._loop.time()
        self._closing: int | None = None

    # --- outgoing --------------------------------------------------------------------------------

    def push(self, data: bytes, delay_s: float = 0.0) -> None:
        """Send *data* after *delay_s*; messages of the same due time keep their order."""
        if len(self._queue) >= QUEUE_MAX:
            self.close(WSCloseCode.POLICY_VIOLATION)
            return
        self._sequence += 1
        heapq.heappush(self._queue, (self._loop.time() + delay_s, self._sequence, data))
        self._news.set()

    def deliver(self, name: str, data: bytes, delay_s: float = 0.0) -> None:
        """Push a stream's payload, wrapped where this socket wants it so."""
        self.push(self._manner.wrap(name, data) if self.combined else data, delay_s)

    def close(self, code: int) -> None:
        """Close soon, whatever still waits; the first code stands."""
        self._closing = code if self._closing is None else self._closing
        self._news.set()

    async def write(self) -> None:
        """The writer: until the socket is closed from either side."""
        try:
            while self._closing is None:
                await self._send_due()
            if self._closing == CUT:
                self._cut()
            else:
                await self._ws.close(code=self._closing)
        except ConnectionError:
            return

    async def _send_due(self) -> None:
        self._news.clear()
        while self._closing is None and self._queue and self._queue[0][0] <= self._loop.time():
            await self._ws.send_frame(heapq.heappop(self._queue)[2], self._manner.frame)
        if self._queue and not self._news.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._queue[0][0]):
                    await self._news.wait()
        else:
            await self._news.wait()

    # --- keeping alive ---------------------------------------------------------------------------

    async def keep(self) -> None:
        """Ping, and end connections that do not answer or live too long."""
        pulse = self._manner.pulse
        while True:
            await asyncio.sleep(pulse.every_s)
            now = self._loop.time()
            if now - self._heard_pong > pulse.answer_within_s or now - self._opened > pulse.lifetime_s:
                self.close(WSCloseCode.GOING_AWAY)
                return
            if not pulse.asks:
                continue
            if pulse.word is not None:
                self.push(pulse.word)
                continue
            try:
                await self._ws.ping()
            except ConnectionError:
                return

    def hear_pong(self) -> None:
        """The other side lives."""
        self._heard_pong = self._loop.time()

    # --- incoming --------------------------------------------------------------------------------

    async def next_text(self) -> str | None:
        """The next text frame; pings are answered on the way. None when the connection is over."""
        async for message in self._ws:
            if message.type is WSMsgType.PING:
                with suppress(ConnectionError):
                    await self._ws.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self.hear_pong()
            elif message.type is WSMsgType.TEXT:
                return str(message.data)
        return None


class Sockets:
    """All open connections, and who listens to which name (a stream or a listen key)."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._open: dict[int, Socket] = {}
        self._listeners: dict[str, dict[int, Socket]] = {}
        self._names: list[str] | None = None
        self._next = 1
        self._empty = asyncio.Event()
        self._empty.set()

    def add(
        self, category: str, combined: bool, ws: web.WebSocketResponse, cut: Callable[[], None]
    ) -> Socket:
        """*cut* ends the connection at once, without a word."""
        socket = Socket(self._next, category, combined, ws, cut, self._manner)
        self._next += 1
        self._open[socket.number] = socket
        self._empty.clear()
        return socket

    def remove(self, socket: Socket) -> None:
        self.unsubscribe(socket, tuple(socket.names))
        self._open.pop(socket.number, None)
        if not self._open:
            self._empty.set()

    def subscribe(self, socket: Socket, names: Iterable[str]) -> None:
        self._names = None
        for name in names:
            socket.names[name] = None
            self._listeners.setdefault(name, {})[socket.number] = socket

    def unsubscribe(self, socket: Socket, names: Iterable[str]) -> None:
        self._names = None
        for name in names:
            socket.names.pop(name, None)
            listeners = self._listeners.get(name, {})
            listeners.pop(socket.number, None)
            if not listeners:
                self._listeners.pop(name, None)

    def listeners(self, name: str) -> list[Socket]:
        return list(self._listeners.get(name, {}).values())

    def listened(self, name: str) -> bool:
        return name in self._listeners

    def names(self) -> list[str]:
        """Every name somebody listens to, sorted."""
        if self._names is None:
            self._names = sorted(self._listeners)
        return self._names

    def all(self) -> list[Socket]:
        return list(self._open.values())

    async def close_all(self, within_s: float) -> None:
        """Close every connection; returns when all are gone, or after *within_s*."""
        for socket in self.all():
            socket.close(WSCloseCode.GOING_AWAY)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._empty.wait(), within_s)
