"""Answers and events in shapes the documentation does not know, answers twice, races that are lost."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.rewrite import rewritten, rewritten_body
from tests.simulator.binance.raw import Raw
from tests.simulator.binance.test_streams import heard, socket
from tests.simulator.world import world

ROWS = [{"symbol": "BTCUSDT", "price": "60000.10", "count": 3, "ok": True, "deep": {"price": "1", "at": 5}}]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            {"kind": FaultKind.FIELD_MISSING, "member": "price|count"},
            [{"symbol": "BTCUSDT", "ok": True, "deep": {"at": 5}}],
        ),
        (
            {"kind": FaultKind.FIELD_RETYPED},
            [
                {
                    "symbol": "BTCUSDT",
                    "price": 60000.1,
                    "count": "3",
                    "ok": True,
                    "deep": {"price": 1, "at": "5"},
                }
            ],
        ),
        (
            {"kind": FaultKind.FIELD_CHANGED, "member": "price", "word": "NaN"},
            [{**ROWS[0], "price": "NaN", "deep": {"price": "NaN", "at": 5}}],
        ),
        ({"kind": FaultKind.FIELD_CHANGED, "member": "pri"}, ROWS),
    ],
)
def test_members_are_rewritten_wherever_they_stand(fault, expected):
    assert rewritten(Fault(**fault), ROWS) == expected
    assert ROWS[0]["price"] == "60000.10", "the original stays"


def test_what_is_no_json_passes():
    assert rewritten_body(Fault(kind=FaultKind.FIELD_MISSING), b"<html>") == b"<html>"


async def test_an_answer_lacks_the_named_field_after_its_effect():
    async with world() as w:
        raw = Raw(w)
        number = await w.fault(kind="field_missing", method="POST", path="/order$", member="status", times=1)
        first, second = (await raw.order()).json, (await raw.order()).json
        assert "status" not in first
        assert "status" in second
        assert w.truth().entries == 2
        assert w.server.faults.fired(number) == 1


async def test_a_field_says_a_word_nobody_knows():
    async with world() as w:
        raw = Raw(w)
        order = (await raw.order()).json
        await w.fault(kind="field_changed", path="/order$", method="GET", member="status", word="HELD")
        asked = await raw.signed("GET", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        assert asked.json["status"] == "HELD"


async def test_an_absurd_price_reaches_answers_and_the_stream():
    async with world() as w, socket(w, "/market/ws/btcusdt@markPrice@1s") as ws:
        await w.fault(kind="field_changed", path="premiumIndex|markPrice", member="p|markPrice", word="0")
        answer = await Raw(w).public("/fapi/v1/premiumIndex", symbol="BTCUSDT")
        assert answer.json["markPrice"] == "0"
        assert (await heard(w, ws))[-1]["p"] == "0"


async def test_a_rewrite_of_answers_only_leaves_the_stream_alone():
    async with world() as w, socket(w, "/market/ws/btcusdt@markPrice@1s") as ws:
        await w.fault(kind="field_retyped", method="GET", path="premiumIndex")
        answer = await Raw(w).public("/fapi/v1/premiumIndex", symbol="BTCUSDT")
        assert isinstance(answer.json["markPrice"], float)
        assert isinstance(answer.json["time"], str)
        assert all(isinstance(message["p"], str) for message in await heard(w, ws))


async def test_the_fill_can_be_told_before_the_order():
    async with world() as w:
        raw = Raw(w)
        key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
        async with socket(w, f"/private/ws?listenKey={key}") as ws:
            await w.fault(kind="events_delayed", path="ORDER_TRADE_UPDATE/NEW", delay_ms=120)
            await raw.order()
            events = [m for m in await heard(w, ws, 0) if m["e"] == "ORDER_TRADE_UPDATE"]
            assert [event["o"]["x"] for event in events] == ["TRADE", "NEW"]


async def test_code_1006_cuts_the_socket_without_a_word():
    async with world() as w, socket(w, "/market/ws/btcusdt@aggTrade") as ws:
        await w.fault(kind="ws_close", ws_code=1006, times=1)
        w.jump(1)
        message: Any = await ws.receive(timeout=2)
        while message.type is aiohttp.WSMsgType.TEXT:
            message = await ws.receive(timeout=2)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert ws.close_code == 1006


async def test_an_answer_comes_twice_on_the_same_connection():
    """The bytes are counted below HTTP: clients hide them, or take them for the next answer."""
    async with world() as w:
        await w.fault(kind="doubled_reply", path="/time$", times=1, delay_ms=0)
        reader, writer = await asyncio.open_connection("127.0.0.1", w.server.port)
        request = b"GET /fapi/v1/time HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        writer.write(request)
        first = await _answer(reader)
        assert await _answer(reader) == first
        writer.write(request)
        assert b"serverTime" in await _answer(reader), "the connection goes on"
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 2)
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    return head + await reader.readexactly(int(length.split(b":")[1]))


async def test_a_cancel_loses_the_race_to_the_fill():
    async with world() as w:
        raw = Raw(w)
        order = (await raw.order(type="LIMIT", price=raw.price(0.99), timeInForce="GTC")).json
        await w.fault(kind="filled_first", method="DELETE", path="/order$", times=1)
        cancel = await raw.signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=order["orderId"])
        assert cancel.code == -2011
        assert [position.quantity for position in w.truth().positions] == [Decimal("0.01")]


async def test_a_cancelled_stop_triggers_first():
    async with world() as w:
        raw = Raw(w)
        await raw.order()
        stop = (await raw.stop()).json
        await w.fault(kind="filled_first", method="DELETE", path="/algoOrder$", times=1)
        cancel = await raw.signed("DELETE", "/fapi/v1/algoOrder", algoId=stop["algoId"])
        assert cancel.code == -2011
        w.jump(1)
        assert w.truth().positions == ()


async def test_a_race_about_nothing_is_only_a_refused_cancel():
    async with world() as w:
        await w.fault(kind="filled_first", method="DELETE")
        cancel = await Raw(w).signed("DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=1)
        assert cancel.code == -2011
