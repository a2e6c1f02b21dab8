"""Everything Binance says on its WebSockets."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from holdfast.simulator.binance.control import MANNER, control
from holdfast.simulator.binance.feeds import open_feed
from holdfast.simulator.binance.user_stream import EventWords, expired_event
from holdfast.simulator.binance.venue import Venue
from holdfast.simulator.wire.feeds import Feed
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.sockets import Socket, Sockets
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, Told


class BinanceTongue(EventWords):
    """Plain JSON; account events go to whoever named the account's listen key."""

    manner = MANNER

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._keys = venue.keys

    def told(self, event: AnyUserEvent, marks: Marks) -> Iterable[Told]:
        rows = self.render(event, marks)
        key = self._keys.active(event.account_id)
        return [Told(key, event_name(row), row) for row in rows] if key else []

    def expired(self, now_ms: int) -> Iterable[Told]:
        over = self._keys.expire(now_ms)
        return [Told(key.key, "listenKeyExpired", expired_event(key, now_ms)) for key in over]

    def open_feed(self, name: str) -> Feed | None:
        return open_feed(self._venue, name)

    def control(self, sockets: Sockets, socket: Socket, text: str) -> bytes | None:
        return control(sockets, socket, text)

    def encoded(self, name: str, payload: object) -> bytes:
        return orjson.dumps(payload)

    def owner(self, socket: Socket) -> str | None:
        accounts = [self._keys.account_of(name) for name in socket.names]
        owner = next((account for account in accounts if account), "")
        return owner if owner or socket.category == "private" else None


def event_name(row: Row) -> str:
    """What faults know a user event by: its kind, with an order's execution or a conditional's status."""
    body = row.get("o")
    detail = (body.get("x") or body.get("X")) if isinstance(body, dict) else None
    return f"{row['e']}/{detail}" if detail else str(row["e"])
