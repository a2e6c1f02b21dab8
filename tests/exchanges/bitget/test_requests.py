"""Intents and questions as Bitget wants them asked."""

from decimal import Decimal
from typing import Any

import pytest

from holdfast.domain.account import MarginMode
from holdfast.domain.intents import Journaled, Purpose
from holdfast.domain.invariant import InvariantViolation
from holdfast.domain.orders import ClientOrderId, OrderType, PositionSide, Side, TimeInForce, TriggerSource
from holdfast.exchanges.bitget import requests
from holdfast.exchanges.bitget.client import BitgetClient
from tests.exchanges.bitget.samples import NAMES
from tests.exchanges.support import NOW_MS, intent

D = Decimal
CROSS = MarginMode.CROSS


def journaled(**changes: Any) -> Journaled:
    return Journaled(
        intent=intent(**changes),
        client_id=ClientOrderId("hf-1"),
        account_id="a",
        signed_ms=NOW_MS,
        window_ms=5000,
    )


def order(mode: MarginMode = CROSS, **changes: Any) -> dict[str, object]:
    return dict(requests.order(journaled(**changes), NAMES, mode).params)


def stop(**changes: Any) -> dict[str, object]:
    base = {"purpose": Purpose.PLACE_STOP, "side": Side.SELL, "trigger_price": D("25000.0"), "quantity": D(0)}
    return dict(requests.stop(journaled(**{**base, **changes}), NAMES).params)


def test_an_entry_says_its_margin_mode_and_id() -> None:
    """All of the mandatory words, numbers as text."""
    assert order() == {
        "symbol": "BTCUSDT",
        "productType": "USDT-FUTURES",
        "marginCoin": "USDT",
        "marginMode": "crossed",
        "orderType": "market",
        "size": "0.01",
        "side": "buy",
        "clientOid": "hf-1",
    }
    assert order(MarginMode.ISOLATED)["marginMode"] == "isolated"


def test_a_limit_order_says_how_long_it_stands() -> None:
    """Four forces."""
    for force, text in requests.TIMES_IN_FORCE.items():
        params = order(type=OrderType.LIMIT, price=D("25000"), time_in_force=force)
        assert (params["price"], params["force"]) == ("25000", text)
    assert requests.TIMES_IN_FORCE[TimeInForce.POST_ONLY] == "post_only"


@pytest.mark.parametrize(
    ("held", "side", "words"),
    [
        (PositionSide.BOTH, Side.SELL, {"side": "sell", "reduceOnly": "YES"}),
        (PositionSide.LONG, Side.SELL, {"side": "buy", "tradeSide": "close"}),
        (PositionSide.SHORT, Side.BUY, {"side": "sell", "tradeSide": "close"}),
    ],
)
def test_a_close_in_either_mode(held: PositionSide, side: Side, words: dict[str, str]) -> None:
    """One-way: what is traded, reduce-only. Hedge: the position's side, which is not what is traded."""
    params = order(purpose=Purpose.CLOSE, position_side=held, side=side)
    assert {key: params.get(key) for key in words} == words
    assert ("reduceOnly" in params) is (held is PositionSide.BOTH)
    assert ("tradeSide" in params) is (held is not PositionSide.BOTH)


@pytest.mark.parametrize(
    ("held", "side", "words"),
    [
        (PositionSide.LONG, Side.BUY, ("buy", "open")),
        (PositionSide.SHORT, Side.SELL, ("sell", "open")),
    ],
)
def test_an_entry_in_hedge_mode_opens(held: PositionSide, side: Side, words: tuple[str, str]) -> None:
    params = order(position_side=held, side=side)
    assert (params["side"], params["tradeSide"]) == words


@pytest.mark.parametrize(
    ("held", "side", "word"),
    [
        (PositionSide.BOTH, Side.SELL, "buy"),
        (PositionSide.BOTH, Side.BUY, "sell"),
        (PositionSide.LONG, Side.SELL, "long"),
        (PositionSide.SHORT, Side.BUY, "short"),
    ],
)
def test_a_whole_stop_is_a_pos_loss_at_market(held: PositionSide, side: Side, word: str) -> None:
    """It has neither size nor order type (400172), and names what it protects in the mode's words."""
    params = stop(position_side=held, side=side)
    assert (params["planType"], params["holdSide"], params["triggerType"]) == ("pos_loss", word, "mark_price")
    assert not params.keys() & {"size", "orderType", "executePrice", "side"}


def test_a_sized_stop_is_a_loss_plan() -> None:
    """Its size is mandatory."""
    params = stop(quantity=D("0.5"), trigger_source=TriggerSource.LAST)
    assert (params["planType"], params["size"], params["triggerType"]) == ("loss_plan", "0.5", "fill_price")
    assert stop(quantity=D("0.5"), close_position=True)["planType"] == "pos_loss"


@pytest.mark.parametrize(
    "make",
    [
        lambda: order(quantity=D(0)),
        lambda: order(type=OrderType.LIMIT),
        lambda: stop(trigger_price=None),
        lambda: requests.cancel_order(journaled(purpose=Purpose.CANCEL_ORDER), NAMES),
    ],
)
def test_half_an_intent_is_a_bug(make: Any) -> None:
    """Never half a request."""
    with pytest.raises(InvariantViolation):
        make()


def test_a_cancel_of_a_plan_names_its_type() -> None:
    """Without it the exchange looks among the normal plans only, and says nothing."""
    params = requests.cancel_plan("BTCUSDT", "pos_loss", "77").params
    assert (params["planType"], params["orderIdList"]) == ("pos_loss", [{"orderId": "77"}])


def test_the_census_names_each_book() -> None:
    """The exchange's default shows no stop."""
    assert [requests.open_plans(book, None).params["planType"] for book in requests.BOOKS] == [
        "profit_loss",
        "normal_plan",
        "track_plan",
    ]
    assert requests.open_orders("BTCUSDT", "5").params["idLessThan"] == "5"


def test_every_endpoint_exists_and_has_its_limit() -> None:
    """ccxt knows it, and the governor knows what it costs."""
    names = {limit.name for limit in requests.LIMITS}
    endpoints = {*requests._KEY_PER_SECOND, *requests._ADDRESS_PER_SECOND}
    for endpoint in endpoints:
        assert hasattr(BitgetClient, endpoint)
        assert set(requests.Request(endpoint, {}).costs) <= names
    assert len(names) == len(requests.LIMITS)


def test_bars_come_from_the_history_when_they_are_older() -> None:
    """Long ones begin at midnight UTC; a length we do not know is a mistake of the caller."""
    assert requests.candles("BTCUSDT", "1d", 5, None).params["granularity"] == "1Dutc"
    older = requests.candles("BTCUSDT", "1h", 5, 99)
    assert (older.endpoint, older.params["endTime"]) == ("publicMixGetV2MixMarketHistoryCandles", "99")
    assert requests.LENGTHS_MS["4h"] == 4 * 3_600_000
    with pytest.raises(ValueError, match="timeframe"):
        requests.candles("BTCUSDT", "7m", 5, None)
