"""What the wire itself promises: doors, checks in order, limits, latency, faults."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import aiohttp
import pytest

from holdfast.simulator.binance.limits import Limits
from tests.simulator.binance.raw import Raw
from tests.simulator.world import world


async def test_an_unknown_path_is_refused_as_the_sheet_says():
    async with world() as w:
        answer = await Raw(w).public("/fapi/v1/xyz")
        assert answer.status == 404
        assert answer.json == {"code": -5000, "msg": "Path /fapi/v1/xyz, Method GET is invalid"}


@pytest.mark.parametrize(
    ("key", "params", "status", "code"),
    [
        ("", {}, 401, -2014),
        ("bad key", {}, 401, -2014),
        ("key", {"timestamp": ""}, 400, -1102),
        ("key", {"timestamp": 1}, 400, -1021),
    ],
)
async def test_a_signed_call_is_refused_by_its_first_fault(key, params, status, code):
    async with world() as w:
        answer = await Raw(w, key).signed("GET", "/fapi/v3/account", **params)
        assert (answer.status, answer.code) == (status, code)


async def test_a_missing_signature_is_a_missing_parameter():
    async with world() as w:
        answer = await Raw(w).keyed("GET", "/fapi/v3/account", timestamp=w.clock.now_ms())
        assert (answer.status, answer.code) == (400, -1102)
        assert "signature" in answer.json["msg"]


async def test_the_open_door_opens_a_demo_account_and_checks_the_shape():
    async with world(wallet=Decimal(500)) as w:
        answer = await Raw(w, "anybody", "a secret never told").signed("GET", "/fapi/v3/account")
        assert answer.json["totalWalletBalance"] == "500.00000000"
        now = w.clock.now_ms()
        bad = await Raw(w, "anybody").keyed("GET", "/fapi/v3/account", timestamp=now, signature="abc")
        assert bad.code == -1022


async def test_named_accounts_are_checked_fully_and_shut_the_door(tmp_path):
    path = tmp_path / "accounts.json"
    path.write_text('[{"key": "k1", "secret": "s1", "wallet": "123.5"}]')
    async with world(accounts_file=path) as w:
        good = await Raw(w, "k1", "s1").signed("GET", "/fapi/v2/balance")
        assert good.json[0]["balance"] == "123.50000000"
        assert (await Raw(w, "k1", "wrong").signed("GET", "/fapi/v2/balance")).code == -1022
        unknown = await Raw(w, "k2", "s2").signed("GET", "/fapi/v2/balance")
        assert (unknown.status, unknown.code) == (401, -2015)
        assert unknown.json["msg"].endswith("request ip: 127.0.0.1")
        assert w.server.core.accounts() == ("k1",)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"symbol": None}, -1102),
        ({"symbol": "NOSUCHUSDT"}, -1121),
        ({"symbol": "BTC-USDT"}, -1121),
        ({"side": None}, -1102),
        ({"side": "HOLD"}, -1117),
        ({"type": "ICEBERG"}, -1116),
        ({"type": "STOP_MARKET", "stopPrice": "1"}, -4120),
        ({"type": "TRAILING_STOP_MARKET"}, -4120),
        ({"quantity": None}, -1102),
        ({"quantity": "much"}, -1100),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "0.001"}, -4164),
        ({"quantity": "200"}, -4005),
        ({"price": "50000"}, -1106),
        ({"type": "LIMIT", "price": "50000"}, -1102),
        ({"type": "LIMIT", "timeInForce": "GTC"}, -1102),
        ({"type": "LIMIT", "timeInForce": "GTD", "price": "50000"}, -1115),
        ({"type": "LIMIT", "timeInForce": "GTC", "price": "50000.05"}, -4014),
        ({"type": "LIMIT", "timeInForce": "GTC", "side": "SELL", "price": "9000"}, -4024),
        ({"newClientOrderId": "x" * 37}, -4015),
        ({"newClientOrderId": "a b"}, -1100),
        ({"positionSide": "UP"}, -4060),
        ({"positionSide": "SHORT"}, -4061),
        ({"reduceOnly": "true"}, -2022),
        ({"reduceOnly": "perhaps"}, -1100),
        ({"quantity": "50"}, -2019),
    ],
)
async def test_an_order_is_refused_with_the_code_of_its_fault(params, code):
    async with world() as w:
        raw = Raw(w)
        assert (await raw.order(**params)).code == code
        account = w.server.core.account_by_key("key")
        assert account is not None
        assert account.orders == {}, "a refused order leaves nothing behind"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"algoType": None}, -1102),
        ({"type": "MARKET"}, -1116),
        ({"triggerPrice": None}, -1102),
        ({"quantity": None}, -1102),
        ({"type": "STOP"}, -1102),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None}, -1102),
        ({"type": "TRAILING_STOP_MARKET", "triggerPrice": None, "callbackRate": "11"}, -1130),
        ({"workingType": "MOOD"}, -1130),
        ({"closePosition": "true"}, -4137),
        ({"closePosition": "true", "quantity": None, "reduceOnly": "true"}, -1106),
        ({"closePosition": "true", "quantity": None}, -4509),
        ({"side": "BUY"}, -2021),
    ],
)
async def test_a_conditional_order_is_refused_with_the_code_of_its_fault(params, code):
    async with world() as w:
        assert (await Raw(w).stop(**params)).code == code


async def test_queries_and_cancels_of_nothing_have_codes_of_their_own():
    async with world() as w:
        raw = Raw(w)
        for path, ids, query, cancel in (
            ("/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": 1}, -2013, -2011),
            ("/fapi/v1/order", {"symbol": "BTCUSDT", "origClientOrderId": "x"}, -2013, -2011),
            ("/fapi/v1/order", {"symbol": "BTCUSDT"}, -1102, -1102),
            ("/fapi/v1/algoOrder", {"algoId": 1}, -2013, -2011),
            ("/fapi/v1/algoOrder", {}, -1102, -1102),
        ):
            assert (await raw.signed("GET", path, **ids)).code == query
            assert (await raw.signed("DELETE", path, **ids)).code == cancel
        change = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "quantity": "0.01",
            "price": raw.price(0.97),
            "orderId": 1,
        }
        assert (await raw.signed("PUT", "/fapi/v1/order", **change)).code == -2013


async def test_an_ack_tells_nothing_and_a_result_tells_the_fill():
    async with world() as w:
        raw = Raw(w)
        ack, result = await raw.order(), await raw.order(newOrderRespType="RESULT")
        assert (ack.json["status"], ack.json["executedQty"]) == ("NEW", "0.000")
        assert (result.json["status"], result.json["executedQty"]) == ("FILLED", "0.010")
        assert "avgPrice" not in result.json
    async with world(legacy_ack_fields=True) as w:
        assert float((await Raw(w).order(newOrderRespType="RESULT")).json["avgPrice"]) > 0


async def test_batches_keep_their_order_and_take_at_most_five():
    async with world() as w:
        raw = Raw(w)
        good = (
            '{"symbol":"BTCUSDT","side":"BUY","type":"LIMIT","timeInForce":"GTC","quantity":"0.01",'
            f'"price":"{raw.price(0.97)}"}}'
        )
        bad = good.replace('"0.01"', '"0"')
        answer = await raw.signed("POST", "/fapi/v1/batchOrders", batchOrders=f"[{good},{bad},{good}]")
        assert answer.status == 200
        assert [row.get("code") for row in answer.json] == [None, -4003, None]
        assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "5"
        assert answer.headers["X-MBX-ORDER-COUNT-1M"] == "1"
        six = ",".join([good] * 6)
        assert (await raw.signed("POST", "/fapi/v1/batchOrders", batchOrders=f"[{six}]")).code == -4082
        ids = [answer.json[0]["orderId"], 77, answer.json[2]["orderId"]]
        gone = await raw.signed("DELETE", "/fapi/v1/batchOrders", symbol="BTCUSDT", orderidlist=str(ids))
        assert [row.get("code") for row in gone.json] == [None, -2011, None]


async def test_price_match_takes_its_price_from_the_book():
    async with world() as w:
        raw = Raw(w)
        book = (await raw.public("/fapi/v1/depth", symbol="BTCUSDT", limit=5)).json
        order = await raw.order(type="LIMIT", timeInForce="GTC", priceMatch="QUEUE_5")
        assert order.json["price"] == book["bids"][4][0]
        assert order.json["priceMatch"] == "QUEUE_5"
        both = await raw.order(type="LIMIT", timeInForce="GTC", priceMatch="QUEUE", price="50000")
        assert both.code == -1106


async def test_the_dead_man_switch_cancels_when_nobody_calls():
    async with world() as w:
        raw = Raw(w)
        await raw.order(type="LIMIT", timeInForce="GTC", price=raw.price(0.97))
        answer = await raw.signed("POST", "/fapi/v1/countdownCancelAll", symbol="BTCUSDT", countdownTime=5000)
        assert answer.json == {"symbol": "BTCUSDT", "countdownTime": "5000"}
        w.jump(4)
        assert len((await raw.signed("GET", "/fapi/v1/openOrders")).json) == 1
        w.jump(2)
        assert (await raw.signed("GET", "/fapi/v1/openOrders")).json == []


async def test_isolated_margin_is_added_and_its_refusals_are_worded():
    async with world() as w:
        raw = Raw(w)
        change = {"symbol": "BTCUSDT", "amount": "10", "type": "1"}
        path = "/fapi/v1/positionMargin"
        assert (await raw.signed("POST", path, **change)).code == -4054
        await raw.signed("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        await raw.order()
        assert (await raw.signed("POST", path, **change)).json["amount"] == 10.0
        (position,) = (await raw.signed("GET", "/fapi/v3/positionRisk")).json
        assert float(position["isolatedWallet"]) > 10
        (row,) = (await raw.signed("GET", path + "/history", symbol="BTCUSDT")).json
        assert (row["amount"], row["deltaType"]) == ("10.00000000", "USER_ADJUST")


# --- limits ----------------------------------------------------------------------------------------


async def test_weight_is_told_counted_and_ends_in_429_then_418():
    async with world(limits=Limits(weight_per_minute=90, refusals_before_ban=1)) as w:
        raw = Raw(w)
        first = await raw.public("/fapi/v1/ticker/24hr")
        assert first.headers["X-MBX-USED-WEIGHT-1M"] == "40"
        assert (await raw.public("/fapi/v1/ticker/24hr")).headers["X-MBX-USED-WEIGHT-1M"] == "80"
        statuses = [(await raw.public("/fapi/v1/ticker/24hr")).status for _ in range(3)]
        assert statuses == [429, 418, 418]
        banned = await raw.order()
        assert (banned.status, banned.code) == (418, -1003)
        assert int(banned.headers["Retry-After"]) <= 120
        assert w.server.core.accounts() == (), "nothing of a banned address is looked at"
        await w.admin("POST", "/reset-limits")
        assert (await raw.public("/fapi/v1/time")).status == 200


async def test_orders_are_limited_per_account():
    async with world(limits=Limits(orders_per_10s=2)) as w:
        raw = Raw(w)
        headers = [(await raw.order()).headers["X-MBX-ORDER-COUNT-10S"] for _ in range(2)]
        assert headers == ["1", "2"]
        third = await raw.order()
        assert (third.status, third.code) == (429, -1015)
        assert w.truth().fills == 2


# --- time ------------------------------------------------------------------------------------------


async def test_latency_is_half_before_the_effect_and_half_after():
    async with world(latency_ms=400) as w:
        raw = Raw(w)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        pending = asyncio.ensure_future(raw.order())
        await asyncio.sleep(0.1)
        assert w.server.core.accounts() == (), "still on its way"
        await asyncio.sleep(0.2)
        assert w.truth().fills == 1
        assert not pending.done(), "the answer is on its way"
        await pending
        assert loop.time() - begun >= 0.4


# --- faults ----------------------------------------------------------------------------------------

EFFECT = {
    "lost_reply": True,
    "error_after": True,
    "empty": True,
    "truncated": True,
    "lost_request": False,
    "error_before": False,
    "reject": False,
    "endpoint_down": False,
    "rate_limited": False,
    "html": False,
}


@pytest.mark.parametrize(("kind", "effect"), EFFECT.items())
async def test_a_fault_has_its_effect_or_none_and_strikes_once(kind, effect):
    async with world(hold_ms_max=300) as w:
        raw = Raw(w)
        await raw.signed("GET", "/fapi/v3/account")
        number = await w.fault(kind=kind, method="POST", path="/order$", times=1)
        try:
            answer = await raw.order(newOrderRespType="RESULT")
            told = answer.status == 200 and answer.raw.startswith(b"{") and answer.raw.endswith(b"}")
        except aiohttp.ClientError:
            told = False
        assert not told, "the client learns nothing of its order"
        assert (w.truth().fills == 1) is effect
        assert w.server.faults.fired(number) == 1
        assert (await raw.order(newOrderRespType="RESULT")).json["status"] == "FILLED"


async def test_a_lost_request_hangs_until_its_client_gives_up():
    async with world() as w:
        await w.fault(kind="lost_request", path="/time$")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(Raw(w).public("/fapi/v1/time"), 0.3)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "reject", "code": -2019, "msg": "Margin is insufficient."}, 400, -2019),
        ({"kind": "error_after", "status": 408, "code": -1007, "msg": "Timeout waiting"}, 408, -1007),
        ({"kind": "error_before", "status": 503, "code": -1008, "msg": "Request throttled"}, 503, -1008),
        ({"kind": "rate_limited", "retry_after_s": 9}, 429, -1003),
    ],
)
async def test_a_fault_answers_with_the_code_it_is_given(fault, status, code):
    async with world() as w:
        await w.fault(**fault)
        answer = await Raw(w).order()
        assert (answer.status, answer.code) == (status, code)
        assert answer.headers.get("Retry-After") == ("9" if status == 429 else None)


async def test_a_read_may_be_stale_or_empty_by_fault():
    async with world() as w:
        raw = Raw(w)
        await raw.signed("GET", "/fapi/v3/account")
        w.jump(3)
        await raw.order()
        number = await w.fault(kind="stale_read", path="positionRisk", delay_ms=1_900)
        assert (await raw.signed("GET", "/fapi/v3/positionRisk")).json == []
        await w.admin("DELETE", "/faults", id=number)
        assert len((await raw.signed("GET", "/fapi/v3/positionRisk")).json) == 1
        await w.fault(kind="empty_read", path="positionRisk", times=1)
        assert (await raw.signed("GET", "/fapi/v3/positionRisk")).json == []
        assert len((await raw.signed("GET", "/fapi/v3/positionRisk")).json) == 1


async def test_a_delay_comes_before_the_effect_or_before_the_answer():
    async with world() as w:
        raw = Raw(w)
        await raw.signed("GET", "/fapi/v3/account")
        for kind, fills in (("delay", 0), ("delay_reply", 1)):
            number = await w.fault(kind=kind, path="/order$", delay_ms=400)
            pending = asyncio.ensure_future(raw.order())
            await asyncio.sleep(0.2)
            before = 0 if kind == "delay" else 1
            assert w.truth().fills - before == fills
            await pending
            await w.admin("DELETE", "/faults", id=number)


async def test_a_request_delayed_past_its_window_is_refused():
    """Late requests are the exchange's to refuse: that is what the receive window is for."""
    async with world() as w:
        await w.fault(kind="delay", path="/order$", delay_ms=300)
        answer = await Raw(w).order(recvWindow=200)
        assert answer.code == -1021
        assert w.truth().fills == 0
