"""Intents as wire parameters, and ccxt's signatures over them."""

import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import Purpose
from holdfast.domain.invariant import InvariantViolation
from holdfast.domain.orders import OrderType, PositionSide, Side, TimeInForce, TriggerSource
from holdfast.domain.secret import Secret
from holdfast.exchanges.bingx import requests
from holdfast.exchanges.bingx.client import BingxClient
from holdfast.exchanges.caller import Signed
from holdfast.exchanges.transport import Answer, Transport
from tests.exchanges.bingx.support import NAMES
from tests.exchanges.support import BTC, HandClock, approved, intent

D = Decimal
ORDER = {"symbol": "BTC-USDT", "side": "BUY", "positionSide": "BOTH", "type": "MARKET"}


def sent(client_id: str = "hf-1", **changes: Any) -> tuple[str, dict[str, str]]:
    request = requests.submission(approved(intent(**changes), client_id).journaled, NAMES)
    return request.endpoint, dict(request.params)


def test_a_market_entry_names_the_position_of_its_mode() -> None:
    """BOTH in one-way mode: without it the exchange takes the account for one in hedge mode."""
    params = {**ORDER, "quantity": "0.01", "clientOrderID": "hf-1"}
    assert sent() == ("swapV2PrivatePostTradeOrder", params)
    assert sent(position_side=PositionSide.LONG)[1] == {**params, "positionSide": "LONG"}


def test_a_post_only_limit_entry() -> None:
    """The exchange's own spelling."""
    _, params = sent(type=OrderType.LIMIT, price=D("60000.10"), time_in_force=TimeInForce.POST_ONLY)
    assert (params["type"], params["price"], params["timeInForce"]) == ("LIMIT", "60000.1", "PostOnly")


@pytest.mark.parametrize("flag", [True, False])
def test_closing_reduces_only_in_one_way_mode_and_by_its_side_in_hedge(flag: bool) -> None:
    """R0.5, whatever the intent's flag says; in hedge mode the flag is refused."""
    close = {"purpose": Purpose.CLOSE, "side": Side.SELL, "reduce_only": flag}
    assert sent(**close)[1]["reduceOnly"] == "true"
    _, hedged = sent(**close, position_side=PositionSide.LONG)
    assert (hedged["positionSide"], "reduceOnly" in hedged) == ("LONG", False)


STOP = {"purpose": Purpose.PLACE_STOP, "side": Side.SELL, "trigger_price": D("58000.50")}


def test_a_sized_stop_says_that_it_reduces_only() -> None:
    """ccxt's would not: it could open a position."""
    assert sent(**STOP, trigger_source=TriggerSource.LAST)[1] == {
        **ORDER,
        "side": "SELL",
        "type": "STOP_MARKET",
        "clientOrderID": "hf-1",
        "stopPrice": "58000.5",
        "workingType": "CONTRACT_PRICE",
        "quantity": "0.01",
        "reduceOnly": "true",
    }


@pytest.mark.parametrize("changes", [{"close_position": True}, {"quantity": D(0)}])
def test_a_whole_position_stop_carries_neither_quantity_nor_reduce_only(changes: dict[str, Any]) -> None:
    """`closePosition` excludes both."""
    params = sent(**STOP, **changes)[1]
    assert (params["closePosition"], params["workingType"]) == ("true", "MARK_PRICE")
    assert not {"quantity", "reduceOnly"} & set(params)


def test_a_hedged_stop_names_its_side_and_no_flag() -> None:
    params = sent(**STOP, position_side=PositionSide.SHORT)[1]
    assert (params["positionSide"], params["quantity"]) == ("SHORT", "0.01")
    assert "reduceOnly" not in params


@pytest.mark.parametrize("purpose", [Purpose.CANCEL_ORDER, Purpose.CANCEL_STOP])
def test_orders_and_stops_are_cancelled_in_one_book(purpose: Purpose) -> None:
    """By the exchange's id where it is known."""
    both = sent(purpose=purpose, target_id="17", target_client_id="hf-9")
    assert both == ("swapV2PrivateDeleteTradeOrder", {"symbol": "BTC-USDT", "orderId": "17"})
    assert sent(purpose=purpose, target_client_id="hf-9")[1] == {
        "symbol": "BTC-USDT",
        "clientOrderID": "hf-9",
    }


@pytest.mark.parametrize(
    ("client_id", "changes"),
    [
        ("HF-1", {}),
        ("h" * 41, {}),
        ("hf-1", {"quantity": D(0)}),
        ("hf-1", {"type": OrderType.LIMIT}),
        ("hf-1", {"purpose": Purpose.PLACE_STOP}),
        ("hf-1", {"purpose": Purpose.CANCEL_ORDER}),
    ],
)
def test_what_cannot_be_meant_is_not_sent(client_id: str, changes: dict[str, Any]) -> None:
    """An id in upper case would come back as another."""
    with pytest.raises(InvariantViolation):
        sent(client_id, **changes)


def test_leverage_names_the_side_of_the_mode() -> None:
    """Margin modes in the exchange's words."""
    assert requests.set_leverage("BTC-USDT", 5, PositionSide.LONG).params == {
        "symbol": "BTC-USDT",
        "side": "LONG",
        "leverage": "5",
    }
    assert requests.set_margin_mode("BTC-USDT", MarginMode.CROSS).params["marginType"] == "CROSSED"


def test_every_signed_request_has_a_limit_of_its_own() -> None:
    """And every cost names a limit that there is."""
    names = {limit.name for limit in requests.LIMITS}
    found = [
        requests.POSITIONS,
        requests.BALANCE,
        requests.POSITION_MODE,
        requests.NEW_LISTEN_KEY,
        requests.keep_listen_key("k"),
        requests.open_orders(None),
        requests.find_order("BTC-USDT", "c"),
        requests.orders_since("BTC-USDT", 0),
        requests.fills("BTC-USDT", 0, 1, 1),
        requests.leverage("BTC-USDT"),
        requests.margin_mode("BTC-USDT"),
        requests.set_leverage("BTC-USDT", 5, PositionSide.BOTH),
        requests.set_margin_mode("BTC-USDT", MarginMode.CROSS),
        requests.CONTRACTS,
        requests.SERVER_TIME,
    ]
    assert all(set(request.costs) <= names for request in found)
    assert {request.endpoint for request in found if request.signed} <= set(requests.PACES)


def test_many_symbols_are_one_question() -> None:
    """Of the market's 500 in ten seconds few are used up."""
    few, many = ("A-USDT", "B-USDT"), tuple(f"C{n}-USDT" for n in range(9))
    for make in (requests.marks, requests.quotes):
        assert [request.params for request in make(few)] == [{"symbol": one} for one in few]
        assert [dict(request.params) for request in make(many)] == [{}]


class Caught(Transport):
    """Keeps what would have been sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []

    async def send(self, method: str, url: str, headers: Any, body: bytes | None) -> Answer:
        self.sent.append((method, url, headers))
        assert body is None
        return Answer(200, {}, b"")


async def test_requests_are_signed_with_the_time_they_are_given() -> None:
    """Sorted, not encoded, hashed; ccxt's own clock is not asked."""
    transport = Caught()
    client = BingxClient(
        base_url="http://127.0.0.1:1",
        api_key="key",
        secret=Secret("secret"),
        clock=HandClock(5),
        transport=transport,
    )
    request = requests.submission(approved(intent(**STOP)).journaled, NAMES)
    await client.call(request, Signed(1_700_000_000_123, 4000))
    await client.call(requests.find_order(NAMES.wire(BTC), "hf-1"), Signed(1_700_000_000_456, 5000))
    await client.call(requests.NEW_LISTEN_KEY, Signed(1_700_000_000_789, 5000))
    await client.close()
    paths = [(method, urlsplit(url).path) for method, url, _ in transport.sent]
    assert paths == [
        ("POST", "/openApi/swap/v2/trade/order"),
        ("GET", "/openApi/swap/v2/trade/order"),
        ("POST", "/openApi/user/auth/userDataStream"),
    ]
    stamps = []
    for _, url, headers in transport.sent:
        assert headers["X-BX-APIKEY"] == "key"
        pairs = dict(parse_qsl(urlsplit(url).query))
        signature = pairs.pop("signature")
        payload = "&".join(f"{name}={value}" for name, value in sorted(pairs.items()))
        assert signature == hmac.new(b"secret", payload.encode(), hashlib.sha256).hexdigest()
        stamps.append((pairs["timestamp"], pairs["recvWindow"]))
    assert stamps == [
        ("1700000000123", "4000"),
        ("1700000000456", "5000"),
        ("1700000000789", "5000"),
    ]
