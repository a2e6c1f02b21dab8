"""The clients the exchange is tested with, pointed at a local server as the exchange sheet says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import binance
import ccxt.pro
from binance.ws.reconnecting_websocket import ReconnectingWebsocket
from binance.ws.streams import BinanceSocketManager

from tests.simulator.world import World

KEY, SECRET = "key", "secret"
SYMBOL = "BTC/USDT:USDT"


def ccxt_config(url: str) -> dict[str, Any]:
    """The sheet's §1.2: every URL that a linear market needs."""
    ws = url.replace("http", "ws", 1)
    return {
        "apiKey": KEY,
        "secret": SECRET,
        "enableRateLimit": False,
        "options": {
            "defaultType": "swap",
            "defaultSubType": "linear",
            "fetchCurrencies": False,
            "fetchMarkets": {"types": ["linear"]},
            "fetchOpenOrders": {"warnWithoutSymbol": False},
        },
        "urls": {
            "api": {
                "fapiPublic": f"{url}/fapi/v1",
                "fapiPublicV2": f"{url}/fapi/v2",
                "fapiPublicV3": f"{url}/fapi/v3",
                "fapiPrivate": f"{url}/fapi/v1",
                "fapiPrivateV2": f"{url}/fapi/v2",
                "fapiPrivateV3": f"{url}/fapi/v3",
                "fapiData": f"{url}/futures/data",
                "sapi": f"{url}/sapi/v1",
                "public": f"{url}/api/v3",
                "private": f"{url}/api/v3",
                "ws": {"linear": f"{ws}/ws", "ws-api": {"linear": f"{ws}/ws-fapi/v1"}},
            }
        },
    }


@asynccontextmanager
async def ccxt_client(world: World, **changes: Any) -> AsyncIterator[Any]:
    """ccxt.pro on the simulator's clock, with the futures error table (the sheet's trap A cured)."""
    exchange = ccxt.pro.binance(ccxt_config(world.server.url) | changes)
    exchange.get_exceptions_by_url = lambda _url, kind: exchange.exceptions["linear"].get(kind, {})
    exchange.milliseconds = world.clock.now_ms
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()


@asynccontextmanager
async def binance_client(world: World, monkeypatch: Any, secret: str = SECRET) -> AsyncIterator[Any]:
    """python-binance's asynchronous client, as the sheet's §1.3 says."""
    url = world.server.url
    monkeypatch.setattr(binance.AsyncClient, "API_URL", f"{url}/api")
    monkeypatch.setattr(binance.AsyncClient, "FUTURES_URL", f"{url}/fapi")
    monkeypatch.setattr(binance.AsyncClient, "FUTURES_DATA_URL", f"{url}/futures/data")
    monkeypatch.setattr(BinanceSocketManager, "FSTREAM_URL", url.replace("http", "ws", 1) + "/")
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 0.2)  # how long its read loop takes to end
    client = await binance.AsyncClient.create(KEY, secret)
    server_ms = (await client.futures_time())["serverTime"]
    client.timestamp_offset = server_ms - int(time.time() * 1_000)
    try:
        yield client
    finally:
        await client.close_connection()
