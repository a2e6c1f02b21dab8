"""Who may talk to the bot over HTTP: from this machine, with the token, and not through a browser's back.

One door in front of everything, so that no endpoint can forget it (R0.6).
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPEN_PATHS = ("/health",)


class Guard:
    """ASGI middleware: right host, no foreign origin, the bearer token (all but `/health`).

    The host check stops DNS rebinding, the origin check stops other sites' pages; both hold for
    `/health` too. Answers are one JSON sentence: 403 for host and origin, 401 for the token.
    """

    def __init__(self, app: ASGIApp, *, token: str, hosts: Iterable[str] = ()) -> None:
        if not token:
            raise ValueError("console: expected a token, found an empty one")
        self._app = app
        self._token = token.encode()
        self._hosts = frozenset((*LOOPBACK, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        status, error = self._verdict(scope)
        if error:
            await _refuse(send, status, error)
            return
        await self._app(scope, receive, send)

    def _verdict(self, scope: Scope) -> tuple[int, str]:
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if _hostname(host) not in self._hosts:
            return 403, "this host name is not served (see the setting http.hosts)"
        origin = headers.get("origin")
        if origin is not None and not self._same_origin(origin, host):
            return 403, "requests of other sites are not served"
        if scope["path"] in OPEN_PATHS or self._has_token(headers):
            return 200, ""
        return 401, "expected `Authorization: Bearer <the text of the home's api_token file>`"

    def _same_origin(self, origin: str, host: str) -> bool:
        return urlsplit(origin).netloc == host and _hostname(host) in self._hosts

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        matches = hmac.compare_digest(given.strip().encode(), self._token)
        return matches and scheme.lower() == "bearer"


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _refuse(send: Send, status: int, error: str) -> None:
    body = json.dumps({"error": error}).encode()
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    start: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
