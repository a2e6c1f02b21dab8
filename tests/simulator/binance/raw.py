"""A bare client: signs and sends what it is told, and hands back status, JSON and headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from holdfast.simulator.binance.auth import sign
from tests.simulator.binance.clients import KEY, SECRET
from tests.simulator.world import BTC, World


class Answer:
    def __init__(self, status: int, raw: bytes, headers: Any) -> None:
        self.status, self.raw, self.headers = status, raw, headers

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def code(self) -> int | None:
        body = self.json
        return body.get("code") if isinstance(body, dict) else None


class Raw:
    def __init__(self, world: World, key: str = KEY, secret: str = SECRET) -> None:
        self.world, self.key, self.secret = world, key, secret

    async def public(self, path: str, method: str = "GET", **params: Any) -> Answer:
        return await self._send(method, path, urlencode(params), {})

    async def keyed(self, method: str, path: str, **params: Any) -> Answer:
        return await self._send(method, path, urlencode(params), {"X-MBX-APIKEY": self.key})

    async def signed(self, method: str, path: str, **params: Any) -> Answer:
        params.setdefault("timestamp", self.world.clock.now_ms())
        query = urlencode(params)
        query += f"&signature={sign(self.secret, query)}"
        return await self._send(method, path, query, {"X-MBX-APIKEY": self.key})

    async def order(self, **params: Any) -> Answer:
        """A market buy of 0.01 BTC unless told otherwise; None takes a parameter out."""
        wanted = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"} | params
        sent = {name: value for name, value in wanted.items() if value is not None}
        return await self.signed("POST", "/fapi/v1/order", **sent)

    async def stop(self, **params: Any) -> Answer:
        wanted = {
            "algoType": "CONDITIONAL",
            "symbol": "BTCUSDT",
            "side": "SELL",
            "type": "STOP_MARKET",
            "quantity": "0.01",
            "triggerPrice": str(self.price(0.97)),
        } | params
        sent = {name: value for name, value in wanted.items() if value is not None}
        return await self.signed("POST", "/fapi/v1/algoOrder", **sent)

    def price(self, ratio: float = 1.0) -> float:
        """The last BTC price times *ratio*, on its tick."""
        return round(float(self.world.server.core.prices(BTC).last) * ratio, 1)

    async def _send(self, method: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        url = URL(f"{self.world.server.url}{path}?{query}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=10)
        async with self.world.http.request(method, url, headers=headers, timeout=timeout) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)
