"""The reference: requests signed by hand over plain aiohttp, with nothing around them."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from bench.report import BenchFailed
from bench.simulator import KEY, SECRET

ACCOUNT_READS = (
    "/fapi/v3/positionRisk",
    "/fapi/v1/openAlgoOrders",
    "/fapi/v1/openOrders",
    "/fapi/v3/account",
)


class ByHand:
    """The least a client can do: sign, send, read, decode to plain data."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._headers = {"X-MBX-APIKEY": KEY}

    async def ask(self, path: str, **params: str) -> Any:
        return await self._send("GET", path, params)

    async def order(self, **params: str) -> Any:
        return await self._send("POST", "/fapi/v1/order", params)

    async def stop(self, **params: str) -> Any:
        return await self._send("POST", "/fapi/v1/algoOrder", params)

    async def _send(self, method: str, path: str, params: dict[str, str]) -> Any:
        url = f"{self._url}{path}?{signed(params)}"
        async with self._session.request(method, url, headers=self._headers) as answer:
            data = msgspec.json.decode(await answer.read())
        if answer.status != 200:
            raise BenchFailed(f"{method} {path}: expected 200, found {answer.status} {data}")
        return data


def signed(params: dict[str, str]) -> str:
    """The query with time, window and signature."""
    stamp = {"timestamp": str(time.time_ns() // 1_000_000), "recvWindow": "5000"}
    query = urlencode({**params, **stamp})
    return f"{query}&signature={hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()}"


@asynccontextmanager
async def by_hand(url: str) -> AsyncIterator[ByHand]:
    async with aiohttp.ClientSession() as session:
        yield ByHand(url, session)


async def holdings(hand: ByHand, compact: tuple[str, ...]) -> None:
    """Open a small long position with a stop on each symbol, as a bot's account would look."""
    for symbol in compact:
        mark = await hand.ask("/fapi/v1/premiumIndex", symbol=symbol)
        price = float(mark["markPrice"])
        quantity = quantity_of(price)
        await hand.order(symbol=symbol, side="BUY", type="MARKET", quantity=quantity)
        stop = {"algoType": "CONDITIONAL", "type": "STOP_MARKET", "side": "SELL", "closePosition": "true"}
        trigger = f"{price * 0.95:.1f}" if price > 10 else f"{price * 0.95:.3f}"
        await hand.stop(symbol=symbol, triggerPrice=trigger, workingType="MARK_PRICE", **stop)


def quantity_of(price: float) -> str:
    """About 300 quote, in a step that every instrument of the benchmark allows."""
    return f"{300 / price:.3f}" if price > 1000 else f"{max(1, round(300 / price))}"
