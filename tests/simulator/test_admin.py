"""The admin API: truth, hands, faults, and who may use it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.simulator.binance.raw import Raw
from tests.simulator.world import World, world


async def refused(w: World, method: str, path: str, body: Any = None, **kwargs: Any) -> tuple[int, str]:
    async with w.http.request(method, w.server.admin_url + path, json=body, **kwargs) as answer:
        return answer.status, (await answer.json())["error"]


async def test_the_help_lists_every_endpoint():
    async with world() as w:
        listed = await w.admin("GET", "/")
        assert "GET /truth" in listed
        assert listed["POST /close"]["fields"] == ["account", "symbol", "position_side", "share"]
        assert (await w.admin("GET", "/health"))["ok"] is True


async def test_the_exchange_port_knows_no_admin_and_the_other_way_round():
    async with world() as w:
        raw = Raw(w)
        assert (await raw.public("/truth")).code == -5000
        assert (await raw.public("/faults", method="POST")).code == -5000
        assert (await refused(w, "GET", "/fapi/v1/time"))[0] == 404


async def test_the_truth_tells_positions_stops_and_naked_time():
    async with world() as w:
        raw = Raw(w)
        await raw.order(newClientOrderId="in")
        w.jump(5)
        naked = await w.admin("GET", "/truth", account="key")
        assert naked["unprotected_now"] == ["BTC/USDT:USDT both"]
        assert naked["positions"][0]["covered"] is False
        assert naked["flat"] is False
        stop = {"triggerPrice": raw.price(0.96)}
        own = {"quantity": None, "closePosition": "true", "clientAlgoId": "out"}
        assert (await raw.stop(**own, **stop)).status == 200
        w.jump(5)
        truth = await w.admin("GET", "/truth", account="key")
        (position,) = truth["positions"]
        assert position["covered"] is True
        assert float(position["stop_prices"][0]) == stop["triggerPrice"]
        assert float(position["entry_price"]) > 0
        assert float(position["mark_price"]) > 0
        assert truth["unprotected_now"] == []
        assert 5 <= truth["naked_seconds_max"] < 8
        assert truth["naked_seconds_total"] == truth["naked_seconds_max"]
        assert [algo["client_id"] for algo in truth["algos"]] == ["out"]
        assert (truth["entries"], truth["exits"], truth["duplicate_orders"]) == (1, 0, 0)


async def test_a_hand_closes_opens_and_cancels():
    async with world() as w:
        raw = Raw(w)
        await raw.order()
        await raw.stop(quantity=None, closePosition="true")
        assert (await w.admin("POST", "/cancel", symbol="BTCUSDT"))["cancelled"] == 1
        closed = await w.admin("POST", "/close", account="key", symbol="BTC/USDT:USDT", share="0.5")
        assert closed["order"]["filled"] == "0.005"
        assert (await w.admin("POST", "/close", symbol="BTCUSDT"))["order"]["status"] == "filled"
        assert (await w.admin("POST", "/close", symbol="BTCUSDT"))["order"] is None
        assert (await w.admin("GET", "/truth"))["flat"] is True
        opened = await w.admin("POST", "/open", symbol="ETHUSDT", side="sell", quantity="0.1")
        assert opened["order"]["status"] == "filled"
        (row,) = (await raw.signed("GET", "/fapi/v3/positionRisk")).json
        assert (row["symbol"], row["positionAmt"]) == ("ETHUSDT", "-0.1")
        await raw.order(type="LIMIT", timeInForce="GTC", price=raw.price(0.97))
        assert (await w.admin("POST", "/cancel", symbol="BTCUSDT", what="orders"))["cancelled"] == 1


async def test_a_price_moves_at_once_or_over_seconds():
    async with world() as w:
        before = Raw(w).price()
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.8")
        w.jump(2)
        assert Raw(w).price() / before == pytest.approx(0.8, abs=0.02)
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="1.25", seconds=20)
        w.jump(10)
        assert Raw(w).price() / before == pytest.approx(0.9, abs=0.03)
        w.jump(12)
        assert Raw(w).price() / before == pytest.approx(1.0, abs=0.03)


async def test_status_filters_leverage_and_money_change_by_hand():
    async with world() as w:
        raw = Raw(w)
        await raw.signed("GET", "/fapi/v3/account")
        await w.admin("POST", "/leverage", symbol="BTCUSDT", leverage=3)
        (row,) = (await raw.signed("GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")).json
        assert row["leverage"] == 3
        assert (await w.admin("POST", "/transfer", amount="-4000"))["wallet"] == "6000"
        await w.admin("POST", "/filters", symbol="BTCUSDT", notional_min="10000")
        assert (await raw.order()).code == -4164
        await w.admin("POST", "/filters", symbol="BTCUSDT", notional_min="100")
        await w.admin("POST", "/status", symbol="BTCUSDT", status="CLOSE")
        assert (await raw.order()).code in (-4140, -4141)
        info = (await raw.public("/fapi/v1/exchangeInfo")).json
        assert {row["symbol"]: row["status"] for row in info["symbols"]}["BTCUSDT"] == "CLOSE"


async def test_events_are_told_in_order_and_from_a_number_on():
    async with world() as w:
        await Raw(w).order()
        events = await w.admin("GET", "/events", account="key")
        assert [event["kind"] for event in events[:2]] == ["order", "order"]
        assert events[1]["fill"]["quantity"] == "0.01"
        assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
        later = await w.admin("GET", "/events", since=events[0]["seq"])
        assert later == events[1:]
        assert await w.admin("GET", "/events", account="nobody") == []


async def test_the_request_log_keeps_everything_but_signatures():
    async with world() as w:
        raw = Raw(w)
        await raw.order(quantity="0")
        await w.fault(kind="lost_reply", path="/order$", times=1)
        with pytest.raises(Exception, match=r"."):
            await raw.order()
        first, lost = await w.admin("GET", "/requests", account="key")
        assert (first["method"], first["path"], first["status"], first["code"]) == (
            "POST",
            "/fapi/v1/order",
            400,
            -4003,
        )
        assert first["params"]["quantity"] == "0"
        assert "signature" not in str(first)
        assert lost["status"] == 0, "the client got no answer"


async def test_faults_are_listed_counted_and_removed():
    async with world() as w:
        number = await w.fault(kind="reject", path="/time$")
        assert (await Raw(w).public("/fapi/v1/time")).status == 400
        (active,) = await w.admin("GET", "/faults")
        assert (active["id"], active["fired"]) == (number, 1)
        assert active["fault"] == {"kind": "reject", "path": "/time$"}
        assert (await w.admin("DELETE", "/faults", id=number))["fired"] == 1
        assert (await Raw(w).public("/fapi/v1/time")).status == 200
        async with w.http.post(
            w.server.admin_url + "/faults", json=[{"kind": "delay"}, {"kind": "html"}]
        ) as answer:
            assert len((await answer.json())["ids"]) == 2
        await w.admin("DELETE", "/faults")
        assert await w.admin("GET", "/faults") == []


async def test_a_listen_key_can_be_made_to_expire():
    async with world() as w:
        raw = Raw(w)
        await raw.keyed("POST", "/fapi/v1/listenKey")
        await w.admin("POST", "/expire-stream", account="key")
        await asyncio.sleep(0)
        assert (await raw.keyed("PUT", "/fapi/v1/listenKey")).code == -1125


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/close", {"symbol": "BTCUSDT", "account": "nobody"}, 404, "account: expected one of key"),
        ("POST", "/close", {"symbol": "BTCUSDT", "colour": 1}, 400, "unknown field 'colour'"),
        ("POST", "/close", {}, 400, "symbol: expected text, found None"),
        ("POST", "/close", {"symbol": "?"}, 400, "symbol: expected a symbol like"),
        ("POST", "/close", {"symbol": "BTCUSDT", "share": 2}, 400, "share: expected more than 0"),
        ("POST", "/close", [], 400, "expected a JSON object, found list"),
        ("POST", "/price", {"symbol": "BTCUSDT", "ratio": "x"}, 400, "ratio: expected a number"),
        ("POST", "/price", {"symbol": "BTCUSDT", "ratio": -1}, 400, "ratio: expected more than 0"),
        ("POST", "/price", {"symbol": "NOSUCHUSDT", "ratio": 1}, 409, "refused: unknown_symbol"),
        ("POST", "/open", {"symbol": "BTCUSDT", "side": "up", "quantity": 1}, 400, "side: expected one of"),
        ("POST", "/status", {"symbol": "BTCUSDT", "status": "OFF"}, 400, "status: expected one of TRADING"),
        ("POST", "/faults", {"kind": "explode"}, 400, "kind: expected one of"),
        ("DELETE", "/faults?id=99", None, 404, "id: expected the id of an active fault"),
        ("POST", "/accounts", {"key": "key", "secret": "s"}, 400, "expected a key that is not in use"),
        ("POST", "/leverage", {"symbol": "BTCUSDT", "leverage": 1.5}, 400, "expected a whole number"),
        ("GET", "/nonsense", None, 404, "no such endpoint"),
    ],
)
async def test_bad_requests_get_one_clear_sentence(method, path, body, status, words):
    async with world() as w:
        await Raw(w).signed("GET", "/fapi/v3/account")
        found, sentence = await refused(w, method, path, body)
        assert found == status
        assert words in sentence


async def test_a_body_that_is_no_json_is_refused():
    async with world() as w, w.http.post(w.server.admin_url + "/close", data=b"{") as answer:
        assert answer.status == 400
        assert "expected JSON" in (await answer.json())["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://example.com"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "example.com"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 200),
        ({"Origin": "http://localhost"}, 200),
    ],
)
async def test_web_pages_of_other_hosts_are_kept_out(headers, status):
    async with world() as w, w.http.get(w.server.admin_url + "/health", headers=headers) as answer:
        assert answer.status == status


async def test_a_token_is_demanded_where_one_is_set():
    async with world(admin_token="open sesame") as w:
        assert (await refused(w, "GET", "/health"))[0] == 401
        headers = {"Authorization": "Bearer open sesame"}
        async with w.http.get(w.server.admin_url + "/health", headers=headers) as answer:
            assert answer.status == 200
