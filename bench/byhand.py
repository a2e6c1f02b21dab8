"""The reference: requests signed by hand over plain aiohttp, with nothing around them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import msgspec

from bench.report import BenchFailed
from bench.simulator import KEY, PASSPHRASE, SECRET, Simulator

Params = Mapping[str, str]


class Read(NamedTuple):
    path: str
    params: Params = {}


class ByHand(ABC):
    """The least a client can do: sign, send, read, decode to plain data."""

    reads: tuple[Read, ...]
    """Positions, stops, orders and balance of an account, in as few questions as tell them."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    async def ask(self, path: str, **params: str) -> Any:
        return await self.send("GET", path, params)

    async def send(self, method: str, path: str, params: Params) -> Any:
        query, headers = self.signed(method, path, params)
        async with self._session.request(method, f"{self._url}{path}?{query}", headers=headers) as answer:
            data = msgspec.json.decode(await answer.read())
        if answer.status != 200 or not self.good(data):
            raise BenchFailed(f"{method} {path}: expected a success, found {answer.status} {data}")
        return data

    @abstractmethod
    def signed(self, method: str, path: str, params: Params) -> tuple[str, dict[str, str]]:
        """The query and the headers."""

    def good(self, _data: Any) -> bool:
        """Whether an answer under status 200 is one."""
        return True


class BinanceByHand(ByHand):
    reads = (
        Read("/fapi/v3/positionRisk"),
        Read("/fapi/v1/openAlgoOrders"),
        Read("/fapi/v1/openOrders"),
        Read("/fapi/v3/account"),
    )

    async def order(self, **params: str) -> Any:
        return await self.send("POST", "/fapi/v1/order", params)

    def signed(self, _method: str, _path: str, params: Params) -> tuple[str, dict[str, str]]:
        return signed(params), {"X-MBX-APIKEY": KEY}


class BingxByHand(ByHand):
    reads = (
        Read("/openApi/swap/v2/user/positions"),
        Read("/openApi/swap/v2/trade/openOrders"),
        Read("/openApi/swap/v3/user/balance"),
    )

    def signed(self, _method: str, _path: str, params: Params) -> tuple[str, dict[str, str]]:
        stamped = sorted({**params, "timestamp": str(_now_ms())}.items())
        text = "&".join(f"{name}={value}" for name, value in stamped)
        return f"{urlencode(stamped)}&signature={_digest(text).hex()}", {"X-BX-APIKEY": KEY}

    def good(self, data: Any) -> bool:
        return bool(data["code"] == 0)


_MIX = "/api/v2/mix"
_PRODUCT = {"productType": "USDT-FUTURES"}


class BitgetByHand(ByHand):
    reads = (
        Read(f"{_MIX}/position/all-position", {"marginCoin": "USDT", **_PRODUCT}),
        *(
            Read(f"{_MIX}/order/orders-plan-pending", {"planType": book, **_PRODUCT})
            for book in ("profit_loss", "normal_plan", "track_plan")
        ),
        Read(f"{_MIX}/order/orders-pending", _PRODUCT),
        Read(f"{_MIX}/account/accounts", _PRODUCT),
    )

    def signed(self, method: str, path: str, params: Params) -> tuple[str, dict[str, str]]:
        query, stamp = urlencode(sorted(params.items())), str(_now_ms())
        sign = base64.b64encode(_digest(f"{stamp}{method}{path}?{query}")).decode()
        names = ("ACCESS-KEY", "ACCESS-SIGN", "ACCESS-TIMESTAMP", "ACCESS-PASSPHRASE")
        return query, dict(zip(names, (KEY, sign, stamp, PASSPHRASE), strict=True))

    def good(self, data: Any) -> bool:
        return bool(data["code"] == "00000")


HANDS: Mapping[str, type[ByHand]] = {
    "binance": BinanceByHand,
    "bingx": BingxByHand,
    "bitget": BitgetByHand,
}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _digest(text: str) -> bytes:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()


def signed(params: Params) -> str:
    """Binance's query with time, window and signature."""
    query = urlencode({**params, "timestamp": str(_now_ms()), "recvWindow": "5000"})
    return f"{query}&signature={_digest(query).hex()}"


@asynccontextmanager
async def by_hand(url: str) -> AsyncIterator[BinanceByHand]:
    async with aiohttp.ClientSession() as session:
        yield BinanceByHand(url, session)


@asynccontextmanager
async def hand_at(exchange: Simulator) -> AsyncIterator[ByHand]:
    """The same of any exchange."""
    async with aiohttp.ClientSession() as session:
        yield HANDS[exchange.exchange](exchange.url, session)
