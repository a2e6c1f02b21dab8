"""ccxt.pro's WebSocket side: market streams and the user stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.simulator.binance.clients import SYMBOL, ccxt_client
from tests.simulator.world import World, world


@asynccontextmanager
async def going_on(w: World) -> AsyncIterator[None]:
    """Let market time pass meanwhile: two seconds in each tenth of a second."""

    async def run() -> None:
        while True:
            w.jump(2)
            await asyncio.sleep(0.1)

    task = asyncio.create_task(run(), name="time")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def soon(what: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(what, 10)


async def test_every_market_watch_method_gets_its_stream():
    async with world() as w, ccxt_client(w) as exchange, going_on(w):
        ticker, candles, marks, book, tops, trades = await soon(
            asyncio.gather(
                exchange.watch_ticker(SYMBOL),
                exchange.watch_ohlcv(SYMBOL, "1m"),
                exchange.watch_mark_prices([SYMBOL]),
                exchange.watch_order_book(SYMBOL),
                exchange.watch_bids_asks([SYMBOL]),
                exchange.watch_trades(SYMBOL, None, None, {"name": "aggTrade"}),
            )
        )
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert candles[-1][2] >= candles[-1][3]
        assert marks[SYMBOL]["markPrice"] > 0
        assert book["bids"][0][0] < book["asks"][0][0]
        assert tops[SYMBOL]["bid"] < tops[SYMBOL]["ask"]
        assert trades[-1]["price"] > 0


async def test_a_watched_book_stays_equal_to_the_real_one():
    """ccxt checks each message against the one before and raises on a gap."""
    async with world() as w, ccxt_client(w) as exchange:
        async with going_on(w):
            for _ in range(8):
                watched = await soon(exchange.watch_order_book(SYMBOL, 10))
        await asyncio.sleep(0.3)
        nonce, now = watched["nonce"], await exchange.fetch_order_book(SYMBOL, 10)
        assert watched["nonce"] >= nonce
        assert now["nonce"] == exchange.orderbooks[SYMBOL]["nonce"]
        assert exchange.orderbooks[SYMBOL]["bids"][:10] == now["bids"]


async def test_the_user_stream_tells_orders_fills_balance_and_positions():
    async with world() as w, ccxt_client(w) as exchange:
        watches = [
            asyncio.ensure_future(watch())
            for watch in (
                exchange.watch_orders,
                exchange.watch_my_trades,
                exchange.watch_balance,
                exchange.watch_positions,
            )
        ]
        await asyncio.sleep(0.5)
        placed = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": "seen"})
        orders, trades, balance, positions = await soon(asyncio.gather(*watches))
        assert {order["clientOrderId"] for order in orders} == {"seen"}
        assert (trades[0]["order"], trades[0]["amount"]) == (placed["id"], 0.01)
        assert trades[0]["fee"]["cost"] > 0
        assert balance["USDT"]["total"] == pytest.approx(10_000 - trades[0]["fee"]["cost"])
        assert (positions[0]["contracts"], positions[0]["side"]) == (0.01, "long")


async def test_a_triggered_stop_is_told_step_by_step():
    async with world() as w, ccxt_client(w) as exchange:
        heard: list[str] = []
        original = exchange.handle_message

        def listen(client: Any, message: Any) -> None:
            if isinstance(message, dict) and message.get("e") == "ALGO_UPDATE":
                heard.append(message["o"]["X"])
            original(client, message)

        exchange.handle_message = listen
        watch = asyncio.ensure_future(exchange.watch_orders())
        await asyncio.sleep(0.5)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        own = {"stopLossPrice": last * 0.97, "closePosition": True}
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own)
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.965")
        w.jump(3)
        await soon(watch)
        for _ in range(50):
            if heard[-1:] == ["FINISHED"]:
                break
            await asyncio.sleep(0.05)
        assert heard == ["NEW", "TRIGGERING", "TRIGGERED", "FINISHED"]
        assert w.truth().positions == ()
