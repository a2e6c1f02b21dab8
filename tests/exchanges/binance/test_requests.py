"""Intents as wire parameters, and ccxt's signatures over them."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from holdfast.domain.intents import Purpose
from holdfast.domain.invariant import InvariantViolation
from holdfast.domain.orders import OrderType, PositionSide, Side, TimeInForce, TriggerSource
from holdfast.domain.secret import Secret
from holdfast.exchanges.binance import requests
from holdfast.exchanges.binance.client import BinanceClient
from holdfast.exchanges.names import Names
from tests.exchanges.support import BTC, DATA, HandClock, approved, intent

D = Decimal
NAMES = Names({"BTCUSDT": BTC})
SIGNED = json.loads((DATA / "signed.json").read_text())["requests"]


def sent(**changes: Any) -> tuple[str, dict[str, str]]:
    request = requests.submission(approved(intent(**changes)).journaled, NAMES)
    return request.endpoint, dict(request.params)


def test_a_market_entry_asks_for_the_final_state() -> None:
    """RESULT, because an ACK says NEW even when the order filled."""
    assert sent() == (
        "fapiPrivatePostOrder",
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "MARKET",
            "quantity": "0.01",
            "newClientOrderId": "hf-1",
            "newOrderRespType": "RESULT",
        },
    )


def test_a_post_only_limit_entry_is_gtx() -> None:
    """Binance's word for post-only."""
    _, params = sent(type=OrderType.LIMIT, price=D("60000.10"), time_in_force=TimeInForce.POST_ONLY)
    assert (params["type"], params["price"], params["timeInForce"]) == ("LIMIT", "60000.1", "GTX")


@pytest.mark.parametrize("flag", [True, False])
def test_closing_in_one_way_mode_is_always_reduce_only(flag: bool) -> None:
    """R0.5, whatever the intent's flag says."""
    _, params = sent(purpose=Purpose.CLOSE, side=Side.SELL, reduce_only=flag)
    assert params["reduceOnly"] == "true"
    assert "positionSide" not in params


def test_closing_in_hedge_mode_names_the_side() -> None:
    """There reduceOnly is refused (-1106)."""
    _, params = sent(purpose=Purpose.CLOSE, side=Side.SELL, position_side=PositionSide.LONG)
    assert params["positionSide"] == "LONG"
    assert "reduceOnly" not in params


def stop(**changes: Any) -> dict[str, str]:
    base = {"purpose": Purpose.PLACE_STOP, "side": Side.SELL, "trigger_price": D("58000.50")}
    endpoint, params = sent(**{**base, **changes})
    assert endpoint == "fapiPrivatePostAlgoOrder"
    return params


def test_a_sized_stop_reduces_only() -> None:
    """With its id, trigger and source."""
    assert stop(trigger_source=TriggerSource.MARK) == {
        "algoType": "CONDITIONAL",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "type": "STOP_MARKET",
        "triggerPrice": "58000.5",
        "workingType": "MARK_PRICE",
        "clientAlgoId": "hf-1",
        "quantity": "0.01",
        "reduceOnly": "true",
    }


@pytest.mark.parametrize("changes", [{"close_position": True}, {"quantity": D(0)}])
def test_a_whole_position_stop_carries_neither_quantity_nor_reduce_only(changes: dict[str, Any]) -> None:
    """-4137 and -4138 otherwise."""
    params = stop(trigger_source=TriggerSource.LAST, **changes)
    assert (params["closePosition"], params["workingType"]) == ("true", "CONTRACT_PRICE")
    assert "quantity" not in params
    assert "reduceOnly" not in params


def test_hedge_stops_name_their_side() -> None:
    """Sized or whole."""
    for whole in (True, False):
        params = stop(position_side=PositionSide.LONG, close_position=whole)
        assert params["positionSide"] == "LONG"
        assert "reduceOnly" not in params


def test_cancels_prefer_the_exchanges_id() -> None:
    """And go to the book the order is in."""
    cancel = {"purpose": Purpose.CANCEL_ORDER, "target_client_id": "c"}
    assert sent(**cancel, target_id="7") == ("fapiPrivateDeleteOrder", {"symbol": "BTCUSDT", "orderId": "7"})
    assert sent(**cancel)[1] == {"symbol": "BTCUSDT", "origClientOrderId": "c"}
    stop_cancel = {"purpose": Purpose.CANCEL_STOP, "target_client_id": "c"}
    assert sent(**stop_cancel, target_id="7") == ("fapiPrivateDeleteAlgoOrder", {"algoId": "7"})
    assert sent(**stop_cancel)[1] == {"clientAlgoId": "c"}


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": D(0)},
        {"type": OrderType.LIMIT},
        {"purpose": Purpose.PLACE_STOP},
        {"purpose": Purpose.CANCEL_ORDER},
    ],
)
def test_a_senseless_intent_is_our_bug(changes: dict[str, Any]) -> None:
    """It must never be sent in some completed form."""
    with pytest.raises(InvariantViolation):
        sent(**changes)


def test_tiny_numbers_are_written_out() -> None:
    """1E-7 is a rejected parameter, 0.0000001 is not."""
    _, params = sent(quantity=D("1E-7"), type=OrderType.LIMIT, price=D("1E+3"))
    assert (params["quantity"], params["price"]) == ("0.0000001", "1000")


def test_listing_everything_is_dear() -> None:
    """40 against 1: the sheet's weights."""
    assert (requests.open_orders(None).weight, requests.open_orders("BTCUSDT").weight) == (40, 1)
    assert (requests.open_stops(None).weight, requests.open_stops("BTCUSDT").weight) == (40, 1)
    assert [requests.candles("X", "1m", n, None).weight for n in (99, 499, 1000, 1500)] == [1, 2, 5, 10]
    assert sum(r.weight for r in requests.marks(tuple("abcdefghijklmn"))) == 10
    assert sum(r.weight for r in requests.marks(("a", "b"))) == 2
    assert [sum(r.weight for r in requests.quotes(tuple("abcd"[:n]))) for n in range(5)] == [0, 2, 4, 5, 5]


@pytest.fixture(scope="module")
def client() -> BinanceClient:
    return BinanceClient(
        base_url="http://127.0.0.1:1",
        api_key="key",
        secret=Secret("secret"),
        clock=HandClock(),
        transport=None,  # type: ignore[arg-type]  # signing sends nothing
    )


@pytest.mark.parametrize("vector", SIGNED, ids=lambda v: f"{v['method']}-{v['path']}")
def test_signatures_agree_with_the_recorded_vectors(client: BinanceClient, vector: dict[str, str]) -> None:
    """Parameters with our time and window go out in the recorded bytes, signature included."""
    params = {key: value for key, value in parse_qsl(vector["signed"]) if key != "signature"}
    section = {"v1": "fapiPrivate", "v2": "fapiPrivateV2", "v3": "fapiPrivateV3"}[vector["version"]]
    made = client.sign(vector["path"], [section], vector["method"], params)
    base = f"http://127.0.0.1:1/fapi/{vector['version']}/{vector['path']}"
    if vector["method"] in ("GET", "DELETE"):
        assert (made["url"], made["body"]) == (f"{base}?{vector['signed']}", None)
    else:
        assert (made["url"], made["body"]) == (base, vector["signed"])
    assert made["headers"]["X-MBX-APIKEY"] == "key"


def test_the_client_can_reach_no_other_address(client: BinanceClient) -> None:
    """Spot, COIN-M, wallet: nothing of it is configured."""
    assert set(client.urls["api"]) == {"fapiPublic", "fapiPrivate", "fapiPrivateV2", "fapiPrivateV3"}
    assert all(url.startswith("http://127.0.0.1:1/") for url in client.urls["api"].values())


def test_ccxt_reads_our_clock(client: BinanceClient) -> None:
    """In demos and drills time runs scaled."""
    assert client.milliseconds() == client.nonce() + 0 == HandClock().now_ms()
    assert client.seconds() == HandClock().now_ms() // 1000
