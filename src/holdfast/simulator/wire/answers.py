"""What goes back over the wire, and how."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiohttp import web

from holdfast.simulator.faults import FaultKind

JSON = "application/json"
PAGE = b"<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
BEFORE = (
    FaultKind.ERROR_BEFORE,
    FaultKind.REJECT,
    FaultKind.ENDPOINT_DOWN,
    FaultKind.RATE_LIMITED,
    FaultKind.HTML,
)
"""Faults that answer and let nothing through."""


@dataclass(slots=True)
class Answer:
    """What goes back: *body* is JSON unless *kind* says otherwise."""

    status: int
    body: bytes
    headers: dict[str, str]
    code: int = 0
    kind: str = JSON


def reply(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.body, headers=answer.headers, content_type=answer.kind
    )


async def reply_twice(request: web.Request, answer: Answer, delay_ms: int) -> web.StreamResponse:
    """The very same bytes again behind the answer, as a broken proxy sends them."""
    response = reply(answer)
    await response.prepare(request)
    await response.write_eof()
    await asyncio.sleep(delay_ms / 1_000)
    head = [f"HTTP/1.1 {response.status} {response.reason}"]
    head += [f"{name}: {value}" for name, value in response.headers.items()]
    if request.transport is not None:
        request.transport.write("\r\n".join([*head, "", ""]).encode() + answer.body)
    return response
