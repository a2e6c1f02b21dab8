"""What ccxt makes of the exchange's refusals, and of silence."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.simulator.bingx.clients import BINGX, SYMBOL, ccxt_client
from tests.simulator.world import World, world

RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bingx-response.json"
FILLED = {"type": "market", "side": "buy", "amount": 0.01}


@pytest.fixture
async def pair() -> AsyncIterator[tuple[World, Any]]:
    """The exchange and ccxt on it, in one-way mode."""
    async with world(BINGX) as running, ccxt_client(running) as exchange:
        await exchange.set_position_mode(False)
        yield running, exchange


def price(running: World, ratio: float) -> float:
    return round(float(running.server.core.prices(running.server.core.symbols()[0]).last) * ratio, 1)


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside this checkout")
async def test_every_recorded_code_raises_the_recorded_class(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    samples = json.loads(RECORDED.read_text())["errors"]
    assert len(samples) > 50
    for sample in samples:
        body = sample["httpResponse"]
        await running.fault(kind="error_before", code=body["code"], msg=body["msg"], times=1)
        with pytest.raises(ccxt.BaseError) as caught:
            await exchange.create_order(SYMBOL, **FILLED)
        assert type(caught.value).__name__ == sample["ccxtException"], body
    assert await exchange.fetch_positions() == []


async def test_the_exchanges_own_refusals_raise_what_the_sheet_says(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    limit, taking = price(running, 0.98), FILLED | {"type": "limit", "price": price(running, 1.01)}
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ccxt.InsufficientFunds, "101204", FILLED | {"amount": 5}),
        (ccxt.ExchangeError, "101211", FILLED | {"type": "limit", "price": price(running, 1.2)}),
        (ccxt.ExchangeError, "101215", taking | {"params": {"postOnly": True}}),
        (ccxt.InvalidOrder, "101205", FILLED | {"side": "sell", "params": {"reduceOnly": True}}),
        (ccxt.ExchangeError, "109420", FILLED | {"side": "sell", "params": {"stopLossPrice": limit}}),
        (ccxt.BadRequest, "109400", FILLED | {"params": {"hedged": True}}),
    ]
    for kind, code, order in cases:
        with pytest.raises(kind, match=code) as caught:
            await exchange.create_order(SYMBOL, **order)
        assert type(caught.value) is kind
    with pytest.raises(ccxt.OrderNotFound, match="109421"):
        await exchange.fetch_order("1800000010000009999", SYMBOL)
    named = FILLED | {"params": {"clientOrderId": "twice"}}
    await exchange.create_order(SYMBOL, **named)
    running.jump(1.1)
    with pytest.raises(ccxt.DuplicateOrderId, match="101481"):
        await exchange.create_order(SYMBOL, **named)
    with pytest.raises(ccxt.ExchangeError, match="104103"):
        await exchange.set_position_mode(True)


async def test_a_wrong_secret_and_a_wrong_clock(pair: tuple[World, Any]) -> None:
    running, exchange = pair
    await running.admin("POST", "/accounts", key="named", secret="hush")
    exchange.apiKey, exchange.secret = "named", "wrong"
    with pytest.raises(ccxt.AuthenticationError, match="100001"):
        await exchange.fetch_balance()
    exchange.secret = "hush"
    assert (await exchange.fetch_balance())["USDT"]["total"] == 10_000
    exchange.milliseconds = lambda: running.clock.now_ms() - 20_000
    with pytest.raises(ccxt.BadSymbol, match="100421"):  # ccxt's own mistake (sheet §2)
        await exchange.fetch_balance()


async def test_an_empty_200_is_an_order_without_an_id_for_ccxt(pair: tuple[World, Any]) -> None:
    """It happened all the same."""
    running, exchange = pair
    await running.fault(kind="empty", path="/trade/order$", times=1)
    made = await exchange.create_order(SYMBOL, **FILLED)
    assert made["id"] is None
    assert len(await exchange.fetch_positions()) == 1


async def test_asking_by_client_id_alone_sends_a_literal_none(pair: tuple[World, Any]) -> None:
    _, exchange = pair
    await exchange.create_order(SYMBOL, **FILLED, params={"clientOrderId": "mine"})
    with pytest.raises(ccxt.BadRequest, match="found None"):
        await exchange.fetch_order(None, SYMBOL, {"clientOrderId": "mine"})
    assert (await exchange.fetch_order("", SYMBOL, {"clientOrderId": "mine"}))["status"] == "closed"
