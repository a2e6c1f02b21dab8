"""python-binance finds a Binance, too."""

from __future__ import annotations

import asyncio

import pytest
from binance import BinanceSocketManager
from binance.exceptions import BinanceAPIException

from tests.simulator.binance.clients import KEY, SECRET, binance_client
from tests.simulator.world import world


async def test_it_trades_protects_and_reads_back(monkeypatch):
    async with world() as w:
        await w.admin("POST", "/accounts", key=KEY, secret=SECRET)
        async with binance_client(w, monkeypatch) as client:
            info = await client.futures_exchange_info()
            assert {row["symbol"] for row in info["symbols"]} == {"BTCUSDT", "ETHUSDT", "XRPUSDT"}
            await client.futures_change_leverage(symbol="BTCUSDT", leverage=5)
            order = await client.futures_create_order(
                symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01", newClientOrderId="pb-1"
            )
            assert (order["status"], order["executedQty"]) == ("NEW", "0.000"), (
                "an ACK tells nothing of fills"
            )
            found = await client.futures_get_order(symbol="BTCUSDT", origClientOrderId="pb-1")
            assert (found["status"], found["executedQty"]) == ("FILLED", "0.010")
            price = float((await client.futures_symbol_ticker(symbol="BTCUSDT"))["price"])
            stop = await client.futures_create_order(
                symbol="BTCUSDT",
                side="SELL",
                type="STOP_MARKET",
                stopPrice=f"{price * 0.95:.1f}",
                closePosition="true",
            )
            assert stop["algoStatus"] == "NEW"
            (position,) = await client.futures_position_information()
            assert position["positionAmt"] == "0.01"
            account = await client.futures_account()
            held = {
                row["symbol"]: row["leverage"] for row in account["positions"] if row["positionAmt"] != "0"
            }
            assert held == {"BTCUSDT": "5"}
            (balance,) = await client.futures_account_balance()
            assert float(balance["balance"]) < 10_000
            await client.futures_cancel_order(symbol="BTCUSDT", conditional=True, algoId=stop["algoId"])
            (trade,) = await client.futures_account_trades(symbol="BTCUSDT")
            assert trade["orderId"] == order["orderId"]


async def test_its_batch_cancel_verifies_though_quoted_twice(monkeypatch):
    async with world() as w:
        await w.admin("POST", "/accounts", key=KEY, secret=SECRET)
        async with binance_client(w, monkeypatch) as client:
            price = float((await client.futures_symbol_ticker(symbol="BTCUSDT"))["price"])
            ids = [
                (
                    await client.futures_create_order(
                        symbol="BTCUSDT",
                        side="BUY",
                        type="LIMIT",
                        timeInForce="GTC",
                        quantity="0.01",
                        price=f"{price * 0.97:.1f}",
                    )
                )["orderId"]
                for _ in range(2)
            ]
            answer = await client.futures_cancel_orders(symbol="BTCUSDT", orderIdList=ids)
            assert [row["status"] for row in answer] == ["CANCELED", "CANCELED"]


async def test_a_named_account_is_refused_with_a_wrong_secret(monkeypatch):
    async with world() as w:
        await w.admin("POST", "/accounts", key=KEY, secret="another")
        async with binance_client(w, monkeypatch) as client:
            with pytest.raises(BinanceAPIException) as caught:
                await client.futures_account()
            assert caught.value.code == -1022


async def test_its_sockets_hear_market_and_user_events(monkeypatch):
    async with world() as w, binance_client(w, monkeypatch) as client:
        manager = BinanceSocketManager(client)
        async with (
            manager.futures_user_socket() as user,
            manager.futures_multiplex_socket(["btcusdt@markPrice@1s", "btcusdt@kline_1m"]) as market,
        ):
            await asyncio.sleep(0.2)
            await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
            kinds = {(await asyncio.wait_for(user.recv(), 5))["e"] for _ in range(4)}
            assert kinds == {"ORDER_TRADE_UPDATE", "TRADE_LITE", "ACCOUNT_UPDATE"}
            w.jump(2)
            streams = {(await asyncio.wait_for(market.recv(), 5))["stream"] for _ in range(2)}
            assert streams == {"btcusdt@markPrice@1s", "btcusdt@kline_1m"}
