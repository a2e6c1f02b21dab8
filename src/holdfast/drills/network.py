"""An in-memory network under aiohttp's client and server: bytes travel between asyncio protocols.

A link is one connection: two ends, each direction first in, first out, with seeded latency and flow
control. What the weather does (`Conditions`, per kind of link) holds for living links and new ones;
`Link.reset` and `Link.cut` strike one. Loss delays, as TCP repeats what was lost; a *stall* keeps
everything until it is lifted; a *cut* swallows everything for ever, and nobody is told.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
from yarl import URL

from holdfast.drills.loop import PROCESS, Process, SimLoop
from holdfast.exchanges.transport import CleanConnections

HIGH_WATER = 64 * 1024
LOW_WATER = HIGH_WATER // 4
RECEIVED_MAX = 256 * 1024
"""So much is handed over at once; a reader may pause in between."""
CLIENT_ADDRESS = ("10.0.0.1", 50_000)


class LinkKind(StrEnum):
    """What a connection is for, by the path it was opened with."""

    REST = "rest"
    USER = "user"
    MARKET = "market"


def kind_of(url: URL) -> LinkKind:
    """What a new connection will be for: streams are told by their path (`/private/ws`, `/v2/ws/private`)."""
    if url.scheme not in ("ws", "wss"):
        return LinkKind.REST
    return LinkKind.USER if "/private" in url.path or "listenKey" in url.query else LinkKind.MARKET


def kind_of_request(head: bytes) -> LinkKind | None:
    """By a request's first bytes, None when they begin none: a pooled connection may change its kind."""
    if not head[:1].isalpha():
        return None
    if b"\r\nUpgrade: websocket" not in head:
        return LinkKind.REST
    return LinkKind.USER if b"/private" in head or b"listenKey=" in head else LinkKind.MARKET


@dataclass(slots=True)
class Conditions:
    """How links of one kind fare just now. Times in ms, one way."""

    latency_ms: tuple[float, float] = (5.0, 60.0)
    loss: float = 0.0
    """Share of segments that are lost once and come later, by `loss_delay_ms`."""
    loss_delay_ms: tuple[float, float] = (200.0, 3_000.0)
    stall: bool = False
    """Nothing arrives while it lasts; then all of it does, in order."""
    refuse: bool = False
    """New connections are refused."""
    unreachable: bool = False
    """New connections are never answered."""


Tap = Callable[["Link", bool, bytes], None]
"""Told the link, whether the client wrote, and what."""
AtBytes = Callable[["Link", bytes], None]


class Link:
    """One connection, from opening to its end."""

    def __init__(self, network: Network, number: int, kind: LinkKind, url: URL) -> None:
        self.network = network
        self.number = number
        """In the order of opening, from 1."""
        self.kind = kind
        self.url = url
        self.opened_s = network.loop.time()
        self.is_cut = False
        self.chance = network.chance(number)
        self.client = End(self, from_client=True)
        self.server = End(self, from_client=False)
        self.client.peer, self.server.peer = self.server, self.client

    def __repr__(self) -> str:
        return f"<link {self.number} {self.kind} {self.url.path}>"

    @property
    def process(self) -> Process | None:
        """The process at the client's end."""
        return self.client.process

    @property
    def alive(self) -> bool:
        return not (self.client.lost and self.server.lost)

    @property
    def conditions(self) -> Conditions:
        return self.network.conditions[self.kind]

    def delay_s(self) -> float:
        """How long the next segment travels."""
        conditions = self.network.conditions[self.kind]
        delay_ms = self.chance.uniform(*conditions.latency_ms)
        if conditions.loss and self.chance.random() < conditions.loss:
            delay_ms += self.chance.uniform(*conditions.loss_delay_ms)
        return delay_ms / 1000

    def reset(self) -> None:
        """Both ends learn at once that the connection is gone; what was under way is lost."""
        for end in (self.client, self.server):
            end.lose(ConnectionResetError("the connection was reset"))

    def cut(self) -> None:
        """From now on nothing arrives, for ever, and nobody is told."""
        self.is_cut = True


class End(asyncio.Transport):
    """One end of a link: what a protocol writes to, and where the other end's bytes arrive."""

    def __init__(self, link: Link, *, from_client: bool) -> None:
        host = (link.url.host or "", link.url.port or 0)
        names = {"peername": host, "sockname": CLIENT_ADDRESS}
        if not from_client:
            names = {"peername": CLIENT_ADDRESS, "sockname": host}
        super().__init__(extra=names)
        self.link = link
        self.loop = link.network.loop
        self.from_client = from_client
        self.peer: End = self
        self.lost = False
        self.process: Process | None = None
        self._context = contextvars.Context()
        self._protocol: Any = None
        self._inbox: deque[tuple[float, bytes | BaseException | None]] = deque()
        self._paused = self._closing = self._writing_paused = False
        self._unread = 0
        """Bytes that we wrote and the other side has not taken."""
        self._high, self._low = HIGH_WATER, LOW_WATER
        self._last_s = 0.0
        self._sent_s = -1.0

    def open(self, protocol: Any, context: contextvars.Context) -> None:
        """Hand the end to its protocol, which runs in *context* (and so in its process)."""
        self._protocol, self._context = protocol, context
        self.process = context.get(PROCESS)
        context.run(protocol.connection_made, self)

    # --- writing -------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self._closing or self.lost or not self._may_act():
            return
        raw = bytes(data)
        if self.from_client:
            self.link.kind = kind_of_request(raw) or self.link.kind
        network = self.link.network
        if not network.passes(self, raw):
            return
        self._unread += len(raw)
        self._send(raw)
        if network.after_bytes is not None:
            network.passed(self, raw)
        if self._unread > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def _may_act(self) -> bool:
        return self.process is None or self.process.alive

    def _send(self, item: bytes | BaseException | None) -> None:
        """Put it on the way. What is written within one moment travels together, as one segment."""
        if self.link.is_cut:
            return
        now, inbox = self.loop.time(), self.peer._inbox
        if now == self._sent_s and inbox and isinstance(item, bytes):
            due, before = inbox[-1]
            if isinstance(before, bytes):
                inbox[-1] = (due, before + item)
                return
        self._sent_s = now
        self._last_s = max(self._last_s, now + self.link.delay_s())
        inbox.append((self._last_s, item))
        self.loop.call_at(self._last_s, self.peer.take, context=self.peer._context)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._closing and not self.lost and self._may_act():
            self._send(None)

    def get_write_buffer_size(self) -> int:
        return self._unread

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = HIGH_WATER if high is None else high
        self._low = self._high // 4 if low is None else low

    # --- reading -------------------------------------------------------------------------------------

    def take(self) -> None:
        """Hand over what has arrived by now; the queue's order counts, not the timers'."""
        inbox, now = self._inbox, self.loop.time()
        while inbox and inbox[0][0] <= now and not self._paused and not self.lost:
            if self.link.is_cut or self.link.conditions.stall:
                return
            due, item = inbox.popleft()
            if isinstance(item, bytes):
                if len(item) > RECEIVED_MAX:
                    inbox.appendleft((due, item[RECEIVED_MAX:]))
                    item = item[:RECEIVED_MAX]
                self.peer._was_taken(len(item))
                self._protocol.data_received(item)
            elif item is None:
                if not self._protocol.eof_received():
                    self.lose(None)
            else:
                self.lose(item)

    def _was_taken(self, count: int) -> None:
        self._unread -= count
        if self._writing_paused and self._unread <= self._low and not self.lost:
            self._writing_paused = False
            self.loop.call_soon(self._resume_writing, context=self._context)

    def _resume_writing(self) -> None:
        if not self.lost and not self._writing_paused:
            self._protocol.resume_writing()

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        self.wake()

    def wake(self) -> None:
        """Look soon at what waits."""
        if self._inbox:
            self.loop.call_soon(self.take, context=self._context)

    def is_reading(self) -> bool:
        return not self._paused

    # --- ending --------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing or self.lost

    def close(self) -> None:
        """What was written still travels; then the other side sees the end."""
        if self.is_closing() or not self._may_act():
            return
        self._send(None)
        self._closing = True
        self.loop.call_soon(self.lose, None, context=self._context)

    def abort(self) -> None:
        if self._may_act():
            self.vanish()
            self.lose(None)

    def vanish(self) -> None:
        """The kernel of a dead process: what was sent still arrives, then a reset."""
        if not self.lost:
            self._send(ConnectionResetError("the connection was reset by the other side"))

    def lose(self, error: BaseException | None) -> None:
        """The connection is over for this end; its protocol is told soon."""
        if self.lost:
            return
        self.lost = True
        self._inbox.clear()
        self.link.network.ended(self.link)
        if self._protocol is not None:
            self.loop.call_soon(self._protocol.connection_lost, error, context=self._context)

    def get_protocol(self) -> Any:
        return self._protocol

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol


ProtocolFactory = Callable[[], Any]


@dataclass(slots=True)
class _Listener:
    factory: ProtocolFactory
    context: contextvars.Context


@dataclass
class Network:
    """All hosts and links of one world."""

    loop: SimLoop
    chance: Callable[[int], random.Random]
    """The chance of link number n."""
    conditions: dict[LinkKind, Conditions] = field(
        default_factory=lambda: {kind: Conditions() for kind in LinkKind}
    )
    taps: list[Tap] = field(default_factory=list)
    """Told of everything that is written, in its order."""
    before_bytes: AtBytes | None = None
    """Called before a *process* writes; when it is dead afterwards, nothing was sent."""
    after_bytes: AtBytes | None = None
    opened: int = 0
    _listeners: dict[tuple[str, int], _Listener] = field(default_factory=dict)
    _links: dict[int, Link] = field(default_factory=dict)

    # --- hosts ---------------------------------------------------------------------------------------

    def listen(self, host: str, port: int, factory: ProtocolFactory) -> None:
        """Protocols for connections to *host*:*port*; they run in the caller's process."""
        self._listeners[host, port] = _Listener(factory, contextvars.copy_context())

    async def connect(self, factory: ProtocolFactory, url: URL) -> tuple[End, Any]:
        """A link to *url*'s host, after one round trip. Raises `ConnectionRefusedError`."""
        host, port = url.host or "", url.port or 0
        self.opened += 1
        link = Link(self, self.opened, kind_of(url), url)
        if link.conditions.unreachable:
            await self.loop.create_future()
        await asyncio.sleep(2 * link.delay_s())
        listener = self._listeners.get((host, port))
        if listener is None or link.conditions.refuse:
            raise ConnectionRefusedError(111, f"Connect call failed ({host!r}, {port})")
        self._links[link.number] = link
        link.server.open(listener.context.run(listener.factory), listener.context.copy())
        link.client.open(factory(), contextvars.copy_context())
        return link.client, link.client.get_protocol()

    def connector(self) -> aiohttp.BaseConnector:
        """For `ExchangeShared(connector=…)`; to be called inside the loop."""
        return MemoryConnector(self)

    # --- links ---------------------------------------------------------------------------------------

    def links(self, kind: LinkKind | None = None, process: Process | None = None) -> list[Link]:
        """The living ones, oldest first; of one *kind*, of one *process* at the client's end."""
        return [
            link
            for link in self._links.values()
            if (kind is None or link.kind is kind) and (process is None or link.process is process)
        ]

    def ended(self, link: Link) -> None:
        if not link.alive:
            self._links.pop(link.number, None)

    def reset(self, kind: LinkKind | None = None) -> int:
        """Reset all living links of *kind*; how many there were."""
        struck = self.links(kind)
        for link in struck:
            link.reset()
        return len(struck)

    def cut(self, kind: LinkKind | None = None) -> int:
        """Let all living links of *kind* fall silent for ever; how many there were."""
        struck = self.links(kind)
        for link in struck:
            link.cut()
        return len(struck)

    def stall(self, kind: LinkKind, *, on: bool) -> None:
        """Begin or lift a stall of *kind*."""
        self.conditions[kind].stall = on
        if not on:
            for link in self.links(kind):
                link.client.wake()
                link.server.wake()

    def kill(self, process: Process) -> None:
        """The process is gone: its connections are reset behind what it had sent."""
        for link in self.links(process=process):
            link.client.vanish()
            link.client.lose(None)

    # --- what passes ---------------------------------------------------------------------------------

    def passes(self, end: End, data: bytes) -> bool:
        """Asked before each write; False when the writer died just before it."""
        if self.before_bytes is not None and end.process is not None:
            self.before_bytes(end.link, data)
            if not end.process.alive:
                return False
        for tap in self.taps:
            tap(end.link, end.from_client, data)
        return True

    def passed(self, end: End, data: bytes) -> None:
        if end.process is not None and self.after_bytes is not None:
            self.after_bytes(end.link, data)


class MemoryConnector(CleanConnections):
    """aiohttp's connector whose connections are links of a `Network`: pooling and keep-alive stay its own."""

    def __init__(self, network: Network) -> None:
        super().__init__(limit=0)
        self._network = network

    async def _create_connection(self, req: Any, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
        try:
            async with asyncio.timeout(timeout.sock_connect):
                _, protocol = await self._network.connect(self._factory, req.url)
        except TimeoutError:
            raise
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol
