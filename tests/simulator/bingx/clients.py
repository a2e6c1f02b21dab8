"""BingX's clients, pointed at a local server as the exchange sheet says, and a bare one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
import ccxt.pro
import orjson
from yarl import URL

from holdfast.simulator.bingx.auth import sign, sorted_payload
from holdfast.simulator.server import ServerConfig
from tests.simulator.world import BTC, World

KEY, SECRET = "key", "secret"
SYMBOL = "BTC/USDT:USDT"
BINGX = ServerConfig(exchange="bingx", read_lag_ms=(0, 0), seed=7)
"""Reads show effects at once."""


@asynccontextmanager
async def ccxt_client(world: World, **changes: Any) -> AsyncIterator[Any]:
    """ccxt.pro on the simulator's clock, every address replaced (sheet §1)."""
    exchange = ccxt.pro.bingx(
        {
            "apiKey": KEY,
            "secret": SECRET,
            "enableRateLimit": False,
            "options": {"defaultType": "swap"},
        }
        | changes
    )
    url = world.server.url
    api = exchange.urls["api"]
    api.update({name: f"{url}/openApi" for name, value in api.items() if isinstance(value, str)})
    ws = url.replace("http", "ws", 1)
    api["ws"] = {
        "linear": f"{ws}/swap-market",
        "spot": f"{ws}/spot-market",
        "inverse": f"{ws}/cswap-market",
    }
    exchange.has["fetchCurrencies"] = False
    exchange.milliseconds = world.clock.now_ms
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


class Answer:
    def __init__(self, status: int, raw: bytes, headers: Any) -> None:
        self.status, self.raw, self.headers = status, raw, headers

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def code(self) -> int:
        return int(self.json["code"])

    @property
    def data(self) -> Any:
        assert self.code == 0, self.json
        return self.json["data"]


class Raw:
    """Signs and sends what it is told."""

    def __init__(self, world: World, key: str = KEY, secret: str = SECRET) -> None:
        self.world, self.key, self.secret = world, key, secret

    async def public(self, path: str, **params: Any) -> Answer:
        return await self.send("GET", path, urlencode(params), {})

    async def signed(self, method: str, path: str, **params: Any) -> Answer:
        params.setdefault("timestamp", self.world.clock.now_ms())
        pairs = {name: str(value) for name, value in params.items()}
        signature = sign(self.secret, sorted_payload(pairs))
        query = urlencode(pairs) + f"&signature={signature}"
        return await self.send(method, path, query, {"X-BX-APIKEY": self.key})

    async def order(self, **params: Any) -> Answer:
        """A market buy of 0.01 BTC unless told otherwise; None takes a parameter out."""
        wanted = {
            "symbol": "BTC-USDT",
            "side": "BUY",
            "positionSide": "LONG",
            "type": "MARKET",
            "quantity": "0.01",
        } | params
        sent = {name: value for name, value in wanted.items() if value is not None}
        return await self.signed("POST", "swap/v2/trade/order", **sent)

    async def stop(self, **params: Any) -> Answer:
        """A stop loss of the long position, three per cent below."""
        wanted = {"side": "SELL", "type": "STOP_MARKET", "stopPrice": self.price(0.97)} | params
        return await self.order(**wanted)

    async def one_way(self) -> None:
        answer = await self.signed("POST", "swap/v1/positionSide/dual", dualSidePosition="false")
        assert answer.json["data"] == {"dualSidePosition": "false"}

    async def rows(self, path: str, **params: Any) -> list[Any]:
        """The list in an answer, wherever it is."""
        data = (await self.signed("GET", path, **params)).data
        return list(data if isinstance(data, list) else next(iter(data.values())))

    async def open_orders(self) -> list[Any]:
        return await self.rows("swap/v2/trade/openOrders", symbol="BTC-USDT")

    async def positions(self) -> list[Any]:
        return await self.rows("swap/v2/user/positions")

    def price(self, ratio: float = 1.0) -> float:
        """The last BTC price times *ratio*, on its tick."""
        return round(float(self.world.server.core.prices(BTC).last) * ratio, 1)

    async def send(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes | None = None
    ) -> Answer:
        url = URL(f"{self.world.server.url}/openApi/{path}?{query}", encoded=True)
        timeout = aiohttp.ClientTimeout(total=10)
        async with self.world.http.request(
            method, url, headers=headers, data=body, timeout=timeout
        ) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)
