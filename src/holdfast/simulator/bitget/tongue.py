"""Everything Bitget says on its WebSockets, and the frames clients send (bitget.md §7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

import orjson

from holdfast.domain.symbol import Symbol
from holdfast.simulator.bitget.channels import (
    channel_of,
    listed_symbol,
    message,
    name_of,
    open_feed,
)
from holdfast.simulator.bitget.login import Refusal, logged_in
from holdfast.simulator.bitget.params import PRODUCT
from holdfast.simulator.bitget.private import (
    CHANNELS,
    WITH_STATE,
    PrivateWords,
    private_message,
    private_name,
)
from holdfast.simulator.bitget.venue import Venue
from holdfast.simulator.wire.feeds import Feed
from holdfast.simulator.wire.sockets import Manner, Pulse, Socket, Sockets
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, PriceWords, Told

MANNER = Manner(pulse=Pulse(every_s=30.0, answer_within_s=120.0, asks=False))
CHANNELS_MAX = 1_000
"""On one connection."""


class BitgetTongue(PriceWords):
    """Plain JSON; a socket hears of the account it has logged in to."""

    manner = MANNER

    def __init__(self, venue: Venue) -> None:
        super().__init__()
        self._venue = venue
        self._words = PrivateWords(venue)
        self._feeds: dict[str, Feed] = {}
        self._owners: WeakKeyDictionary[Socket, str] = WeakKeyDictionary()

    # --- what happens --------------------------------------------------------------------------------

    def told(self, event: AnyUserEvent, marks: Marks) -> Iterable[Told]:
        if event.account_id in self._owners.values():
            return list(self._words.of(event))
        self._words.skip(event)
        return []

    def settled(self) -> Iterable[tuple[str, Told]]:
        return self._words.settled()

    def expired(self, now_ms: int) -> Iterable[Told]:
        return []

    def open_feed(self, name: str) -> Feed | None:
        feed = self._feeds[name] if name in self._feeds else open_feed(self._venue, name)
        if feed is not None:
            self._feeds[name] = feed
        return feed

    def encoded(self, name: str, payload: object) -> bytes:
        return orjson.dumps(payload)

    def owner(self, socket: Socket) -> str | None:
        return self._owners.get(socket, "") if socket.category == "private" else None

    # --- what clients send ---------------------------------------------------------------------------

    def control(self, sockets: Sockets, socket: Socket, text: str) -> bytes | None:
        if text == "ping":
            socket.hear_pong()
            return b"pong"
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _error(Refusal(30002, "Illegal request"))
        operations = {"login": self._login, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        operation = operations.get(str(frame.get("op"))) if isinstance(frame, dict) else None
        if operation is None:
            return _error(Refusal(30003, "Invalid op"))
        args = frame.get("args")
        if not isinstance(args, list) or not all(isinstance(arg, dict) for arg in args):
            return _error(Refusal(30016, "Param error"))
        for arg in args:
            self._push(socket, *operation(sockets, socket, arg))
        return None

    def _push(self, socket: Socket, *messages: bytes) -> None:
        for data in messages:
            socket.push(data, self._venue.config.latency_ms / 2_000)

    def _login(self, sockets: Sockets, socket: Socket, arg: Mapping[str, object]) -> list[bytes]:
        try:
            self._owners[socket] = logged_in(self._venue, arg)
        except Refusal as refusal:
            return [_error(refusal)]
        return [orjson.dumps({"event": "login", "code": 0, "msg": ""})]

    def _unsubscribe(self, sockets: Sockets, socket: Socket, arg: Mapping[str, object]) -> list[bytes]:
        try:
            sockets.unsubscribe(socket, [self._name(socket, arg)])
        except Refusal as refusal:
            return [_error(refusal, arg)]
        return [orjson.dumps({"event": "unsubscribe", "arg": arg})]

    def _subscribe(self, sockets: Sockets, socket: Socket, arg: Mapping[str, object]) -> list[bytes]:
        """The acknowledgement, and at once what there is."""
        try:
            name = self._name(socket, arg)
            if len({*socket.names, name}) > CHANNELS_MAX:
                raise Refusal(30006, "Too many channels")
        except Refusal as refusal:
            return [_error(refusal, arg)]
        if not sockets.listened(name):
            self._renew(name)
        sockets.subscribe(socket, [name])
        first = self._first(socket, name)
        acknowledged = orjson.dumps({"event": "subscribe", "arg": arg})
        return [acknowledged] if first is None else [acknowledged, orjson.dumps(first)]

    def _renew(self, name: str) -> None:
        """Nobody has heard this feed any more: it begins with what is there now."""
        feed = self._feeds.get(name)
        if feed is not None:
            feed.told_ms = feed.version = feed.candle_ms = feed.update_id = -1

    def _name(self, socket: Socket, arg: Mapping[str, object]) -> str:
        """The stream an argument names. Raises `Refusal`."""
        word = str(arg.get("channel"))
        absent = Refusal(30001, f"instType:{arg.get('instType')},channel:{word} doesn't exist")
        if str(arg.get("instType")).upper() != PRODUCT:
            raise absent
        if socket.category == "private":
            if word not in CHANNELS:
                raise absent
            if socket not in self._owners:
                raise Refusal(30004, "User not logged in")
            return private_name(word, self._owners[socket])
        symbol: Symbol | None = listed_symbol(self._venue, str(arg.get("instId")))
        if channel_of(word) is None or symbol is None:
            raise absent
        return name_of(word, symbol)

    def _first(self, socket: Socket, name: str) -> object | None:
        now_ms = self._venue.core.now_ms
        if socket.category == "private":
            word = name[1:].partition("/")[0]
            if word in WITH_STATE:
                rows = self._words.state(word, self._owners[socket])
                return private_message(word, rows, now_ms)
            events = word in ("orders", "orders-algo", "fill") and self._venue.switches.first_events
            return private_message(word, [], now_ms) if events else None
        feed, found = self.open_feed(name), channel_of(name.partition("/")[0])
        if feed is None or found is None:
            return None
        return message(name, "snapshot", found[0].first(self._venue, feed), now_ms)


def _error(refusal: Refusal, arg: Mapping[str, object] | None = None) -> bytes:
    body: dict[str, object] = {"event": "error", "code": refusal.code, "msg": refusal.msg}
    return orjson.dumps(body if arg is None else body | {"arg": arg})
