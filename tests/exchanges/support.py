"""What the exchange tests share: a clock set by hand, scripted servers, builders."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from holdfast.decisions import gate
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Side
from holdfast.domain.protocols import Clock
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance.adapter import BinanceExchange
from holdfast.exchanges.bitget.adapter import BitgetExchange
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.shared import ExchangeSettings, ExchangeShared

BTC = Symbol("BTC", "USDT", "USDT")
NOW_MS = 1_795_000_000_000
DATA = Path(__file__).parent / "binance" / "data"
RECORDED = json.loads((DATA / "recorded.json").read_text())
"""Recorded answers (`answers`) and user-stream events (`events`)."""


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass
class HandClock:
    """Stands still until it is moved."""

    now: int = NOW_MS
    monotonic: int = 0

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.monotonic

    def pass_ms(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.monotonic += milliseconds


def approved(intent: Intent, client_id: str = "hf-1", signed_ms: int = NOW_MS) -> gate.Approved:
    """An intent as the gate would hand it on (the gate's own key: these tests are about sending)."""
    journaled = Journaled(
        intent=intent,
        client_id=ClientOrderId(client_id),
        account_id="a",
        signed_ms=signed_ms,
        window_ms=5000,
    )
    return gate.Approved(journaled, gate._GATE_KEY)


def intent(**changes: Any) -> Intent:
    """A market entry of 0.01 BTC, with the changes a test is about."""
    base: dict[str, Any] = {
        "purpose": Purpose.ENTER,
        "symbol": BTC,
        "side": Side.BUY,
        "quantity": Decimal("0.01"),
    }
    return Intent(**{**base, **changes})


SYMBOL_ROW = {
    "symbol": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "261.10", "maxPrice": "809484", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
}

Reply = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]
Route = Reply | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Exchange:
    """A throwaway HTTP server that answers what a test scripted: `("POST", "/fapi/v1/order")` → reply."""

    routes: dict[tuple[str, str], Route] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and what was sent, query and body together."""
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        sent = request.query_string + (await request.text())
        self.requests.append((request.method, request.path, sent))
        route = self.routes.get((request.method, request.path))
        if route is None:
            return web.Response(status=404, body=b'{"code":-5000,"msg":"Path is invalid"}')
        if callable(route):
            return await route(request)
        status, content, *headers = route
        return web.Response(status=status, body=content, headers=headers[0] if headers else None)

    def sent_to(self, method: str, path: str) -> list[str]:
        return [sent for m, p, sent in self.requests if (m, p) == (method, path)]


@asynccontextmanager
async def exchange_server(routes: dict[tuple[str, str], Route]) -> AsyncIterator[Exchange]:
    server = Exchange(dict(routes))
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """A TCP server that says bytes of the test's choice; gives its base URL."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def binance(
    base_url: str, clock: Clock | None = None, **settings: Any
) -> AsyncIterator[BinanceExchange]:
    """An adapter against a local server; not opened."""
    async with _exchange("binance", base_url, clock, **settings) as exchange:
        assert isinstance(exchange, BinanceExchange)
        yield exchange


@asynccontextmanager
async def bitget(base_url: str, clock: Clock | None = None, **settings: Any) -> AsyncIterator[BitgetExchange]:
    """The same for Bitget."""
    async with _exchange("bitget", base_url, clock, **settings) as exchange:
        assert isinstance(exchange, BitgetExchange)
        yield exchange


@asynccontextmanager
async def _exchange(
    name: str, base_url: str, clock: Clock | None, **settings: Any
) -> AsyncIterator[MadeExchange]:
    clock = clock or HandClock()
    shared = ExchangeShared(
        clock=clock,
        random=random.Random(1),
        settings=ExchangeSettings(**{"request_timeout_s": 2.0, **settings}),
    )
    exchange = make_exchange(
        name,
        credentials=Credentials("key", Secret("secret"), Secret("word")),
        base_url=base_url,
        clock=clock,
        shared=shared,
    )
    try:
        yield exchange
    finally:
        await exchange.close()
        await shared.close()
