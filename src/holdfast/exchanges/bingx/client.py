"""ccxt's BingX client with its habits changed: clock, transport and answers (as for Binance).

ccxt names the endpoints, places the parameters and signs. It would stamp each request with its own
time; here the stamp is the caller's, so that an order is signed with the time its journal holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ccxt.async_support as ccxt

from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.exchanges.bingx.requests import Request
from holdfast.exchanges.caller import Signed
from holdfast.exchanges.transport import Answer, Transport

_SECTIONS = ("swap", "user")
"""The parts of the interface we use; no other address can be reached through this client."""


class BingxClient(ccxt.bingx):  # type: ignore[misc]  # ccxt is untyped
    """One account's signer. `await client.swapV2PrivatePostTradeOrder(params)` gives an `Answer`."""

    def __init__(
        self, *, base_url: str, api_key: str, secret: Secret, clock: Clock, transport: Transport
    ) -> None:
        self._holdfast_clock = clock
        self._holdfast_transport = transport
        self._holdfast_stamp = ""
        super().__init__(
            {
                "apiKey": api_key,
                "secret": secret.reveal_to_signer(),
                "enableRateLimit": False,
                "options": {"maxRetriesOnFailure": 0},
            }
        )
        self.urls["api"] = dict.fromkeys(_SECTIONS, f"{base_url}/openApi")

    def milliseconds(self) -> int:
        """Our clock (ccxt would read the wall's)."""
        return self._holdfast_clock.now_ms()

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return self.milliseconds() * 1000

    def sign(
        self,
        path: str,
        section: Any = "public",
        method: str = "GET",
        params: Mapping[str, Any] | None = None,
        headers: Any = None,
        body: Any = None,
    ) -> Any:
        """ccxt's, with the request's own time; nothing else runs between the two lines."""
        self._holdfast_stamp = str((params or {}).get("timestamp", self.milliseconds()))
        return super().sign(path, section, method, dict(params or {}))

    def nonce(self) -> str:
        return self._holdfast_stamp

    async def fetch(
        self,
        url: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> Answer:
        """Send what `sign` made, once; raises `NotSent` or `NoAnswer`. Decodes nothing."""
        content = body.encode() if body else None
        return await self._holdfast_transport.send(method, url, headers, content)

    async def call(self, request: Request, signed: Signed) -> Answer:
        """One implicit endpoint by name, as `Client`; raises `NotSent` or `NoAnswer`."""
        params = dict(request.params)
        if request.signed:
            params |= {"timestamp": str(signed.at_ms), "recvWindow": str(signed.window_ms)}
        method: Any = getattr(self, request.endpoint)
        answer: Answer = await method(params)
        return answer
