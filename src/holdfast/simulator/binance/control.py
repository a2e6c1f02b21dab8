"""Control frames of the WebSocket: subscribe, unsubscribe, list (sheet §7.1)."""

from __future__ import annotations

import orjson

from holdfast.simulator.wire.sockets import Manner, Socket, Sockets

STREAMS_MAX = 1_024
CATEGORIES = ("public", "market", "private")


def wrapped(name: str, data: bytes) -> bytes:
    return b'{"stream":' + orjson.dumps(name) + b',"data":' + data + b"}"


MANNER = Manner(wrap=wrapped)


def control(sockets: Sockets, socket: Socket, text: str) -> bytes:
    """Obey a control frame and return the answer; `id` comes back as it was sent, int or text."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return _invalid(f"{error}", None)
    if not isinstance(frame, dict):
        return _invalid("expected an object", None)
    number = frame.get("id")
    if not isinstance(number, int | str | None):
        return _invalid("request ID must be an unsigned integer or a string", None)
    method, params = frame.get("method"), frame.get("params", [])
    if method == "LIST_SUBSCRIPTIONS":
        return orjson.dumps({"result": list(socket.names), "id": number})
    if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
        return _invalid("params must be a list of stream names", number)
    return _change(sockets, socket, str(method), params, number)


def _change(
    sockets: Sockets, socket: Socket, method: str, names: list[str], number: int | str | None
) -> bytes:
    if method == "SUBSCRIBE":
        if len({*socket.names, *names}) > STREAMS_MAX:
            return _invalid(f"at most {STREAMS_MAX} streams on a connection", number)
        sockets.subscribe(socket, names)
    elif method == "UNSUBSCRIBE":
        sockets.unsubscribe(socket, names)
    else:
        return _invalid(f"unknown variant {method!r}, expected SUBSCRIBE or UNSUBSCRIBE", number)
    return orjson.dumps({"result": None, "id": number})


def _invalid(what: str, number: int | str | None) -> bytes:
    answer: dict[str, object] = {"code": 2, "msg": f"Invalid request: {what}"}
    return orjson.dumps(answer if number is None else answer | {"id": number})
