"""The wire of the simulated BingX: the door, the codes of the sheet, and what orders mean there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from holdfast.simulator.bingx.auth import sign
from holdfast.simulator.bingx.config import Limits, Switches
from tests.simulator.bingx.clients import BINGX, KEY, SECRET, Raw
from tests.simulator.world import BTC, world

NAMED = {"key": "named", "secret": "hush", "wallet": "500"}


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    async with world(BINGX) as running:
        yield Raw(running)


def switched(**changes: Any) -> Any:
    return world(replace(BINGX, bingx=Switches(**changes)))


# --- the door --------------------------------------------------------------------------------------


async def test_business_errors_are_http_200_with_a_code(raw: Raw) -> None:
    answer = await raw.order(quantity="0.00001")
    assert (answer.status, answer.code) == (200, 110422)
    assert answer.json["data"] == {}


async def test_a_named_account_is_verified(raw: Raw) -> None:
    await raw.world.admin("POST", "/accounts", **NAMED)
    own = Raw(raw.world, "named", "hush")
    assert (await own.rows("swap/v3/user/balance"))[0]["balance"] == "500.0000"
    assert (await Raw(raw.world, "named", "wrong").signed("GET", "swap/v3/user/balance")).code == 100001


async def test_the_door_has_its_own_code_for_each_lack(raw: Raw) -> None:
    now, headers = raw.world.clock.now_ms(), {"X-BX-APIKEY": KEY}
    path = "swap/v3/user/balance"
    assert (await raw.send("GET", path, f"timestamp={now}", {})).code == 100413
    assert (await raw.send("GET", path, f"timestamp={now}", headers)).code == 100412
    assert (await raw.send("GET", path, f"timestamp={now}&signature=ab", headers)).code == 100001
    assert (await raw.signed("GET", path, timestamp=now - 6_000)).code == 100421
    assert (await raw.signed("GET", path, timestamp=now + 2_000)).code == 100421
    assert (await raw.signed("GET", path, timestamp="")).code == 100421
    assert (await raw.signed("GET", "swap/v9/nothing")).code == 100400


@pytest.mark.parametrize("kind", ["sorted", "timestamp last", "encoded", "form", "json"])
async def test_signatures_of_every_kind_of_client_are_accepted(raw: Raw, kind: str) -> None:
    await raw.world.admin("POST", "/accounts", **NAMED)
    headers, now = {"X-BX-APIKEY": "named"}, raw.world.clock.now_ms()
    pairs = {"symbol": "BTC-USDT", "dualSidePosition": "true", "timestamp": str(now), "z": "a b"}
    ordered = dict(sorted(pairs.items()))
    if kind == "timestamp last":
        ordered["timestamp"] = ordered.pop("timestamp")
    plain = "&".join(f"{name}={value}" for name, value in ordered.items())
    encoded = urlencode(ordered, quote_via=quote)
    signature = sign("hush", encoded if kind == "encoded" else plain)
    path, body, query = "swap/v1/positionSide/dual", None, f"{encoded}&signature={signature}"
    if kind == "form":
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body, query = query.encode(), ""
    if kind == "json":
        headers["Content-Type"] = "application/json"
        body, query = json.dumps(pairs | {"signature": signature}).encode(), ""
    answer = await raw.send("POST", path, query, headers, body)
    assert answer.code == 0, answer.json


async def test_a_key_without_trade_right_reads_and_does_not_trade(raw: Raw) -> None:
    await raw.rows("swap/v3/user/balance")
    raw.world.server.core.view(KEY).can_trade = False
    assert await raw.rows("swap/v3/user/balance")
    assert (await raw.order()).code == 100004


async def test_too_many_requests_of_one_second_are_refused_and_tell_the_pace(raw: Raw) -> None:
    codes = [(await raw.signed("GET", "swap/v1/positionSide/dual")) for _ in range(6)]
    assert 100410 in {int(answer.code) for answer in codes}
    assert all(answer.status == 200 for answer in codes)
    assert int(codes[0].headers["X-RateLimit-Requests-Remain"]) < 1_000
    assert "Retry-After" not in codes[-1].headers
    await raw.world.admin("POST", "/reset-limits")
    assert (await raw.signed("GET", "swap/v1/positionSide/dual")).code == 0


async def test_too_many_bad_requests_bring_a_pause_that_says_until_when() -> None:
    async with switched(limits=Limits(invalid_per_minute=3, pause_ms=5_000)) as running:
        raw = Raw(running)
        for _ in range(4):
            assert (await raw.order(quantity="0.00001")).code == 110422
        answer = await raw.order()
        assert answer.code == 109429
        until_ms = int(answer.json["msg"].rsplit(" ", 1)[1])
        assert 0 < until_ms - running.clock.now_ms() <= 5_000
        running.jump(5.1)
        assert (await raw.order()).code == 0


# --- modes -----------------------------------------------------------------------------------------


async def test_the_position_side_must_fit_the_mode(raw: Raw) -> None:
    answer = await raw.order(positionSide="BOTH")
    assert answer.code == 109400
    assert "Hedge mode" in answer.json["msg"]
    assert (await raw.order(side="SELL", reduceOnly="true")).code == 109400
    await raw.one_way()
    answer = await raw.order()
    assert answer.code == 109400
    assert "One-way mode" in answer.json["msg"]


async def test_modes_do_not_change_under_positions_or_orders(raw: Raw) -> None:
    limit = await raw.order(type="LIMIT", price=raw.price(0.97))
    change = {"dualSidePosition": "false"}
    assert (await raw.signed("POST", "swap/v1/positionSide/dual", **change)).code == 104103
    margin = {"symbol": "BTC-USDT", "marginType": "ISOLATED"}
    assert (await raw.signed("POST", "swap/v2/trade/marginType", **margin)).code == 109400
    await raw.signed(
        "DELETE", "swap/v2/trade/order", symbol="BTC-USDT", orderId=limit.data["order"]["orderId"]
    )
    await raw.order()
    assert (await raw.signed("POST", "swap/v1/positionSide/dual", **change)).code == 104103
    same = {"dualSidePosition": "true"}
    assert (await raw.signed("POST", "swap/v1/positionSide/dual", **same)).json["code"] == "0"


async def test_leverage_wants_a_side_that_fits_the_mode_and_a_figure_that_is_allowed(raw: Raw) -> None:
    path, btc = "swap/v2/trade/leverage", {"symbol": "BTC-USDT"}
    assert (await raw.signed("POST", path, **btc, leverage=10)).code == 109400
    assert (await raw.signed("POST", path, **btc, leverage=10, side="BOTH")).code == 109400
    assert (await raw.signed("POST", path, **btc, leverage=151, side="LONG")).code == 101414
    assert (await raw.signed("POST", path, **btc, leverage=150, side="LONG")).code == 0
    await raw.one_way()
    assert (await raw.signed("POST", path, **btc, leverage=10, side="LONG")).code == 109400


# --- what an order must satisfy --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "BTCUSDT"}, 109425),
        ({"symbol": "NOPE-USDT"}, 109425),
        ({"symbol": None}, 109400),
        ({"side": "LONG"}, 109400),
        ({"type": "TWAP"}, 109400),
        ({"type": "TRAILING_TP_SL"}, 109400),
        ({"quantity": "0.00009"}, 110422),
        ({"symbol": "XRP-USDT", "quantity": "0.1"}, 101400),
        ({"quantity": "abc"}, 109400),
        ({"quantity": "5"}, 101204),
        ({"type": "LIMIT", "price": None}, 109400),
        ({"type": "LIMIT", "price": "99999"}, 101211),
        ({"clientOrderId": "a b"}, 109400),
        ({"clientOrderID": "x" * 41}, 109400),
        ({"side": "SELL"}, 101205),
        ({"stopLoss": "{"}, 109400),
        ({"type": "STOP_MARKET", "side": "SELL", "stopPrice": "50000"}, 109420),
    ],
)
async def test_a_bad_order_gets_the_code_of_the_sheet(raw: Raw, changes: dict[str, Any], code: int) -> None:
    assert (await raw.order(**changes)).code == code


async def test_quantities_are_cut_to_the_step(raw: Raw) -> None:
    await raw.order(quantity="0.01239")
    assert (await raw.positions())[0]["positionAmt"] == "0.0123"
    async with switched(truncates_quantity=False) as running:
        assert (await Raw(running).order(quantity="0.01239")).code == 109400


async def test_an_amount_in_quote_buys_what_it_is_worth(raw: Raw) -> None:
    await raw.order(quantity=None, quoteOrderQty="1000")
    held = float((await raw.positions())[0]["positionAmt"])
    assert held == pytest.approx(1_000 / raw.price(), abs=0.0001)


async def test_post_only_is_refused_or_taken_and_cancelled(raw: Raw) -> None:
    wanted = {"type": "LIMIT", "price": raw.price(1.01), "timeInForce": "PostOnly"}
    assert (await raw.order(**wanted)).code == 101215
    async with switched(post_only_refused=False) as running:
        other = Raw(running)
        made = (await other.order(**wanted)).data["order"]
        row = (
            await other.signed("GET", "swap/v2/trade/order", symbol="BTC-USDT", orderId=made["orderId"])
        ).data["order"]
        assert (row["status"], row["executedQty"], row["postOnly"]) == ("CANCELLED", "0.0000", True)


async def test_a_client_id_is_lower_case_and_good_for_one_order(raw: Raw) -> None:
    made = (await raw.order(clientOrderID="Ab_C-1")).data["order"]
    assert (made["clientOrderID"], made["clientOrderId"]) == ("ab_c-1", "ab_c-1")
    assert (await raw.order(clientOrderId="AB_C-1")).code == 109201
    raw.world.jump(1.1)
    assert (await raw.order(clientOrderId="ab_c-1")).code == 101481
    assert len(raw.world.server.core.view(KEY).orders) == 1


async def test_orders_are_found_by_either_id(raw: Raw) -> None:
    made = (await raw.order(clientOrderId="mine")).data["order"]
    path, btc = "swap/v2/trade/order", {"symbol": "BTC-USDT"}
    assert len(str(made["orderId"])) == 19
    by_id = (await raw.signed("GET", path, **btc, orderId=made["orderId"])).data["order"]
    by_name = (await raw.signed("GET", path, **btc, clientOrderID="MINE")).data["order"]
    assert by_id == by_name
    assert (await raw.signed("GET", path, **btc, orderId=1)).code == 109421
    assert (await raw.signed("GET", path, **btc, clientOrderId="nobody")).code == 109421
    assert (await raw.signed("GET", path, **btc)).code == 109400
    wrong = {"symbol": "ETH-USDT", "orderId": made["orderId"]}
    assert (await raw.signed("GET", path, **wrong)).code == 109421


async def test_the_literal_none_as_an_id_is_refused_or_looked_past(raw: Raw) -> None:
    junk = {"symbol": "BTC-USDT", "orderId": "None", "clientOrderId": "mine"}
    await raw.order(clientOrderId="mine")
    assert (await raw.signed("GET", "swap/v2/trade/order", **junk)).code == 109400
    async with switched(junk_order_id="client_id") as running:
        other = Raw(running)
        await other.order(clientOrderId="mine")
        assert (await other.signed("GET", "swap/v2/trade/order", **junk)).code == 0


# --- cancelling ------------------------------------------------------------------------------------


async def test_cancelling_twice_in_a_second_is_the_same_request(raw: Raw) -> None:
    made = (await raw.order(type="LIMIT", price=raw.price(0.97))).data["order"]
    wanted = {"symbol": "BTC-USDT", "orderId": made["orderId"]}
    answer = await raw.signed("DELETE", "swap/v2/trade/order", **wanted)
    assert answer.data["order"]["status"] == "CANCELLED"
    assert (await raw.signed("DELETE", "swap/v2/trade/order", **wanted)).code == 109201
    raw.world.jump(1.1)
    assert (await raw.signed("DELETE", "swap/v2/trade/order", **wanted)).code == 109421


async def test_a_batch_of_cancels_tells_each_failure(raw: Raw) -> None:
    made = (await raw.order(type="LIMIT", price=raw.price(0.97))).data["order"]
    ids = json.dumps([made["orderId"], 1])
    answer = await raw.signed("DELETE", "swap/v2/trade/batchOrders", symbol="BTC-USDT", orderIdList=ids)
    assert [row["orderId"] for row in answer.data["success"]] == [made["orderId"]]
    assert [row["errorCode"] for row in answer.data["failed"]] == [109421]


@pytest.mark.parametrize("failure", ["missing", "code"])
async def test_a_failing_member_of_a_batch_is_missing_or_is_the_whole_answer(failure: Any) -> None:
    async with switched(batch_failure=failure) as running:
        raw = Raw(running)
        good = {
            "symbol": "BTC-USDT",
            "side": "BUY",
            "positionSide": "LONG",
            "type": "MARKET",
            "quantity": 0.01,
        }
        wanted = json.dumps([good, good | {"quantity": 0.00001}])
        answer = await raw.signed("POST", "swap/v2/trade/batchOrders", batchOrders=wanted)
        assert len(await raw.positions()) == 1
        if failure == "code":
            assert answer.code == 110422
        else:
            assert len(answer.data["orders"]) == 1


# --- faults ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "reject"}, 200, 109400),
        ({"kind": "rate_limited"}, 200, 100410),
        ({"kind": "rate_limited", "status": 429}, 429, None),
        ({"kind": "error_before", "code": 100500}, 200, 100500),
        ({"kind": "error_after"}, 504, None),
        ({"kind": "error_after", "code": 101500, "msg": "rpc timeout"}, 200, 101500),
        ({"kind": "html"}, 502, None),
    ],
)
async def test_faults_speak_as_the_exchange_does(
    raw: Raw, fault: dict[str, Any], status: int, code: int | None
) -> None:
    await raw.world.fault(**fault, times=1, path="/order$")
    answer = await raw.order()
    assert answer.status == status
    if code is not None:
        assert answer.code == code
    happened = fault["kind"] == "error_after"
    assert bool(await raw.positions()) is happened


async def test_an_empty_200_hides_an_order_that_exists(raw: Raw) -> None:
    await raw.world.fault(kind="empty", times=1, path="/order$")
    answer = await raw.order(clientOrderId="lost")
    assert (answer.status, answer.raw) == (200, b"")
    found = await raw.signed("GET", "swap/v2/trade/order", symbol="BTC-USDT", clientOrderId="lost")
    assert found.data["order"]["status"] == "FILLED"


async def test_an_empty_read_keeps_the_envelope(raw: Raw) -> None:
    await raw.order()
    await raw.world.fault(kind="empty_read", times=2)
    assert await raw.positions() == []
    assert await raw.open_orders() == []
    assert len(await raw.positions()) == 1


async def test_what_a_cancel_names_is_filled_first(raw: Raw) -> None:
    made = (await raw.order(type="LIMIT", price=raw.price(0.97))).data["order"]
    await raw.world.fault(kind="filled_first", times=1, method="DELETE")
    wanted = {"symbol": "BTC-USDT", "orderId": made["orderId"]}
    assert (await raw.signed("DELETE", "swap/v2/trade/order", **wanted)).code == 109421
    assert (await raw.positions())[0]["positionAmt"] == "0.0100"


async def test_reads_lag_effects() -> None:
    async with world(replace(BINGX, read_lag_ms=(400, 500))) as running:
        raw = Raw(running, KEY, SECRET)
        await raw.rows("swap/v3/user/balance")
        running.jump(1)
        await raw.order()
        assert await raw.positions() == []
        running.jump(1)
        assert len(await raw.positions()) == 1


async def test_orders_wait_until_a_funding_is_settled() -> None:
    async with switched(settlement_ms=60_000) as running:
        raw = Raw(running)
        assert (await raw.order()).code == 0
        funding_ms = running.server.core.funding(BTC)[1]
        running.jump((funding_ms - running.clock.now_ms()) / 1_000 + 1)
        assert (await raw.order()).code == 101214
        running.jump(60)
        assert (await raw.order()).code == 0


async def test_codes_may_have_their_older_names() -> None:
    async with switched(old_codes=True) as running:
        raw = Raw(running)
        gone = {"symbol": "BTC-USDT", "orderId": 1}
        assert (await raw.signed("DELETE", "swap/v2/trade/order", **gone)).code == 80016
        assert (await raw.order(positionSide="BOTH")).code == 80014
        assert (await raw.order(quantity="5")).code == 80012
        assert (await raw.stop()).code == 80017
