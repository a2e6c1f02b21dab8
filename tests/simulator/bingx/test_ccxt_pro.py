"""ccxt.pro on the simulated BingX: market topics, the user stream, gzip, Ping and Pong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from typing import Any

import pytest

from holdfast.simulator.bingx.config import Switches
from tests.simulator.bingx.clients import BINGX, SYMBOL, ccxt_client
from tests.simulator.world import World, world

WITHOUT_SNAPSHOT = {"fetchBalanceSnapshot": False, "awaitBalanceSnapshot": False}
"""Otherwise ccxt's watch_balance hangs when another private stream was first (sheet §7.4)."""


@pytest.fixture
async def pair() -> AsyncIterator[tuple[World, Any]]:
    async with world(BINGX) as running, ccxt_client(running) as exchange:
        await exchange.set_position_mode(False)
        yield running, exchange


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, 15)


async def test_watch_ticker(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    ticker = await soon(exchange.watch_ticker(SYMBOL))
    prices = running.server.core.prices(running.server.core.symbols()[0])
    assert ticker["last"] == pytest.approx(float(prices.last), rel=1e-3)
    assert ticker["bid"] < ticker["ask"]


async def test_watch_order_book_sorts_the_descending_asks(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    book = await soon(exchange.watch_order_book(SYMBOL))
    assert len(book["asks"]) == 100
    assert book["bids"][0][0] < book["asks"][0][0] < book["asks"][-1][0]


async def test_watch_trades_and_candles(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    trades = await soon(exchange.watch_trades(SYMBOL))
    assert {trade["symbol"] for trade in trades} == {SYMBOL}
    candles = await soon(exchange.watch_ohlcv(SYMBOL, "1m"))
    assert candles[-1][0] % 60_000 == 0


async def test_watch_orders_hears_placing_filling_and_the_stop(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    heard: list[Any] = []

    async def listen() -> None:
        while True:
            heard.extend(await exchange.watch_orders())

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0.5)
    made = await exchange.create_order(SYMBOL, "market", "buy", 0.01, params={"clientOrderId": "Abc"})
    price = round(float(running.server.core.prices(running.server.core.symbols()[0]).last) * 0.97, 1)
    stop = await exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"stopLossPrice": price})
    await asyncio.sleep(0.5)
    listening.cancel()
    filled = next(row for row in heard if row["id"] == made["id"] and row["status"] == "closed")
    assert (filled["clientOrderId"], filled["filled"], filled["fee"]["currency"]) == ("abc", 0.01, "USDT")
    placed = next(row for row in heard if row["id"] == stop["id"])
    assert (placed["info"]["o"], float(placed["info"]["sp"])) == ("STOP_MARKET", price)


async def test_watch_balance_and_positions_follow_a_trade(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    listening = asyncio.gather(
        soon(exchange.watch_balance(WITHOUT_SNAPSHOT)), soon(exchange.watch_positions([SYMBOL]))
    )
    await asyncio.sleep(0.5)
    await exchange.create_order(SYMBOL, "market", "sell", 0.01)
    balance, positions = await listening
    assert 9_990 < balance["USDT"]["free"] < 10_000
    assert (positions[0]["side"], positions[0]["contracts"]) == ("short", 0.01)


async def test_watch_my_trades(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    listening = asyncio.create_task(soon(exchange.watch_my_trades()))
    await asyncio.sleep(0.5)
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    (trade,) = await listening
    assert (trade["side"], trade["amount"]) == ("buy", 0.01)


async def test_pings_are_answered_and_the_connection_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server pings often and is impatient; ccxt answers Pong."""
    monkeypatch.setattr("holdfast.simulator.bingx.tongue.PING_EVERY_S", 0.2)
    impatient = replace(BINGX, bingx=Switches(pong_within_s=0.7))
    async with world(impatient) as running, ccxt_client(running) as exchange:
        await soon(exchange.watch_ticker(SYMBOL))
        await asyncio.sleep(1.5)
        assert len(running.server.app.hub.sockets.all()) == 1
        assert (await soon(exchange.watch_ticker(SYMBOL)))["last"] > 0
