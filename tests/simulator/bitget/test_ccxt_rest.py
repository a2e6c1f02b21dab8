"""ccxt's unified calls against a simulated Bitget: what bots do all day."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.simulator.bitget.clients import SYMBOL, bitget, ccxt_client
from tests.simulator.world import World

PLANS = {"planType": "profit_loss"}
"""Where ccxt's fetch_open_orders finds stops."""


async def last_price(exchange: Any) -> float:
    return float((await exchange.fetch_ticker(SYMBOL))["last"])


async def fall(w: World, ratio: str = "0.95") -> None:
    """The price falls, and the mark with it."""
    await w.admin("POST", "/price", symbol="BTCUSDT", ratio=ratio)
    w.jump(90)


# --- market data -----------------------------------------------------------------------------------


async def test_markets_have_bitgets_steps_and_minimums():
    async with bitget() as w, ccxt_client(w) as exchange:
        market = exchange.market(SYMBOL)
        assert (market["id"], market["precision"]) == ("BTCUSDT", {"amount": 0.0001, "price": 0.1})
        assert (market["limits"]["cost"]["min"], market["active"], market["contractSize"]) == (5.0, True, 1.0)
        assert (market["maker"], market["taker"]) == (0.0002, 0.0006)


async def test_a_client_that_asks_whether_the_account_is_unified_learns_that_it_is_not():
    async with bitget() as w:
        options = {"defaultType": "swap", "defaultSubType": "linear", "fetchMarkets": {"types": ["swap"]}}
        async with ccxt_client(w, options=options) as exchange:
            assert exchange.options["uta"] is False
            assert (await exchange.fetch_balance())["USDT"]["total"] == 10_000


async def test_every_read_of_the_market_answers():
    async with bitget() as w, ccxt_client(w) as exchange:
        ticker = await exchange.fetch_ticker(SYMBOL)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]
        assert ticker["markPrice"] > 0
        assert set(await exchange.fetch_tickers()) == set(exchange.symbols)
        book = await exchange.fetch_order_book(SYMBOL, 7)
        assert len(book["bids"]) == 7
        assert book["bids"][0][0] < book["asks"][0][0]
        candles = await exchange.fetch_ohlcv(SYMBOL, "1m")
        assert [row[0] for row in candles] == sorted(row[0] for row in candles)
        assert len(await exchange.fetch_ohlcv(SYMBOL, "1m", candles[0][0], 5)) == 5
        marks = await exchange.fetch_ohlcv(SYMBOL, "1h", None, 2, {"price": "mark"})
        assert marks[-1][4] > 0
        assert (await exchange.fetch_trades(SYMBOL))[0]["price"] > 0
        assert (await exchange.fetch_mark_price(SYMBOL))["markPrice"] > 0
        assert (await exchange.fetch_funding_rate(SYMBOL))["fundingRate"] is not None
        assert (await exchange.fetch_market_leverage_tiers(SYMBOL))[0]["maxLeverage"] == 125
        assert (await exchange.fetch_trading_fee(SYMBOL))["taker"] == 0.0006
        assert (await exchange.fetch_open_interest(SYMBOL))["openInterestAmount"] > 0
        assert await exchange.fetch_time() == pytest.approx(w.clock.now_ms(), abs=2_000)


# --- orders ----------------------------------------------------------------------------------------


async def test_a_market_order_is_acknowledged_filled_and_closed_again():
    async with bitget() as w, ccxt_client(w) as exchange:
        placed = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": "mine"})
        assert placed["clientOrderId"] == "mine"
        order = await exchange.fetch_order(None, SYMBOL, {"clientOrderId": "mine"})
        assert (order["id"], order["status"], order["filled"], order["side"]) == (
            placed["id"],
            "closed",
            0.01,
            "buy",
        )
        position = (await exchange.fetch_positions([SYMBOL]))[0]
        assert (position["contracts"], position["side"], position["hedged"]) == (0.01, "long", False)
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
        assert await exchange.fetch_positions([SYMBOL]) == []
        trades = await exchange.fetch_my_trades(SYMBOL)
        assert [trade["side"] for trade in trades] == ["buy", "sell"]
        assert all(trade["fee"]["cost"] > 0 for trade in trades)
        assert [order["status"] for order in await exchange.fetch_closed_orders(SYMBOL)] == ["closed"] * 2
        past = (await exchange.fetch_positions_history([SYMBOL]))[0]
        assert past["entryPrice"] == pytest.approx(trades[0]["price"])


async def test_a_resting_order_is_listed_changed_and_cancelled():
    async with bitget() as w, ccxt_client(w) as exchange:
        price = round(await last_price(exchange) * 0.97, 1)
        placed = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, price)
        assert [order["id"] for order in await exchange.fetch_open_orders(SYMBOL)] == [placed["id"]]
        await exchange.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
        changed = (await exchange.fetch_open_orders())[0]
        assert (changed["amount"], changed["price"]) == (0.02, price - 10)
        assert changed["id"] != placed["id"]
        await exchange.cancel_order(changed["id"], SYMBOL)
        assert (await exchange.fetch_order(changed["id"], SYMBOL))["status"] == "canceled"
        canceled = await exchange.fetch_canceled_orders(SYMBOL)
        assert {order["id"] for order in canceled} == {placed["id"], changed["id"]}


async def test_batches_tell_what_became_of_each():
    async with bitget() as w, ccxt_client(w) as exchange:
        price = round(await last_price(exchange) * 0.97, 1)
        good = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": price}
        small = good | {
            "amount": 0.0001,
            "price": round(price * 0.5, 1),
            "params": {"clientOrderId": "small"},
        }
        made = await exchange.create_orders([good, good | {"price": price - 1}, small])
        assert len(made) == 2  # ccxt keeps silent about what failed
        assert (await exchange.fetch_open_orders(SYMBOL))[0]["id"] == made[1]["id"]
        assert len(await exchange.cancel_orders([order["id"] for order in made], SYMBOL)) == 2
        assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_cancelling_everything_leaves_stops_alone():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(last * 0.97, 1))
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.9})
        await exchange.cancel_all_orders(SYMBOL)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        assert len(await exchange.fetch_open_orders(SYMBOL, None, None, PLANS)) == 1


async def test_flash_close_closes_and_says_when_there_is_nothing():
    async with bitget() as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "sell", 0.01)
        closed = await exchange.close_position(SYMBOL)
        assert (await exchange.fetch_order(closed["id"], SYMBOL))["reduceOnly"] is True
        assert await exchange.fetch_positions() == []
        with pytest.raises(ccxt.ExchangeError, match="22002"):
            await exchange.close_position(SYMBOL)


# --- stops -----------------------------------------------------------------------------------------


async def test_a_stop_is_a_pos_loss_that_only_profit_loss_shows_and_it_covers():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        own = {"stopLossPrice": last * 0.97, "clientOrderId": "my-stop"}
        placed = await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own)
        assert await exchange.fetch_open_orders(SYMBOL) == []
        assert await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True}) == []
        assert await exchange.fetch_open_orders(SYMBOL, None, None, {"trailing": True}) == []
        found = (await exchange.fetch_open_orders(SYMBOL, None, None, PLANS))[0]
        assert (found["id"], found["clientOrderId"], found["side"]) == (placed["id"], "my-stop", "sell")
        assert (found["info"]["planType"], found["info"]["size"]) == ("pos_loss", "0")
        assert (await exchange.fetch_positions())[0]["info"]["stopLossId"] == placed["id"]
        assert w.truth().unprotected_now == ()


async def test_a_triggered_stop_closes_and_its_sibling_goes():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        stop = await exchange.create_order(
            SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.97}
        )
        profit = {"takeProfitPrice": last * 1.1}
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, profit)
        await fall(w)
        assert await exchange.fetch_positions() == []
        assert await exchange.fetch_open_orders(SYMBOL, None, None, PLANS) == []
        over = await exchange.fetch_closed_orders(SYMBOL, None, None, PLANS)
        assert [(order["id"], order["info"]["planStatus"]) for order in over] == [(stop["id"], "executed")]
        child = over[0]["info"]["executeOrderId"]
        order = await exchange.fetch_order(child, SYMBOL)
        assert (order["clientOrderId"], order["info"]["orderSource"]) == (stop["id"], "pos_loss_market")
        gone = await exchange.fetch_canceled_orders(SYMBOL, None, None, PLANS)
        assert [order["info"]["planType"] for order in gone] == ["pos_profit"]
        with pytest.raises(ccxt.InvalidOrder, match="43025"):
            await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True, "planType": "pos_loss"})


async def test_a_stop_is_moved_in_place_and_cancelled_by_its_own_plan_type_only():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        stop = await exchange.create_order(
            SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.97}
        )
        moved = await exchange.edit_order(
            stop["id"], SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": last * 0.98}
        )
        found = (await exchange.fetch_open_orders(SYMBOL, None, None, PLANS))[0]
        assert found["id"] == stop["id"] == moved["id"]
        assert found["triggerPrice"] == pytest.approx(last * 0.98, abs=0.1)
        silent = await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True})
        assert silent["id"] is None
        assert len(await exchange.fetch_open_orders(SYMBOL, None, None, PLANS)) == 1
        done = await exchange.cancel_order(stop["id"], SYMBOL, {"trigger": True, "planType": "pos_loss"})
        assert done["id"] == stop["id"]


async def test_partial_stops_keep_their_size():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.02)
        own = {"stopLossPrice": last * 0.97, "planType": "loss_plan"}
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own)
        found = (await exchange.fetch_open_orders(SYMBOL, None, None, PLANS))[0]
        assert (found["info"]["planType"], found["amount"]) == ("loss_plan", 0.01)
        assert len(w.truth().unprotected_now) == 1
        await fall(w)
        assert (await exchange.fetch_positions())[0]["contracts"] == 0.01


async def test_a_trigger_order_opens_a_position_from_either_side_of_the_price():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        low = await exchange.create_order(
            SYMBOL, "market", "buy", 0.01, None, {"triggerPrice": round(last * 0.97)}
        )
        high = await exchange.create_order(
            SYMBOL, "limit", "buy", 0.01, round(last * 1.03, 1), {"triggerPrice": round(last * 1.02, 1)}
        )
        found = await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
        assert {order["id"] for order in found} == {low["id"], high["id"]}
        await fall(w)
        assert (await exchange.fetch_positions())[0]["contracts"] == 0.01
        left = await exchange.fetch_open_orders(SYMBOL, None, None, {"trigger": True})
        assert [order["id"] for order in left] == [high["id"]]


async def test_a_trailing_order_follows_and_has_a_book_of_its_own():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        own = {"trailingPercent": 1, "trailingTriggerPrice": last * 0.99, "reduceOnly": True}
        placed = await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, own)
        found = await exchange.fetch_open_orders(SYMBOL, None, None, {"trailing": True})
        assert [order["id"] for order in found] == [placed["id"]]
        assert (found[0]["info"]["planType"], found[0]["info"]["callbackRatio"]) == ("track_plan", "1")
        await fall(w)
        assert await exchange.fetch_positions() == []


async def test_attached_stop_and_profit_come_to_life_with_the_position():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        own = {"stopLoss": {"triggerPrice": last * 0.97}, "takeProfit": {"triggerPrice": last * 1.05}}
        await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, own)
        found = await exchange.fetch_open_orders(SYMBOL, None, None, PLANS)
        assert {order["info"]["planType"] for order in found} == {"pos_loss", "pos_profit"}
        assert w.truth().unprotected_now == ()


async def test_an_attached_stop_waits_for_the_resting_order_to_fill():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        own = {"stopLoss": {"triggerPrice": last * 0.8}}
        price = round(last * 0.97, 1)
        placed = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, price, own)
        row = (await exchange.fetch_order(placed["id"], SYMBOL))["info"]
        assert row["presetStopLossPrice"] != ""
        assert await exchange.fetch_open_orders(SYMBOL, None, None, PLANS) == []
        await fall(w)
        found = await exchange.fetch_open_orders(SYMBOL, None, None, PLANS)
        assert [order["info"]["planType"] for order in found] == ["pos_loss"]


# --- settings --------------------------------------------------------------------------------------


async def test_leverage_and_margin_mode_are_set_and_read():
    async with bitget() as w, ccxt_client(w) as exchange:
        await exchange.set_leverage(10, SYMBOL)
        await exchange.set_margin_mode("isolated", SYMBOL)
        assert (await exchange.fetch_leverage(SYMBOL))["longLeverage"] == 10
        assert (await exchange.fetch_margin_mode(SYMBOL))["marginMode"] == "isolated"
        await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"marginMode": "isolated"})
        position = (await exchange.fetch_positions())[0]
        assert (position["marginMode"], position["leverage"]) == ("isolated", 10)
        assert position["liquidationPrice"] > 0
        with pytest.raises(ccxt.ExchangeError, match="45117"):
            await exchange.set_margin_mode("cross", SYMBOL)


async def test_the_position_mode_changes_only_when_flat():
    async with bitget() as w, ccxt_client(w) as exchange:
        params = {"productType": "USDT-FUTURES", "symbol": "BTCUSDT", "marginCoin": "USDT"}
        await exchange.set_position_mode(True)
        assert (await exchange.private_mix_get_v2_mix_account_account(params))["data"][
            "posMode"
        ] == "hedge_mode"
        await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"hedged": True})
        with pytest.raises(ccxt.ExchangeError, match="40920"):
            await exchange.set_position_mode(False)


async def test_in_hedge_mode_both_sides_are_held_stopped_and_closed():
    async with bitget() as w, ccxt_client(w) as exchange:
        last = await last_price(exchange)
        await exchange.set_position_mode(True)
        await exchange.create_order(SYMBOL, "market", "buy", 0.02, None, {"hedged": True})
        await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"hedged": True})
        held = {p["side"]: p["contracts"] for p in await exchange.fetch_positions()}
        assert held == {"long": 0.02, "short": 0.01}
        own = {"stopLossPrice": last * 0.97, "hedged": True, "reduceOnly": True}
        await exchange.create_order(SYMBOL, "market", "sell", 0.02, None, own)
        stop = (await exchange.fetch_open_orders(SYMBOL, None, None, PLANS))[0]["info"]
        assert (stop["posSide"], stop["tradeSide"], stop["side"]) == ("long", "close", "buy")
        close = {"hedged": True, "reduceOnly": True}
        done = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, close)
        order = await exchange.fetch_order(done["id"], SYMBOL)
        assert (order["side"], order["info"]["side"], order["info"]["tradeSide"]) == ("buy", "sell", "close")
        assert [p["side"] for p in await exchange.fetch_positions()] == ["long"]
        await exchange.close_position(SYMBOL, "long")
        assert await exchange.fetch_open_orders(SYMBOL, None, None, PLANS) == []


async def test_funding_appears_in_the_bills():
    async with bitget() as w, ccxt_client(w) as exchange:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        w.server.core.set_funding(w.server.core.symbols()[0], Decimal("0.001"), 2_000)
        w.jump(5)
        paid = await exchange.fetch_funding_history(SYMBOL)
        assert paid[0]["amount"] < 0
        assert (await exchange.fetch_positions())[0]["info"]["totalFee"].startswith("-")


async def test_concurrent_calls_of_two_accounts_do_not_mix():
    async with bitget() as w, ccxt_client(w) as one, ccxt_client(w, apiKey="other") as other:
        await asyncio.gather(
            one.create_order(SYMBOL, "market", "buy", 0.01),
            other.create_order(SYMBOL, "market", "sell", 0.02),
        )
        assert (await one.fetch_positions())[0]["contracts"] == 0.01
        assert (await other.fetch_positions())[0]["side"] == "short"
