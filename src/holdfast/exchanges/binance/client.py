"""ccxt's Binance client with its three habits changed: clock, transport and answers.

ccxt names the endpoints, places the parameters and signs. What it would do beyond that is taken
over: it reads no clock but ours, sends through the shared session, and hands back raw answers, so
that no exception class of its own stands between us and the exchange's codes (its classes depend on
the URL). Its rate limiter, retries and markets are not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ccxt.async_support as ccxt

from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.exchanges.binance.requests import Request
from holdfast.exchanges.caller import Signed
from holdfast.exchanges.transport import Answer, Transport

_SECTIONS: Mapping[str, str] = {
    "fapiPublic": "/fapi/v1",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV2": "/fapi/v2",
    "fapiPrivateV3": "/fapi/v3",
}
"""The parts of the interface we use; no other address can be reached through this client."""


class BinanceClient(ccxt.binanceusdm):  # type: ignore[misc]  # ccxt is untyped
    """One account's signer. `await client.fapiPrivatePostOrder(params)` gives an `Answer`."""

    def __init__(
        self, *, base_url: str, api_key: str, secret: Secret, clock: Clock, transport: Transport
    ) -> None:
        self._holdfast_clock = clock
        self._holdfast_transport = transport
        super().__init__(
            {
                "apiKey": api_key,
                "secret": secret.reveal_to_signer(),
                "enableRateLimit": False,
                "options": {"maxRetriesOnFailure": 0, "recvWindow": None},
            }
        )
        self.urls["api"] = {section: base_url + path for section, path in _SECTIONS.items()}

    def milliseconds(self) -> int:
        """Our clock (ccxt would read the wall's)."""
        return self._holdfast_clock.now_ms()

    def seconds(self) -> int:
        return self.milliseconds() // 1000

    def microseconds(self) -> int:
        return self.milliseconds() * 1000

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
