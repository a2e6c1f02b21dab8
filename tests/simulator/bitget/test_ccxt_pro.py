"""ccxt.pro's WebSocket side against a simulated Bitget: market channels and private ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import pytest

from tests.simulator.bitget.clients import SYMBOL, bitget, ccxt_client
from tests.simulator.world import World


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


def listen(exchange: Any, channel: str) -> list[dict[str, Any]]:
    """Every row of a channel, as it came."""
    heard: list[dict[str, Any]] = []
    original = exchange.handle_message

    def hear(client: Any, message: Any) -> None:
        if isinstance(message, dict) and message.get("arg", {}).get("channel") == channel:
            heard.extend(message.get("data", []))
        original(client, message)

    exchange.handle_message = hear
    return heard


async def until(heard: list[dict[str, Any]], field: str, last: str) -> list[str]:
    """What *field* said up to and with *last*."""
    for _ in range(100):
        said = [row[field] for row in heard]
        if said[-1:] == [last]:
            return said
        await asyncio.sleep(0.05)
    raise AssertionError(f"expected {last!r} in the end, found {[row[field] for row in heard]}")


# --- market ----------------------------------------------------------------------------------------


async def test_every_market_watch_method_gets_its_channel():
    async with bitget() as w, ccxt_client(w) as exchange, going_on(w):
        ticker, candles, book, trades = await soon(
            asyncio.gather(
                exchange.watch_ticker(SYMBOL),
                exchange.watch_ohlcv(SYMBOL, "1m"),
                exchange.watch_order_book(SYMBOL),
                exchange.watch_trades(SYMBOL),
            )
        )
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert float(ticker["info"]["markPrice"]) > 0
        assert candles[-1][2] >= candles[-1][3]
        assert book["bids"][0][0] < book["asks"][0][0]
        assert trades[-1]["price"] > 0


async def test_candles_begin_with_history_and_go_on():
    async with bitget() as w, ccxt_client(w) as exchange:
        first = await soon(exchange.watch_ohlcv(SYMBOL, "1m"))
        assert len(first) == 100
        async with going_on(w):
            for _ in range(8):
                later = await soon(exchange.watch_ohlcv(SYMBOL, "1m"))
        assert later[-1][0] >= first[-1][0]


async def test_a_watched_book_stays_equal_to_the_real_one():
    """ccxt checks the checksum of every change and gives the stream up when one is wrong."""
    async with bitget() as w, ccxt_client(w) as exchange:
        async with going_on(w):
            for _ in range(12):
                await soon(exchange.watch_order_book(SYMBOL))
        await asyncio.sleep(0.3)
        now = await exchange.fetch_order_book(SYMBOL, 15)
        watched = exchange.orderbooks[SYMBOL]
        assert [level[:2] for level in watched["bids"][:15]] == now["bids"]
        assert [level[:2] for level in watched["asks"][:15]] == now["asks"]


async def test_shallow_books_come_complete():
    async with bitget() as w, ccxt_client(w) as exchange, going_on(w):
        for _ in range(3):
            book = await soon(exchange.watch_order_book(SYMBOL, 5))
        assert (len(book["bids"]), len(book["asks"])) == (5, 5)


async def test_a_second_client_gets_its_own_snapshot_of_a_running_book():
    async with bitget() as w, ccxt_client(w) as one, going_on(w):
        for _ in range(4):
            await soon(one.watch_order_book(SYMBOL))
        async with ccxt_client(w) as two:
            for _ in range(4):
                book = await soon(two.watch_order_book(SYMBOL))
            assert len(book["bids"]) > 100


# --- the account -----------------------------------------------------------------------------------


async def test_private_channels_tell_orders_fills_balance_and_positions():
    async with bitget() as w, ccxt_client(w) as exchange:
        orders_heard, positions_heard = listen(exchange, "orders"), listen(exchange, "positions")
        assert (await soon(exchange.watch_balance()))["USDT"]["total"] == 10_000
        assert await soon(exchange.watch_positions()) == []
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
        assert (trades[0]["order"], trades[0]["amount"], trades[0]["side"]) == (placed["id"], 0.01, "buy")
        assert trades[0]["fee"]["cost"] > 0
        assert balance["USDT"]["total"] < 10_000
        assert (positions[0]["contracts"], positions[0]["side"]) == (0.01, "long")
        assert await until(orders_heard, "status", "filled") == ["live", "filled"]
        assert positions_heard[-1]["leverage"] == 20


async def test_a_closed_position_is_missing_from_the_next_list():
    async with bitget() as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        assert (await soon(exchange.watch_positions()))[0]["contracts"] == 0.01
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
        assert await soon(exchange.watch_positions()) == []


async def test_a_triggered_stop_is_told_step_by_step():
    async with bitget() as w, ccxt_client(w) as exchange:
        plans, orders = listen(exchange, "orders-algo"), listen(exchange, "orders")
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        watch = asyncio.ensure_future(exchange.watch_orders(SYMBOL, None, None, {"trigger": True}))
        other = asyncio.ensure_future(exchange.watch_orders(SYMBOL))
        await asyncio.sleep(0.5)
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.97})
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"takeProfitPrice": last * 1.2})
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
        w.jump(90)
        assert (await soon(watch))[0]["triggerPrice"] is not None
        await soon(other)
        assert await until(plans, "status", "cancelled") == [
            "live",
            "live",
            "executing",
            "executed",
            "cancelled",
        ]
        assert [row["planType"] for row in plans[-2:]] == ["psl", "ptp"]
        assert await until(orders, "status", "filled") == ["live", "filled"]
        assert orders[-1]["orderSource"] == "pos_loss_market"
        assert w.truth().positions == ()


async def test_a_wrong_passphrase_ends_the_login():
    async with bitget() as w:
        await w.admin("POST", "/accounts", key="named", secret="s", passphrase="right")
        async with ccxt_client(w, apiKey="named", secret="s", password="wrong") as exchange:
            with pytest.raises(ccxt.AuthenticationError):
                await soon(exchange.watch_balance())
