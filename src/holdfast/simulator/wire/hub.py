"""Where the core's events become messages: feeds to market sockets, account events to their owners."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial

from aiohttp import WSCloseCode, web

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.model import CoreEvent, Execution, OrderEvent, PriceEvent, TradeEvent
from holdfast.simulator.faults import Delivery, FaultPlan
from holdfast.simulator.rewrite import rewritten
from holdfast.simulator.wire.feeds import Feed, Moment
from holdfast.simulator.wire.listen_keys import ListenKeys
from holdfast.simulator.wire.sockets import Socket, Sockets
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, Told, Tongue
from holdfast.simulator.wire.venue import Venue

MESSAGE_BYTES_MAX = 10 * 1024 * 1024
CLOSE_WITHIN_S = 1.0


class Hub:
    """Listens to the core, keeps the feeds, and serves the sockets; the *tongue* gives the words."""

    def __init__(self, venue: Venue, faults: FaultPlan, tongue: Tongue) -> None:
        self.venue = venue
        self.faults = faults
        self.tongue = tongue
        self.sockets = Sockets(tongue.manner)
        self._feeds: dict[str, Feed] = {}
        self._asked_ms = venue.core.now_ms
        """When feeds were last asked."""
        self._forced: list[OrderEvent] = []
        self._untold: list[tuple[AnyUserEvent, Marks]] = []
        self._versions: Counter[Symbol] = Counter()
        venue.core.listen(self.hear, trades=False)

    @property
    def keys(self) -> ListenKeys:
        return self.venue.keys

    @property
    def _half_s(self) -> float:
        """How long a message travels."""
        return self.venue.config.latency_ms / 2_000

    # --- what the core says ----------------------------------------------------------------------

    def hear(self, event: CoreEvent) -> None:
        """Called by the core in the moment of the event."""
        if isinstance(event, PriceEvent):
            self._versions[event.symbol] += 1
            self.tongue.note_price(event)
        elif not isinstance(event, TradeEvent):
            if isinstance(event, OrderEvent) and event.execution is Execution.LIQUIDATION:
                self._forced.append(event)
            self._untold.append((event, self.tongue.marks_of(event)))

    def _tell_owners(self) -> None:
        """Now that the core is at rest."""
        if not self._untold:
            return
        untold, self._untold = self._untold, []
        for event, marks in untold:
            for told in self.tongue.told(event, marks):
                self._tell(told, event.account_id)
        for account_id, told in self.tongue.settled():
            self._tell(told, account_id)

    def _tell(self, told: Told, account_id: str) -> None:
        listeners = self.sockets.listeners(told.name)
        if not listeners:
            return
        plan = self.faults.for_message("user", told.label, account_id, self.venue.core.now_ms)
        data = self.tongue.encoded(told.name, _as_told(told.payload, plan))
        for socket in listeners:
            for _ in range(plan.copies):
                socket.deliver(told.name, data, self._half_s + plan.delay_ms / 1_000)

    # --- after each step ---------------------------------------------------------------------------

    def flush(self, now_ms: int) -> None:
        """Say what the step brought: expired keys, feeds, closing faults."""
        self._tell_owners()
        self._expire(now_ms)
        moment = self._moment(now_ms)
        for name in self.sockets.names():
            feed = self._feeds.get(name)
            if feed is not None:
                self._publish(feed, moment)
        for gone in [name for name in self._feeds if not self.sockets.listened(name)]:
            del self._feeds[gone]
        if self.faults.any:
            self._close_by_fault(now_ms)

    def _moment(self, now_ms: int) -> Moment:
        forced, self._forced = self._forced, []
        since_ms, self._asked_ms = self._asked_ms, self.venue.core.now_ms
        return Moment(self.venue, now_ms, since_ms, forced, self._versions)

    def _publish(self, feed: Feed, moment: Moment) -> None:
        payloads = feed.ask(moment)
        if not payloads:
            return
        # On the wrong category of path a stream simply delivers nothing.
        listeners = [s for s in self.sockets.listeners(feed.name) if s.category in ("", feed.category)]
        for payload in payloads:
            stream = "user" if feed.account_id else "market"
            label = feed.label or feed.name
            plan = self.faults.for_message(stream, label, feed.account_id, moment.now_ms)
            data = self.tongue.encoded(feed.name, _as_told(payload, plan))
            for socket in listeners:
                for _ in range(plan.copies):
                    socket.deliver(feed.name, data, self._half_s + plan.delay_ms / 1_000)

    def _expire(self, now_ms: int) -> None:
        for told in self.tongue.expired(now_ms):
            data = self.tongue.encoded(told.name, told.payload)
            for socket in self.sockets.listeners(told.name):
                socket.deliver(told.name, data, self._half_s)

    def _close_by_fault(self, now_ms: int) -> None:
        for socket in self.sockets.all():
            owner = self.tongue.owner(socket)
            stream = "market" if owner is None else "user"
            fault = self.faults.closes(stream, owner or "", now_ms)
            if fault is not None:
                socket.close(fault.ws_code)

    # --- sockets -----------------------------------------------------------------------------------

    def open_feeds(self, names: Iterable[str]) -> None:
        """Make the feeds of newly asked names; each takes its first look at once."""
        for name in names:
            feed = None if name in self._feeds else self.tongue.open_feed(name)
            if feed is not None:
                self._feeds[name] = feed
                if feed.looks_first:
                    now_ms = self.venue.core.now_ms
                    feed.ask(Moment(self.venue, now_ms, now_ms, (), self._versions))

    async def serve(
        self, request: web.Request, category: str, combined: bool, names: list[str]
    ) -> web.WebSocketResponse:
        """One connection from handshake to close."""
        ws = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MESSAGE_BYTES_MAX, timeout=CLOSE_WITHIN_S
        )
        try:
            await ws.prepare(request)
        except ConnectionError:
            return ws  # gone before the handshake was done
        socket = self.sockets.add(category, combined, ws, partial(_cut, request))
        self._subscribe(socket, names)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(socket.write(), name=f"ws-{socket.number}-write")
                keeper = group.create_task(socket.keep(), name=f"ws-{socket.number}-keep")
                await self._obey(socket)
                keeper.cancel()
                # The writer ends by itself: it may be amid the closing handshake.
                socket.close(WSCloseCode.OK)
        finally:
            self.sockets.remove(socket)
        return ws

    async def _obey(self, socket: Socket) -> None:
        while (text := await socket.next_text()) is not None:
            await asyncio.sleep(self._half_s)
            answer = self.tongue.control(self.sockets, socket, text)
            self.open_feeds(socket.names)
            if answer is not None:
                socket.push(answer, self._half_s)

    def _subscribe(self, socket: Socket, names: list[str]) -> None:
        self.sockets.subscribe(socket, names)
        self.open_feeds(names)


def _as_told(payload: object, plan: Delivery) -> object:
    for fault in plan.rewrites:
        payload = rewritten(fault, payload)
    return payload


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
