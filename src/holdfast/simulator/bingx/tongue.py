"""Everything BingX says on its WebSockets: gzip frames, its own Ping and Pong (sheet §7)."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import orjson
from aiohttp import WSMsgType

from holdfast.simulator.bingx.feeds import open_topic
from holdfast.simulator.bingx.user_stream import EventWords, expired_event, settings_feed
from holdfast.simulator.bingx.venue import Venue
from holdfast.simulator.wire.feeds import Feed
from holdfast.simulator.wire.figures import Row
from holdfast.simulator.wire.sockets import Manner, Pulse, Socket, Sockets
from holdfast.simulator.wire.tongue import AnyUserEvent, Marks, Told

TOPICS_MAX = 200
PING_EVERY_S = 5.0
LEVEL = 1


def zipped(data: bytes) -> bytes:
    """The same bytes for the same data, whatever the time."""
    return gzip.compress(data, LEVEL, mtime=0)


class BingxTongue(EventWords):
    """Account events go to whoever connected with the account's listen key."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._keys = venue.keys
        pulse = Pulse(
            every_s=PING_EVERY_S, answer_within_s=venue.switches.pong_within_s, word=zipped(b"Ping")
        )
        self.manner = Manner(frame=WSMsgType.BINARY, pulse=pulse)

    def told(self, event: AnyUserEvent, marks: Marks) -> Iterable[Told]:
        rows = self.render(event, marks)
        key = self._keys.active(event.account_id)
        return [Told(key, event_name(row), row) for row in rows] if key else []

    def expired(self, now_ms: int) -> Iterable[Told]:
        over = self._keys.expire(now_ms)
        return [Told(key.key, "listenKeyExpired", expired_event(key.key, now_ms)) for key in over]

    def open_feed(self, name: str) -> Feed | None:
        """A topic's, or the settings' heartbeat of a listen key."""
        account_id = self._keys.account_of(name)
        return open_topic(self._venue, name) if account_id is None else settings_feed(name, account_id)

    def encoded(self, name: str, payload: object) -> bytes:
        return zipped(orjson.dumps(payload))

    def owner(self, socket: Socket) -> str | None:
        keys = [name for name in socket.names if "@" not in name]
        return (self._keys.account_of(keys[0]) or "") if keys else None

    # --- what clients say --------------------------------------------------------------------------

    def control(self, sockets: Sockets, socket: Socket, text: str) -> bytes | None:
        """`Pong`, or a subscription; the answer carries the id as it was sent."""
        if text == "Pong":
            socket.hear_pong()
            return None
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        if not isinstance(frame, dict):
            return _answer({"code": 80014, "msg": "expected a JSON object"})
        number, topic, wanted = frame.get("id"), str(frame.get("dataType", "")), frame.get("reqType")
        if wanted == "unsub":
            sockets.unsubscribe(socket, [topic])
        elif wanted != "sub":
            return _answer({"id": number, "code": 80014, "msg": "expected reqType sub or unsub"})
        elif open_topic(self._venue, topic) is None:
            return _answer({"id": number, "code": 80014, "msg": f"dataType not support: {topic}"})
        elif topic not in socket.names and len(socket.names) >= TOPICS_MAX:
            return _answer({"id": number, "code": 80403, "msg": f"at most {TOPICS_MAX} topics"})
        else:
            sockets.subscribe(socket, [topic])
        return _answer({"id": number, "code": 0, "msg": "", "dataType": "", "data": None})


def _answer(frame: Row) -> bytes:
    return zipped(orjson.dumps(frame))


def event_name(row: Row) -> str:
    """What faults know a user event by: its kind, with an order's execution."""
    body = row.get("o")
    return f"{row['e']}/{body['x']}" if isinstance(body, dict) else str(row["e"])
