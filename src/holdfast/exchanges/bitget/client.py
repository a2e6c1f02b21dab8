"""ccxt's Bitget client with its three habits changed: clock, transport and answers.

ccxt names the endpoints, places the parameters and signs. It reads no clock but the one that a
request brings, sends through the shared session, and hands back raw answers. Its probe for a unified
account (which takes any failure for an answer), its rate limiter, retries and markets are not used.

Bitget has no receive window: a request is valid for 30 s from its timestamp. A shorter window is made
by signing with a time that lies so far back that the rest of the 30 s is the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ccxt.async_support as ccxt

from holdfast.domain.invariant import require
from holdfast.domain.secret import Secret
from holdfast.exchanges.bitget.requests import Request
from holdfast.exchanges.caller import Signed
from holdfast.exchanges.transport import Answer, Transport

VALID_MS = 30_000
"""How long after its timestamp the exchange takes a request (sheet §2)."""
_SECTIONS = ("mix", "common")
"""The parts of the interface we use; no other address can be reached through this client."""
_STAMP = "holdfast_timestamp"


def stamp_ms(signed: Signed) -> int:
    """The timestamp with which a request is refused from *signed*'s window on."""
    return signed.at_ms + min(signed.window_ms, VALID_MS) - VALID_MS


class BitgetClient(ccxt.bitget):  # type: ignore[misc]  # ccxt is untyped
    """One account's signer."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        secret: Secret,
        passphrase: Secret,
        transport: Transport,
        paper_mark: bool = False,
    ) -> None:
        self._holdfast_transport = transport
        self._holdfast_paper_mark = paper_mark
        self._holdfast_stamp_ms = 0
        super().__init__(
            {
                "apiKey": api_key,
                "secret": secret.reveal_to_signer(),
                "password": passphrase.reveal_to_signer(),
                "enableRateLimit": False,
                "options": {"maxRetriesOnFailure": 0, "uta": False, "sandboxMode": paper_mark},
            }
        )
        self.urls["api"] = dict.fromkeys(_SECTIONS, base_url)

    def milliseconds(self) -> int:
        """The time that the request being signed is signed with (ccxt would read the wall's clock)."""
        return self._holdfast_stamp_ms

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return self.milliseconds() * 1000

    def sign(
        self,
        path: str,
        api: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """As ccxt does; the time comes with the parameters, as requests are signed side by side."""
        given = dict(params or {})
        self._holdfast_stamp_ms = given.pop(_STAMP)
        return super().sign(path, api, method, given)

    async def fetch(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Answer:
        """Send what `sign` made, once; raises `NotSent` or `NoAnswer`. Decodes nothing."""
        if self._holdfast_paper_mark and "ACCESS-KEY" in (headers or {}):
            # The same host trades real money: nothing of an account's leaves without the mark.
            require((headers or {}).get("PAPTRADING") == "1", "a request for pretended money lacks its mark")
        content = body.encode() if body else None
        return await self._holdfast_transport.send(method, url, headers, content)

    async def call(self, request: Request, signed: Signed) -> Answer:
        """One implicit endpoint by name, as `Client`; raises `NotSent` or `NoAnswer`."""
        method: Any = getattr(self, request.endpoint)
        answer: Answer = await method({**request.params, _STAMP: stamp_ms(signed)})
        return answer
