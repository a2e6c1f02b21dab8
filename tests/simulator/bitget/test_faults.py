"""Faults on Bitget's wire speak Bitget: its envelope, its codes, its ambiguous answers."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import ccxt
import orjson
import pytest

from tests.simulator.bitget.clients import SYMBOL, bitget, ccxt_client
from tests.simulator.bitget.raw import MIX, Raw
from tests.simulator.bitget.sockets import connected, event, push

ORDER = f"{MIX}/order"
PLACE = "/place-order$"
RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bitget-response.json"


async def test_a_request_that_timed_out_may_have_been_done():
    """40010 looks like an authentication error to ccxt, and the order exists."""
    async with bitget() as w, ccxt_client(w) as exchange:
        await w.fault(kind="error_after", path=PLACE, times=1)
        with pytest.raises(ccxt.AuthenticationError, match="40010"):
            await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"clientOrderId": "maybe"})
        assert (await exchange.fetch_order(None, SYMBOL, {"clientOrderId": "maybe"}))["status"] == "closed"


async def test_an_empty_answer_gives_ccxt_an_order_without_an_id():
    async with bitget() as w, ccxt_client(w) as exchange:
        await w.fault(kind="empty", path=PLACE, times=1)
        placed = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        assert placed["id"] is None
        assert len(await exchange.fetch_positions()) == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "error_before"}, 400, "40725"),
        ({"kind": "reject"}, 400, "40762"),
        ({"kind": "reject", "code": 40893, "msg": "no"}, 400, "40893"),
        ({"kind": "endpoint_down"}, 400, "40200"),
        ({"kind": "rate_limited"}, 429, "429"),
        ({"kind": "error_after", "code": 45001, "status": 200}, 200, "45001"),
    ],
)
async def test_faults_answer_in_the_envelope(fault: dict[str, object], status: int, code: str):
    async with bitget() as w:
        raw = Raw(w)
        await w.fault(path=PLACE, times=1, **fault)
        answer = await raw.order()
        assert (answer.status, answer.code) == (status, code)
        assert set(answer.json) == {"code", "msg", "requestTime", "data"}
        assert len(await raw.positions()) == (fault["kind"] == "error_after")


async def test_a_page_of_a_gateway_is_html():
    async with bitget() as w:
        await w.fault(kind="html", path=PLACE, times=1)
        answer = await Raw(w).order()
        assert answer.status == 502
        assert answer.raw.startswith(b"<html>")


async def test_an_empty_read_keeps_its_envelope():
    async with bitget() as w:
        raw = Raw(w)
        await raw.order()
        await raw.stop()
        await w.fault(kind="empty_read", path="/all-position$|/orders-plan-pending$", times=2)
        assert await raw.positions() == []
        assert await raw.plans() == []
        assert len(await raw.positions()) == len(await raw.plans()) == 1


async def test_a_lost_reply_leaves_the_order_where_it_is():
    async with bitget() as w:
        raw = Raw(w)
        await w.fault(kind="lost_reply", path=PLACE, times=1)
        with pytest.raises(aiohttp.ClientError):
            await raw.order()
        assert len(await raw.positions()) == 1


async def test_what_a_cancel_names_may_be_filled_or_triggered_first():
    async with bitget() as w:
        raw = Raw(w)
        placed = await raw.order(orderType="limit", price=str(raw.price(0.97)))
        await w.fault(kind="filled_first", path="/cancel", times=2)
        answer = await raw.post(f"{ORDER}/cancel-order", orderId=placed.data["orderId"])
        assert answer.code == "45056"
        stop = (await raw.stop()).data["orderId"]
        wanted = [{"orderId": stop}]
        path = f"{ORDER}/cancel-plan-order"
        answer = await raw.post(path, orderIdList=wanted, planType="pos_loss")
        assert answer.code == "43025"
        w.jump(1)
        assert await raw.positions() == []


async def test_members_of_an_answer_may_be_missing():
    async with bitget() as w:
        raw = Raw(w)
        await w.fault(kind="field_missing", member="orderId", path=PLACE, times=1)
        assert set((await raw.order()).data) == {"clientOid"}


async def test_events_are_named_by_channel_and_status():
    async with bitget() as w, connected(w) as heard:
        await heard.login()
        await heard.until(event("login"))
        await heard.subscribe("orders")
        await heard.until(event("subscribe"))
        await w.fault(kind="events_dropped", path="^orders/live$")
        await Raw(w).order()
        await heard.until(push("orders"))
        await heard.drain()
        assert [frame["data"][0]["status"] for frame in heard.pushes("orders")] == ["filled"]


async def test_a_stale_read_shows_no_position_yet():
    async with bitget() as w:
        raw = Raw(w)
        assert await raw.positions() == []
        w.jump(1)
        await w.fault(kind="stale_read", path="/all-position$", delay_ms=900, times=1)
        await raw.order()
        assert await raw.positions() == []
        assert len(await raw.positions()) == 1


async def test_a_body_that_is_no_json_misses_its_parameters():
    async with bitget() as w:
        answer = await Raw(w).send("POST", f"{ORDER}/place-order", "", "{not json")
        assert answer.code == "40019"
        listed = orjson.dumps([1, 2]).decode()
        assert (await Raw(w).send("POST", f"{ORDER}/place-order", "", listed)).code == "40019"


async def test_every_recorded_error_reaches_ccxt_as_it_did_from_the_exchange():
    """Any code and words can be spoken by a fault, in the exchange's envelope and status."""
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not on this machine")
    errors = json.loads(RECORDED.read_text())["errors"]
    assert len(errors) == 66
    found: dict[str, str] = {}
    async with bitget() as w, ccxt_client(w) as exchange:
        for entry in errors:
            said = entry["httpResponse"]
            fault = {"code": int(said["code"]), "msg": said["msg"], "status": entry["httpStatus"]}
            await w.fault(kind="reject", path=PLACE, times=1, **fault)
            with pytest.raises(ccxt.BaseError) as raised:
                await exchange.create_order(SYMBOL, "market", "buy", 0.01)
            if type(raised.value).__name__ != entry["ccxtException"]:
                found[said["code"]] = type(raised.value).__name__
        assert await exchange.fetch_positions() == []
    assert not found
