"""Where the core's events become messages: feeds to market sockets, account events to their owners."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import partial

import orjson
from aiohttp import WSCloseCode, web

from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.feeds import Feed, Moment, open_feed
from holdfast.simulator.binance.render import Row
from holdfast.simulator.binance.sockets import Socket, Sockets, control
from holdfast.simulator.binance.user_stream import AnyUserEvent, EventWords, ListenKeys, Marks, expired_event
from holdfast.simulator.binance.venue import Venue
from holdfast.simulator.core.model import CoreEvent, Execution, OrderEvent, PriceEvent, TradeEvent
from holdfast.simulator.faults import Delivery, FaultPlan
from holdfast.simulator.rewrite import rewritten

MESSAGE_BYTES_MAX = 10 * 1024 * 1024
CLOSE_WITHIN_S = 1.0


class Hub:
    """Listens to the core, keeps feeds and listen keys, and serves the sockets."""

    def __init__(self, venue: Venue, faults: FaultPlan) -> None:
        self.venue = venue
        self.faults = faults
        self.sockets = Sockets()
        self.keys = ListenKeys(venue.config.listen_key_ms, venue.chance)
        self._words = EventWords(venue)
        self._feeds: dict[str, Feed] = {}
        self._trades: dict[Symbol, list[TradeEvent]] = {}
        self._forced: list[OrderEvent] = []
        self._untold: list[tuple[AnyUserEvent, Marks]] = []
        self._versions: Counter[Symbol] = Counter()
        venue.core.listen(self.hear)

    @property
    def _half_s(self) -> float:
        """How long a message travels."""
        return self.venue.config.latency_ms / 2_000

    # --- what the core says ----------------------------------------------------------------------

    def hear(self, event: CoreEvent) -> None:
        """Called by the core in the moment of the event."""
        if isinstance(event, PriceEvent):
            self._versions[event.symbol] += 1
            self._words.note_price(event)
        elif isinstance(event, TradeEvent):
            if self._feeds:
                self._trades.setdefault(event.symbol, []).append(event)
        else:
            if isinstance(event, OrderEvent) and event.execution is Execution.LIQUIDATION:
                self._forced.append(event)
            self._untold.append((event, self._words.marks_of(event)))

    def _tell_owners(self) -> None:
        """Now that the core is at rest."""
        if not self._untold:
            return
        untold, self._untold = self._untold, []
        for event, marks in untold:
            self._tell_owner(event.account_id, self._words.render(event, marks))

    def _tell_owner(self, account_id: str, rows: Iterable[Row]) -> None:
        key = self.keys.active(account_id)
        listeners = self.sockets.listeners(key) if key else []
        if not key or not listeners:
            return
        now_ms = self.venue.core.now_ms
        for row in rows:
            plan = self.faults.for_message("user", event_name(row), account_id, now_ms)
            data = orjson.dumps(_as_told(row, plan))
            for socket in listeners:
                for _ in range(plan.copies):
                    socket.deliver(key, data, self._half_s + plan.delay_ms / 1_000)

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
        trades, forced = self._trades, self._forced
        self._trades, self._forced = {}, []
        return Moment(self.venue, now_ms, trades, forced, self._versions)

    def _publish(self, feed: Feed, moment: Moment) -> None:
        payloads = feed.ask(moment)
        if not payloads:
            return
        # On the wrong category of path a stream simply delivers nothing.
        listeners = [s for s in self.sockets.listeners(feed.name) if s.category in ("", feed.category)]
        for payload in payloads:
            plan = self.faults.for_message("market", feed.name, "", moment.now_ms)
            data = orjson.dumps(_as_told(payload, plan))
            for socket in listeners:
                for _ in range(plan.copies):
                    socket.deliver(feed.name, data, self._half_s + plan.delay_ms / 1_000)

    def _expire(self, now_ms: int) -> None:
        for key in self.keys.expire(now_ms):
            data = orjson.dumps(expired_event(key, now_ms))
            for socket in self.sockets.listeners(key.key):
                socket.deliver(key.key, data, self._half_s)

    def _close_by_fault(self, now_ms: int) -> None:
        for socket in self.sockets.all():
            accounts = [self.keys.account_of(name) for name in socket.names]
            owner = next((account for account in accounts if account), "")
            stream = "user" if owner or socket.category == "private" else "market"
            fault = self.faults.closes(stream, owner, now_ms)
            if fault is not None:
                socket.close(fault.ws_code)

    # --- sockets -----------------------------------------------------------------------------------

    def open_feeds(self, names: Iterable[str]) -> None:
        """Make the feeds of newly asked names; each takes its first look at once."""
        for name in names:
            feed = None if name in self._feeds else open_feed(self.venue, name)
            if feed is not None:
                self._feeds[name] = feed
                if "@depth" in name:
                    feed.ask(Moment(self.venue, self.venue.core.now_ms, {}, (), self._versions))

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
            answer = control(self.sockets, socket, text)
            self.open_feeds(socket.names)
            socket.push(answer, self._half_s)

    def _subscribe(self, socket: Socket, names: list[str]) -> None:
        self.sockets.subscribe(socket, names)
        self.open_feeds(names)


def event_name(row: Row) -> str:
    """What faults know a user event by: its kind, with an order's execution or a conditional's status."""
    body = row.get("o")
    detail = (body.get("x") or body.get("X")) if isinstance(body, dict) else None
    return f"{row['e']}/{detail}" if detail else str(row["e"])


def _as_told(payload: object, plan: Delivery) -> object:
    for fault in plan.rewrites:
        payload = rewritten(fault, payload)
    return payload


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
