"""A bare client: signs and sends what it is told, and hands back status, JSON and headers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from holdfast.simulator.bitget.auth import sign
from tests.simulator.bitget.clients import KEY, PASSPHRASE, SECRET
from tests.simulator.world import BTC, World

MIX = "/api/v2/mix"
BTCUSDT = {"symbol": "BTCUSDT", "productType": "USDT-FUTURES", "marginCoin": "USDT"}


class Answer:
    def __init__(self, status: int, raw: bytes, headers: Any) -> None:
        self.status, self.raw, self.headers = status, raw, headers

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def data(self) -> Any:
        assert self.code == "00000", self.json
        return self.json["data"]


class Raw:
    def __init__(
        self, world: World, key: str = KEY, secret: str = SECRET, passphrase: str = PASSPHRASE
    ) -> None:
        self.world, self.key, self.secret, self.passphrase = world, key, secret, passphrase

    async def get(self, path: str, **params: Any) -> Answer:
        return await self.send("GET", path, urlencode(BTCUSDT | params), "")

    async def post(self, path: str, **params: Any) -> Answer:
        wanted = {name: value for name, value in (BTCUSDT | params).items() if value is not None}
        return await self.send("POST", path, "", orjson.dumps(wanted).decode())

    async def order(self, **params: Any) -> Answer:
        """A market buy of 0.01 BTC unless told otherwise; None takes a parameter out."""
        wanted = {"marginMode": "crossed", "side": "buy", "orderType": "market", "size": "0.01"}
        return await self.post(f"{MIX}/order/place-order", **(wanted | params))

    async def stop(self, **params: Any) -> Answer:
        """A pos_loss of a one-way long, three per cent below the price."""
        wanted = {
            "planType": "pos_loss",
            "triggerPrice": str(self.price(0.97)),
            "triggerType": "mark_price",
            "holdSide": "buy",
        }
        return await self.post(f"{MIX}/order/place-tpsl-order", **(wanted | params))

    async def plan(self, **params: Any) -> Answer:
        """A normal_plan that buys below the price."""
        wanted = {
            "planType": "normal_plan",
            "triggerPrice": str(self.price(0.97)),
            "triggerType": "fill_price",
            "marginMode": "crossed",
            "side": "buy",
            "orderType": "market",
            "size": "0.01",
        }
        return await self.post(f"{MIX}/order/place-plan-order", **(wanted | params))

    async def plans(self, kind: str = "profit_loss") -> list[Any]:
        rows = (await self.get(f"{MIX}/order/orders-plan-pending", planType=kind)).data["entrustedList"]
        return rows or []

    async def positions(self) -> list[Any]:
        rows = (await self.get(f"{MIX}/position/all-position")).data
        assert isinstance(rows, list)
        return rows

    def price(self, ratio: float = 1.0) -> float:
        """The last BTC price times *ratio*, on its tick."""
        return round(float(self.world.server.core.prices(BTC).last) * ratio, 1)

    def headers(self, method: str, target: str, body: str) -> dict[str, str]:
        stamp = str(self.world.clock.now_ms())
        return {
            "ACCESS-KEY": self.key,
            "ACCESS-SIGN": sign(self.secret, f"{stamp}{method}{target}{body}"),
            "ACCESS-TIMESTAMP": stamp,
            "ACCESS-PASSPHRASE": self.passphrase,
        }

    async def send(self, method: str, path: str, query: str, body: str, **headers: str | None) -> Answer:
        """*headers* replace the right ones; None takes one out. Underscores stand for hyphens."""
        target = f"{path}?{query}" if query else path
        sent = self.headers(method, target, body)
        for name, value in headers.items():
            word = name.replace("_", "-")
            sent.pop(word)
            if value is not None:
                sent[word] = value
        url = URL(self.world.server.url + target, encoded=True)
        timeout = aiohttp.ClientTimeout(total=10)
        async with self.world.http.request(
            method, url, headers=sent, data=body.encode(), timeout=timeout
        ) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)
