"""ccxt trades on the simulated BingX unchanged: the unified calls and what it reads out of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import ccxt
import pytest

from tests.simulator.bingx.clients import BINGX, SYMBOL, ccxt_client
from tests.simulator.world import World, world


@pytest.fixture
async def pair() -> AsyncIterator[tuple[World, Any]]:
    """The exchange and ccxt on it, in one-way mode."""
    async with world(BINGX) as running, ccxt_client(running) as exchange:
        await exchange.set_position_mode(False)
        yield running, exchange


@pytest.fixture
async def hedged() -> AsyncIterator[tuple[World, Any]]:
    async with world(BINGX) as running, ccxt_client(running) as exchange:
        yield running, exchange


def last(running: World) -> float:
    return float(running.server.core.prices(running.server.core.symbols()[0]).last)


async def test_markets_have_the_steps_and_minimums_of_the_exchange(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    market = exchange.market(SYMBOL)
    assert (market["id"], market["swap"], market["linear"], market["active"]) == (
        "BTC-USDT",
        True,
        True,
        True,
    )
    assert market["precision"] == {"amount": 0.0001, "price": 0.1}
    assert (market["limits"]["amount"]["min"], market["limits"]["cost"]["min"]) == (0.0001, 2.0)
    assert (market["taker"], market["maker"], market["contractSize"]) == (0.0005, 0.0002, 1)


async def test_market_data_is_read(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    ticker = await exchange.fetch_ticker(SYMBOL)
    assert ticker["bid"] < ticker["ask"]
    assert set(await exchange.fetch_tickers()) == {SYMBOL, "ETH/USDT:USDT", "XRP/USDT:USDT"}
    book = await exchange.fetch_order_book(SYMBOL, 7)
    assert len(book["asks"]) == 10
    assert book["asks"][0][0] < book["asks"][-1][0]
    candles = await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
    assert [row[0] for row in candles] == sorted(row[0] for row in candles)
    assert candles[-1][4] == pytest.approx(last(running), rel=1e-3)
    assert len(await exchange.fetch_ohlcv(SYMBOL, "1m", limit=5, params={"price": "mark"})) == 5
    assert (await exchange.fetch_trades(SYMBOL, limit=3))[0]["price"] > 0
    assert (await exchange.fetch_funding_rate(SYMBOL))["fundingRate"] is not None
    assert (await exchange.fetch_mark_price(SYMBOL))["markPrice"] > 0
    assert (await exchange.fetch_open_interest(SYMBOL))["openInterestValue"] > 0
    assert abs(await exchange.fetch_time() - running.clock.now_ms()) < 1_000


async def test_a_new_account_is_hedged_and_one_way_after_being_told(hedged: tuple[World, Any]) -> None:
    _, exchange = hedged
    assert (await exchange.fetch_position_mode())["hedged"] is True
    with pytest.raises(ccxt.BadRequest, match="109400"):
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    await exchange.set_position_mode(False)
    assert (await exchange.fetch_position_mode())["hedged"] is False


async def test_leverage_and_margin_mode_are_set_and_read_back(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    await exchange.set_leverage(12, SYMBOL, {"side": "BOTH"})
    leverage = await exchange.fetch_leverage(SYMBOL)
    assert (leverage["longLeverage"], leverage["shortLeverage"]) == (12, 12)
    await exchange.set_margin_mode("isolated", SYMBOL)
    assert (await exchange.fetch_margin_mode(SYMBOL))["marginMode"] == "isolated"
    await exchange.set_margin_mode("isolated", SYMBOL)


async def test_a_market_order_is_acknowledged_before_its_fill_is_told(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    made = await exchange.create_order(SYMBOL, "market", "buy", 0.01234, params={"clientOrderId": "My-Ord_1"})
    assert (made["status"], made["average"], made["amount"]) == ("open", None, None)
    assert made["clientOrderId"] == "my-ord_1"
    seen = await exchange.fetch_order(made["id"], SYMBOL)
    assert (seen["status"], seen["filled"], seen["amount"]) == ("closed", 0.0123, 0.0123)
    assert seen["fee"]["cost"] == pytest.approx(seen["average"] * 0.0123 * 0.0005, rel=1e-3)
    implicit = await exchange.swapV2PrivateGetTradeOrder({"symbol": "BTC-USDT", "clientOrderId": "MY-ORD_1"})
    assert str(implicit["data"]["order"]["orderId"]) == made["id"]


async def test_positions_are_positive_and_say_their_direction(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    assert await exchange.fetch_positions() == []
    await exchange.create_order(SYMBOL, "market", "sell", 0.02)
    (row,) = await exchange.fetch_positions([SYMBOL])
    assert (row["side"], row["contracts"], row["info"]["onlyOnePosition"]) == ("short", 0.02, True)
    assert row["leverage"] == 5
    balance = await exchange.fetch_balance()
    assert balance["USDT"]["used"] == pytest.approx(row["notional"] / 5, rel=1e-3)


async def test_a_stop_stands_among_the_open_orders_and_ends_the_position(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    price = round(last(running) * 0.98, 1)
    made = await exchange.create_order(
        SYMBOL, "market", "sell", 0.01, params={"stopLossPrice": price, "reduceOnly": True}
    )
    (row,) = await exchange.fetch_open_orders(SYMBOL)
    assert (row["id"], row["info"]["type"], row["stopLossPrice"]) == (made["id"], "STOP_MARKET", price)
    await running.admin("POST", "/price", symbol="BTCUSDT", ratio=0.97)
    running.jump(30)
    assert await exchange.fetch_positions() == []
    assert await exchange.fetch_open_orders(SYMBOL) == []
    assert (await exchange.fetch_order(made["id"], SYMBOL))["status"] == "TRIGGERED"


@pytest.mark.parametrize(
    ("kind", "params", "type_"),
    [
        ("market", {"stopLossPrice": 0.97}, "STOP_MARKET"),
        ("limit", {"stopLossPrice": 0.97}, "STOP"),
        ("market", {"takeProfitPrice": 1.03}, "TAKE_PROFIT_MARKET"),
        ("limit", {"takeProfitPrice": 1.03}, "TAKE_PROFIT"),
        ("market", {"triggerPrice": 1.03}, "TRIGGER_MARKET"),
        ("limit", {"triggerPrice": 0.97}, "TRIGGER_LIMIT"),
        ("market", {"trailingPercent": 1, "trailingTriggerPrice": 1.02}, "TRAILING_STOP_MARKET"),
        ("market", {"trailingAmount": 100}, "TRAILING_STOP_MARKET"),
    ],
)
async def test_every_conditional_type_is_taken_and_listed(
    pair: tuple[World, Any], kind: str, params: dict[str, float], type_: str
) -> None:
    running, exchange = pair
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    price = {
        name: round(last(running) * value, 1) if name.lower().endswith("price") else value
        for name, value in params.items()
    }
    limit = round(last(running) * 0.99, 1) if kind == "limit" else None
    await exchange.create_order(SYMBOL, kind, "sell", 0.01, limit, params=price)
    (row,) = await exchange.fetch_open_orders(SYMBOL)
    assert (row["info"]["type"], row["type"]) == (type_, kind)


async def test_attached_stops_become_orders_of_their_own(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    low, high = round(last(running) * 0.97, 1), round(last(running) * 1.03, 1)
    made = await exchange.create_order(
        SYMBOL,
        "market",
        "buy",
        0.01,
        params={"stopLoss": {"triggerPrice": low}, "takeProfit": {"triggerPrice": high}},
    )
    rows = await exchange.fetch_open_orders(SYMBOL)
    assert sorted(row["info"]["type"] for row in rows) == ["STOP_MARKET", "TAKE_PROFIT_MARKET"]
    assert made["id"] not in {row["id"] for row in rows}
    assert {row["amount"] for row in rows} == {0.01}


async def test_limit_orders_rest_are_listed_edited_and_cancelled(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    price = round(last(running) * 0.98, 1)
    made = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, price)
    (row,) = await exchange.fetch_open_orders(SYMBOL)
    assert (row["status"], row["info"]["status"], row["price"]) == ("open", "PENDING", price)
    edited = await exchange.edit_order(made["id"], SYMBOL, "limit", "buy", 0.02, price - 10)
    assert edited["id"] != made["id"]
    cancelled = await exchange.cancel_order(edited["id"], SYMBOL)
    assert cancelled["status"] == "canceled"
    assert [row["status"] for row in await exchange.fetch_canceled_orders(SYMBOL)] == ["canceled"] * 2
    with pytest.raises(ccxt.OrderNotFound):
        await exchange.cancel_order("1800000010000009999", SYMBOL)


async def test_batches_are_placed_and_cancelled(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    price = round(last(running) * 0.98, 1)
    wanted = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": price - step}
        for step in (0, 10, 20)
    ]
    made = await exchange.create_orders(wanted)
    assert len({row["id"] for row in made}) == 3
    await exchange.cancel_orders([row["id"] for row in made[:2]], SYMBOL)
    assert [row["id"] for row in await exchange.fetch_open_orders(SYMBOL)] == [made[2]["id"]]


async def test_cancelling_all_takes_the_protective_stop_too(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    stop = round(last(running) * 0.97, 1)
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"stopLossPrice": stop})
    await exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(last(running) * 0.98, 1))
    cancelled = await exchange.cancel_all_orders(SYMBOL)
    assert sorted(row["info"]["type"] for row in cancelled) == ["LIMIT", "STOP_MARKET"]
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_the_dead_man_switch_takes_the_protective_stop_too(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    stop = round(last(running) * 0.97, 1)
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"stopLossPrice": stop})
    await exchange.cancel_all_orders_after(30_000)
    running.jump(29)
    assert len(await exchange.fetch_open_orders(SYMBOL)) == 1
    running.jump(2)
    assert await exchange.fetch_open_orders(SYMBOL) == []


async def test_fills_income_and_the_past_position_are_told(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    await exchange.close_position(SYMBOL)
    fills = await exchange.fetch_my_trades(SYMBOL)
    assert [fill["amount"] for fill in fills] == [0.01, 0.01]
    assert {fill["side"] for fill in fills} == {None}
    history = (await exchange.swapV2PrivateGetTradeFillHistory({"symbol": "BTC-USDT"}))["data"]
    assert [row["side"] for row in history["fill_history_orders"]] == ["sell", "buy"]
    (life,) = await exchange.fetch_position_history(SYMBOL)
    assert (life["side"], life["contracts"]) == ("long", 0.01)
    running.jump(8 * 3_600)
    assert await exchange.fetch_funding_history(SYMBOL) == []


async def test_hedge_mode_holds_both_sides_with_leverage_of_their_own(hedged: tuple[World, Any]) -> None:
    running, exchange = hedged
    await exchange.set_leverage(10, SYMBOL, {"side": "LONG"})
    await exchange.set_leverage(20, SYMBOL, {"side": "SHORT"})
    await exchange.create_order(SYMBOL, "market", "buy", 0.01, params={"hedged": True})
    await exchange.create_order(SYMBOL, "market", "sell", 0.02, params={"hedged": True})
    rows = {row["side"]: row for row in await exchange.fetch_positions()}
    assert {side: (row["contracts"], row["leverage"]) for side, row in rows.items()} == {
        "long": (0.01, 10),
        "short": (0.02, 20),
    }
    stop = round(last(running) * 0.97, 1)
    await exchange.create_order(
        SYMBOL, "market", "sell", 0.01, params={"stopLossPrice": stop, "positionSide": "LONG"}
    )
    await exchange.create_order(SYMBOL, "market", "sell", 0.01, params={"hedged": True, "reduceOnly": True})
    assert [row["side"] for row in await exchange.fetch_positions()] == ["short"]
    assert await exchange.fetch_open_orders(SYMBOL) == []
    await exchange.close_all_positions()
    assert await exchange.fetch_positions() == []


async def test_tiers_and_fees_are_read(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    tiers = await exchange.fetch_market_leverage_tiers(SYMBOL)
    assert [tier["tier"] for tier in tiers[:2]] == [1, 2]
    fee = await exchange.fetch_trading_fee(SYMBOL)
    assert (fee["maker"], fee["taker"]) == (0.0002, 0.0005)


async def test_isolated_margin_is_added(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    await exchange.set_margin_mode("isolated", SYMBOL)
    await exchange.create_order(SYMBOL, "market", "buy", 0.01)
    (before,) = await exchange.fetch_positions()
    await exchange.set_margin(SYMBOL, 5, {"type": 1})
    (after,) = await exchange.fetch_positions()
    assert after["collateral"] - before["collateral"] == pytest.approx(5, abs=1)
    assert after["liquidationPrice"] < before["liquidationPrice"]
