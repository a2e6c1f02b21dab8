"""ccxt trades on the simulated exchange over real sockets and notices nothing."""

from __future__ import annotations

from itertools import pairwise

import ccxt
import pytest

from tests.simulator.binance.clients import SYMBOL, ccxt_client
from tests.simulator.world import BTC, world


async def test_a_market_order_fills_and_shows_everywhere():
    async with world() as w, ccxt_client(w) as exchange:
        await exchange.set_leverage(10, SYMBOL)
        order = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": "in-1"})
        assert order["status"] == "closed"
        assert order["filled"] == 0.01
        assert order["average"] is None, "answers to orders carry no price since mid-2026"
        fetched = await exchange.fetch_order(None, SYMBOL, {"clientOrderId": "in-1"})
        assert fetched["id"] == order["id"]
        assert fetched["average"] > 0
        (trade,) = await exchange.fetch_my_trades(SYMBOL)
        assert trade["order"] == order["id"]
        assert trade["price"] == fetched["average"]
        assert trade["fee"]["cost"] == pytest.approx(0.0005 * 0.01 * trade["price"], rel=1e-6)
        (position,) = await exchange.fetch_positions()
        assert (position["symbol"], position["side"], position["contracts"]) == (SYMBOL, "long", 0.01)
        assert position["entryPrice"] == fetched["average"]
        assert position["marginMode"] == "cross"
        (risk,) = await exchange.fetch_positions([SYMBOL], {"useV2": True})
        assert risk["leverage"] == 10
        balance = await exchange.fetch_balance()
        assert balance["USDT"]["total"] == pytest.approx(
            10_000 + position["unrealizedPnl"] - trade["fee"]["cost"]
        )
        assert balance["USDT"]["used"] == pytest.approx(position["initialMargin"], rel=1e-3)


async def test_a_limit_order_rests_is_changed_and_cancelled():
    async with world() as w, ccxt_client(w) as exchange:
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.97)
        assert order["status"] == "open"
        (opened,) = await exchange.fetch_open_orders(SYMBOL)
        assert opened["id"] == order["id"]
        edited = await exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, last * 0.98)
        assert edited["id"] == order["id"]
        assert edited["amount"] == 0.02
        cancelled = await exchange.cancel_order(order["id"], SYMBOL)
        assert cancelled["status"] == "canceled"
        assert await exchange.fetch_open_orders(SYMBOL) == []
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await exchange.cancel_order(order["id"], SYMBOL)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.97)
        await exchange.cancel_all_orders(SYMBOL)
        assert w.truth().positions == ()
        assert await exchange.fetch_open_orders(SYMBOL) == []
        history = await exchange.fetch_orders(SYMBOL)
        assert [row["status"] for row in history] == ["canceled", "canceled"]


async def test_a_large_limit_order_fills_in_parts():
    async with world() as w, ccxt_client(w) as exchange:
        await exchange.set_leverage(50, SYMBOL)
        await w.admin("POST", "/transfer", account="key", amount="100000000")
        await w.admin("POST", "/liquidity", symbol="BTCUSDT", ratio="0.05")
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        order = await exchange.create_order(SYMBOL, "limit", "buy", 20, last * 1.0005)
        assert order["status"] == "open"
        assert 0 < order["filled"] < 20
        w.jump(5)
        later = await exchange.fetch_order(order["id"], SYMBOL)
        trades = await exchange.fetch_my_trades(SYMBOL, None, None, {"orderId": order["id"]})
        assert len(trades) > 1
        assert sum(trade["amount"] for trade in trades) == pytest.approx(later["filled"])
        cancelled = await exchange.cancel_order(order["id"], SYMBOL)
        assert cancelled["filled"] == pytest.approx(later["filled"])


async def test_a_stop_is_placed_triggers_and_leads_to_its_order():
    async with world() as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        stop = await exchange.create_order(
            SYMBOL,
            "market",
            "sell",
            0.01,
            None,
            {"stopLossPrice": last * 0.97, "reduceOnly": True, "clientOrderId": "stop-1"},
        )
        assert stop["clientOrderId"] == "stop-1"
        (standing,) = await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
        assert standing["id"] == stop["id"]
        assert await exchange.fetch_open_orders(SYMBOL) == [], "stops live in a book of their own"
        with pytest.raises(ccxt.OrderNotFound, match="-2011"):
            await exchange.cancel_order(stop["id"], SYMBOL)
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.965")
        w.jump(3)
        found = await exchange.fetch_order(None, SYMBOL, {"trigger": True, "clientOrderId": "stop-1"})
        assert found["info"]["algoStatus"] == "FINISHED"
        real = await exchange.fetch_order(found["info"]["actualOrderId"], SYMBOL)
        assert real["filled"] == 0.01
        assert real["info"]["origType"] == "STOP_MARKET"
        assert await exchange.fetch_positions() == []
        assert w.truth().exits == 1


async def test_a_stop_is_cancelled_by_either_id():
    async with world() as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        by_id = await exchange.create_order(
            SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.9}
        )
        answer = await exchange.cancel_order(by_id["id"], SYMBOL, {"trigger": True})
        assert answer["info"]["code"] == "200", "the only code that is a string"
        own = {"stopLossPrice": last * 0.9, "closePosition": True, "clientOrderId": "whole"}
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own)
        with pytest.raises(ccxt.ExchangeError, match="-4130"):
            await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own | {"clientOrderId": "two"})
        await exchange.cancel_order(None, SYMBOL, {"trigger": True, "clientOrderId": "whole"})
        assert await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) == []
        assert [tuple(item) for item in w.truth().unprotected_now] != []


@pytest.mark.parametrize(
    ("args", "params", "error", "code"),
    [
        (("market", "buy", 1000, None), {}, ccxt.BadRequest, "-4005"),
        (("market", "buy", 100, None), {}, ccxt.InsufficientFunds, "-2019"),
        (("market", "sell", 0.01, None), {"reduceOnly": True}, ccxt.InvalidOrder, "-2022"),
        (("market", "buy", 0.001, None), {}, ccxt.InvalidOrder, "-4164"),
        (("limit", "buy", 0.01, 1.02), {"postOnly": True}, ccxt.OrderNotFillable, "-5022"),
        (("limit", "buy", 100, 1.0), {"timeInForce": "FOK"}, ccxt.ExchangeError, "-2019"),
        (("market", "sell", 0.01, None), {"stopLossPrice": 1.1}, ccxt.OrderImmediatelyFillable, "-2021"),
        (("market", "buy", 0.01, None), {"positionSide": "LONG"}, ccxt.OperationRejected, "-4061"),
        (("limit", "buy", 0.01, 1.5), {}, ccxt.BadRequest, "-4016"),
    ],
)
async def test_refusals_arrive_with_their_code_and_class(args, params, error, code):
    """Prices in the table are ratios of the last price."""
    kind, side, amount, ratio = args
    async with world() as w, ccxt_client(w) as exchange:
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        price = None if ratio is None else last * ratio
        scaled = {k: v * last if k == "stopLossPrice" else v for k, v in params.items()}
        with pytest.raises(error, match=code):
            await exchange.create_order(SYMBOL, kind, side, amount, price, scaled)
        assert w.truth().fills == 0


async def test_a_client_id_of_an_open_order_is_refused_twice():
    async with world() as w, ccxt_client(w) as exchange:
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        same = {"clientOrderId": "once"}
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.97, same)
        with pytest.raises(ccxt.InvalidOrder, match="-4116"):
            await exchange.create_order(SYMBOL, "limit", "buy", 0.01, last * 0.97, same)
        assert len(await exchange.fetch_open_orders(SYMBOL)) == 1


async def test_settings_are_set_read_and_refused_when_unchanged():
    async with world() as w, ccxt_client(w) as exchange:
        await exchange.set_leverage(7, SYMBOL)
        assert (await exchange.fetch_leverage(SYMBOL))["longLeverage"] == 7
        await exchange.set_margin_mode("isolated", SYMBOL)
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await exchange.set_margin_mode("isolated", SYMBOL)
        assert (await exchange.fetch_margin_mode(SYMBOL))["marginMode"] == "isolated"
        assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is False
        hedged = True
        await exchange.set_position_mode(hedged, SYMBOL)
        assert (await exchange.fetch_position_mode(SYMBOL))["hedged"] is True
        with pytest.raises(ccxt.OperationRejected, match="-4059"):
            await exchange.set_position_mode(hedged, SYMBOL)
        opened = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"hedged": True})
        assert opened["info"]["positionSide"] == "LONG"
        (position,) = await exchange.fetch_positions()
        assert (position["side"], position["hedged"], position["marginMode"]) == ("long", True, "isolated")
        assert w.truth().entries == 1
        with pytest.raises(ccxt.BadRequest, match="-4028"):
            await exchange.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 126})


async def test_market_data_reads_as_from_the_real_exchange():
    async with world() as w, ccxt_client(w) as exchange:
        market = exchange.market(SYMBOL)
        assert (market["precision"], market["limits"]["cost"]["min"]) == ({**market["precision"]}, 100)
        assert market["precision"]["amount"] == 0.001
        candles = await exchange.fetch_ohlcv(SYMBOL, "1m", None, 50)
        assert len(candles) == 50
        assert all(later[0] - earlier[0] == 60_000 for earlier, later in pairwise(candles))
        assert all(low <= min(o, c) <= max(o, c) <= high for _, o, high, low, c, _ in candles)
        since = await exchange.fetch_ohlcv(SYMBOL, "5m", candles[0][0] - 3_600_000, 3)
        assert since[0][0] >= candles[0][0] - 3_600_000
        book = await exchange.fetch_order_book(SYMBOL, 20)
        assert len(book["bids"]) == 20
        assert book["bids"][0][0] < book["asks"][0][0]
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert set(await exchange.fetch_tickers()) == set(exchange.symbols)
        assert (await exchange.fetch_bids_asks([SYMBOL]))[SYMBOL]["bid"] == book["bids"][0][0]
        assert (await exchange.fetch_last_prices([SYMBOL]))[SYMBOL]["price"] == ticker["last"]
        assert (await exchange.fetch_mark_price(SYMBOL))["markPrice"] > 0
        assert (await exchange.fetch_funding_rate(SYMBOL))["fundingTimestamp"] > w.clock.now_ms()
        assert len(await exchange.fetch_trades(SYMBOL, None, 2)) > 0
        assert (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"] > 0
        assert abs(await exchange.fetch_time() - w.clock.now_ms()) < 1_000
        (tier, *_) = (await exchange.fetch_leverage_tiers([SYMBOL]))[SYMBOL]
        assert tier["maxLeverage"] == 125
        assert (await exchange.fetch_trading_fee(SYMBOL))["taker"] == 0.0005
        assert (await exchange.fetch_status())["status"] == "ok"


async def test_funding_is_charged_and_listed_as_income():
    async with world(symbols=(BTC,)) as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        at_ms = (await exchange.fetch_funding_rate(SYMBOL))["fundingTimestamp"]
        w.jump((at_ms - w.clock.now_ms()) / 1_000 + 2)
        (paid,) = await exchange.fetch_funding_history(SYMBOL)
        assert paid["timestamp"] == at_ms
        (rate,) = await exchange.fetch_funding_rate_history(SYMBOL)
        assert (rate["fundingRate"] > 0) == (paid["amount"] < 0), "longs pay a positive rate"


async def test_batches_answer_each_order_in_its_place():
    async with world() as w, ccxt_client(w) as exchange:
        last = (await exchange.fetch_ticker(SYMBOL))["last"]
        orders = [
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": last * 0.97},
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": last * 1.5},
            {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": last * 0.98},
        ]
        placed = await exchange.create_orders(orders)
        # ccxt sorts what it got: the refused one, having no time, comes first.
        assert [row["info"].get("code") for row in placed] == [-4016, None, None]
        good = [placed[1]["id"], placed[2]["id"]]
        cancelled = await exchange.cancel_orders([*good, "12345"], SYMBOL)
        assert [row["id"] for row in cancelled if row["status"] == "canceled"] == good
        assert w.truth().fills == 0


async def test_reads_lag_effects_where_configured():
    async with world(read_lag_ms=(1_900, 1_900)) as w, ccxt_client(w) as exchange:
        await exchange.fetch_balance()
        w.jump(3)
        order = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        with pytest.raises(ccxt.OrderNotFound, match="-2013"):
            await exchange.fetch_order(order["id"], SYMBOL)
        assert await exchange.fetch_positions() == []
        w.jump(2)
        assert (await exchange.fetch_order(order["id"], SYMBOL))["filled"] == 0.01
        assert len(await exchange.fetch_positions()) == 1


async def test_a_plain_client_starts_up_against_empty_neighbours():
    """Without the options of the snippet ccxt also asks spot, margin and coin-margined markets."""
    async with world() as w, ccxt_client(w) as exchange:
        exchange.options["fetchMarkets"] = {"types": ["linear", "spot"]}
        exchange.options["fetchCurrencies"] = True
        await exchange.load_markets(reload=True)
        assert SYMBOL in exchange.markets
