"""bingx-py, a second client: it signs in its own way and checks answers against models of its own.

Its models know an order's acknowledgement and the word CANCELLED otherwise than they were recorded, and it
takes the text "0" for a failure: orders go through its signed transport, the rest through its typed calls.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulator.bingx.clients import BINGX
from tests.simulator.world import World, world

http_client = pytest.importorskip("bingx_py.http_client")
asynchronous = pytest.importorskip("bingx_py.asyncio")
trades = pytest.importorskip("bingx_py.models.swap.trades")
exceptions = pytest.importorskip("bingx_py.exceptions")

BTC = "BTC-USDT"
ORDER = "/openApi/swap/v2/trade/order"


@pytest.fixture
async def pair(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[World, Any]]:
    """The exchange and the client on its clock, as an account whose signatures are verified."""
    async with world(BINGX) as running:
        await running.admin("POST", "/accounts", key="named", secret="hush")
        clock = SimpleNamespace(time=lambda: running.clock.now_ms() / 1_000)
        monkeypatch.setattr(http_client, "time", clock)
        async with asynchronous.BingXAsyncClient("named", "hush") as client:
            client.base_url = running.server.url
            yield running, client


async def placed(client: Any, **order: Any) -> Any:
    wanted = {"symbol": BTC, "side": "BUY", "positionSide": "LONG", "type": "MARKET", "quantity": 0.01}
    return (await client.async_post(ORDER, wanted | order))["data"]["order"]


def price(running: World, ratio: float) -> float:
    return round(float(running.server.core.prices(running.server.core.symbols()[0]).last) * ratio, 1)


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_symbols", ()),
        ("get_order_book", (BTC, 5)),
        ("get_recent_trades_list", (BTC,)),
        ("mark_price_and_funding_rate", (BTC,)),
        ("get_funding_rate_history", (BTC,)),
        ("kline_candlestick_data", (BTC, "1m")),
        ("mark_price_kline_candlestick_data", (BTC, "1m")),
        ("open_interest_statistics", (BTC,)),
        ("ticker_price_change_statistics", (BTC,)),
        ("symbol_price_ticker", (BTC,)),
        ("query_account_data", ()),
        ("query_position_data", (BTC,)),
        ("query_trading_commission_rate", ()),
        ("query_position_mode", ()),
        ("query_leverage_and_available_positions", (BTC,)),
        ("query_margin_type", (BTC,)),
        ("position_and_maintenance_margin_ratio", (BTC,)),
        ("get_account_profit_and_loss_fund_flow", ()),
        ("users_force_orders", ()),
        ("get_current_all_open_orders", (BTC,)),
    ],
)
async def test_answers_satisfy_its_models(
    pair: tuple[World, Any], call: str, arguments: tuple[Any, ...]
) -> None:
    running, client = pair
    await placed(client)
    await placed(client, type="LIMIT", price=price(running, 0.97))
    answer = await getattr(client.swap, call)(*arguments)
    assert answer.code == 0


async def test_a_trade_from_settings_to_the_end(pair: tuple[World, Any]) -> None:
    running, client = pair
    assert (await client.swap.query_position_mode()).data.dual_side_position == "true"
    assert (await client.swap.set_leverage(BTC, "LONG", 10)).data.leverage == 10
    await client.swap.change_margin_type(BTC, trades.MarginType.ISOLATED)
    made = await placed(client, clientOrderId="Own-1")
    assert made["clientOrderId"] == "own-1"
    (position,) = (await client.swap.query_position_data(BTC)).data
    assert (position.position_amt, position.leverage, position.isolated) == ("0.0100", 10, True)
    await placed(client, side="SELL", type="STOP_MARKET", stopPrice=price(running, 0.97))
    (stop,) = (await client.swap.get_current_all_open_orders(BTC)).data.orders
    assert (stop.type.value, stop.orig_qty) == ("STOP_MARKET", "0.0100")
    assert len((await client.swap.close_all_positions(BTC)).data.success) == 1
    assert (await client.swap.query_position_data(BTC)).data == []
    now = running.clock.now_ms()
    fills = (await client.swap.query_historical_transaction_details(BTC, now - 60_000, now)).data
    assert [fill.side for fill in fills.fill_history_orders] == ["sell", "buy"]


async def test_refusals_are_its_exceptions(pair: tuple[World, Any]) -> None:
    _, client = pair
    with pytest.raises(exceptions.APIError, match="109421"):
        await client.swap.cancel_order(BTC, order_id=1)
    client._api_secret = "wrong"
    with pytest.raises(exceptions.SignatureVerificationFailedError):
        await client.swap.query_account_data()


async def test_the_listen_key_is_at_the_top_of_its_answer(pair: tuple[World, Any]) -> None:
    _, client = pair
    key = (await client.generate_listen_key()).listen_key
    await client.extend_listen_key_validity(key)
    await client.delete_listen_key(key)
