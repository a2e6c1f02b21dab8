"""Answers and frames have the fields and types of recorded ones, field by field.

For each endpoint there are several recordings, of several years. A field that all of them have must be
there, one that none has must be explained, and its type must be one that was recorded. `shapes.json`
holds in our own words what our answers look like, for where the recordings are not.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.bingx.clients import BINGX, Raw
from tests.simulator.world import World, world

OWN = Path(__file__).with_name("shapes.json")
RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bingx-response.json"
SWAP = "/openApi/swap/"

ALWAYS = {
    "orderID": "the same id as text, in newer answers (sheet §3.3)",
    "clientOrderID": "both spellings are echoed",
    "clientOrderId": "both spellings are echoed",
    "priceRate": "of trailing stops, read by clients from here (sheet §8)",
    "reduceOnly": "in newer rows",
    "postOnly": "in newer rows",
    "onlyOnePosition": "in newer rows",
    "closePosition": "in newer rows",
    "trailingStopRate": "in newer rows",
    "trailingStopDistance": "in newer rows",
    "stopGuaranteed": "in newer rows",
    "triggerOrderId": "in newer rows",
}
_ROW_OF_TODAY = {
    "leverage",
    "takeProfit",
    "stopLoss",
    "advanceAttr",
    "positionID",
    "takeProfitEntrustPrice",
    "stopLossEntrustPrice",
    "orderType",
    "workingType",
}
EXPLAINED = {
    # The only recording is of 2022; every other endpoint's rows have these.
    "GET /openApi/swap/v2/trade/order": _ROW_OF_TODAY,
    "POST /openApi/swap/v2/trade/order": {"status", "avgPrice", "executedQty", "stopPrice"},
    "POST /openApi/swap/v2/trade/batchOrders": {"status", "avgPrice", "executedQty", "stopPrice"},
    "GET /openApi/swap/v2/quote/premiumIndex": {"fundingIntervalHours", "updateTime"},
    "GET /openApi/swap/v2/quote/contracts": {"displayName"},
    "GET /openApi/swap/v1/trade/fullOrder": {"isTwap", "mainOrderId"},
}
"""Fields of newer answers that the sheet lists, and no recording has (so)."""
NOT_SERVED = {
    "GET /openApi/swap/v2/trade/positionHistory",  # of before v1, which is served
    "GET /openApi/swap/v1/trade/multiAssetsRules",
    "GET /openApi/swap/v1/user/marginAssets",
    "POST /openApi/swap/v1/trade/batchCancelReplace",
    "POST /openApi/swap/v1/trade/getVst",
    "POST /openApi/swap/v1/trade/reverse",
}
"""Recorded, and of no use to a bot of one margin currency: these answer 100400 here."""


# --- shapes ----------------------------------------------------------------------------------------


def _type(value: Any) -> str:
    names = {bool: "flag", int: "number", float: "number", str: "text", type(None): "null"}
    return names[type(value)]


def shape(value: Any) -> Any:
    """Keys and types; a list is as its first entry."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return _type(value)


def differences(ours: Any, recorded: list[Any], explained: set[str], where: str = "") -> Iterator[str]:
    """What of *ours* is as in none of the *recorded*, and what all of them have and ours has not."""
    if isinstance(ours, dict):
        dicts = [one for one in recorded if isinstance(one, dict)]
        if not dicts:
            yield f"{where}: an object, recorded was {recorded[:1]}"
            return
        for key in set.intersection(*(set(one) for one in dicts)) - set(ours) - explained:
            yield f"{where}.{key}: missing"
        for key, value in ours.items():
            seen = [one[key] for one in dicts if key in one]
            if seen and key not in explained:
                yield from differences(value, seen, explained, f"{where}.{key}")
            elif not seen and key not in explained and key not in ALWAYS:
                yield f"{where}.{key}: never recorded"
    elif isinstance(ours, list):
        rows = [row for one in recorded if isinstance(one, list) for row in one]
        if ours and rows:
            yield from differences(ours[0], rows, explained, f"{where}[]")
    elif _type(ours) not in {_type(one) if not isinstance(one, dict | list) else "" for one in recorded}:
        yield f"{where}: {_type(ours)}, recorded were {sorted({str(one)[:20] for one in recorded})[:3]}"


# --- answers ---------------------------------------------------------------------------------------


async def answers(w: World) -> dict[str, Any]:
    """One answer of every endpoint, from an account with something to show, by `METHOD path`."""
    raw = Raw(w)
    found: dict[str, Any] = {}

    async def note(method: str, path: str, **params: Any) -> Any:
        w.clock.jump(1_000)
        body = (await raw.signed(method, path, **params)).json
        assert int(body.get("code", 0)) == 0, (path, body)
        found.setdefault(f"{method} /openApi/{path}", body)
        return body

    btc = {"symbol": "BTC-USDT"}
    for path, params in (
        ("swap/v2/server/time", {}),
        ("swap/v2/quote/contracts", {}),
        ("swap/v2/quote/ticker", btc),
        ("swap/v2/quote/depth", btc | {"limit": 5}),
        ("swap/v2/quote/trades", btc),
        ("swap/v1/market/historicalTrades", btc),
        ("swap/v3/quote/klines", btc | {"interval": "1m", "limit": 3}),
        ("swap/v1/market/markPriceKlines", btc | {"interval": "1m", "limit": 3}),
        ("swap/v2/quote/premiumIndex", btc),
        ("swap/v2/quote/openInterest", btc),
        ("swap/v2/quote/bookTicker", btc),
        ("swap/v1/ticker/price", btc),
        ("swap/v1/maintMarginRatio", btc),
        ("swap/v2/user/commissionRate", {}),
        ("swap/v1/positionSide/dual", {}),
        ("swap/v2/trade/leverage", btc),
        ("swap/v2/trade/marginType", btc),
        ("swap/v1/trade/assetMode", {}),
    ):
        await note("GET", path, **params)
    await note("POST", "swap/v2/trade/leverage", **btc, side="LONG", leverage=10)
    await note("POST", "swap/v2/trade/marginType", **btc, marginType="ISOLATED")
    await note("POST", "swap/v1/positionSide/dual", dualSidePosition="true")
    buy = btc | {"side": "BUY", "positionSide": "LONG", "quantity": "0.01"}
    await note("POST", "swap/v2/trade/order", **buy, type="MARKET")
    await note("POST", "swap/v2/trade/positionMargin", **btc, amount="5", type="1", positionSide="LONG")
    await note("GET", "swap/v1/positionMargin/history", **btc)
    await note("GET", "swap/v2/user/positions")
    await note("GET", "swap/v3/user/balance")
    limit = buy | {"type": "LIMIT", "price": raw.price(0.97)}
    first = (await note("POST", "swap/v2/trade/order", **limit))["data"]["order"]["orderId"]
    await note("GET", "swap/v2/trade/openOrders", **btc)
    await note("GET", "swap/v2/trade/openOrder", **btc, orderId=first)
    changed = await note("POST", "swap/v1/trade/cancelReplace", **limit, cancelOrderId=first)
    second = changed["data"]["newOrderResponse"]["orderId"]
    await note("POST", "swap/v1/trade/amend", **btc, orderId=second, quantity="0.02")
    await note("DELETE", "swap/v2/trade/order", **btc, orderId=second)
    batch = await note("POST", "swap/v2/trade/batchOrders", batchOrders=json.dumps([limit, limit]))
    ids = [row["orderId"] for row in batch["data"]["orders"]]
    await note("DELETE", "swap/v2/trade/batchOrders", **btc, orderIdList=json.dumps(ids[:1]))
    await note("DELETE", "swap/v2/trade/allOpenOrders", **btc)
    await note("POST", "swap/v2/trade/cancelAllAfter", type="ACTIVATE", timeOut=30)
    stop = btc | {"side": "SELL", "positionSide": "LONG", "type": "STOP_MARKET", "quantity": "0.01"}
    await note("POST", "swap/v2/trade/order", **stop, stopPrice=raw.price(0.97))
    positions = (await note("GET", "swap/v2/user/positions"))["data"]
    await note("POST", "swap/v1/trade/closePosition", positionId=positions[0]["positionId"])
    await note("POST", "swap/v2/trade/order", **buy, type="MARKET")
    await note("POST", "swap/v2/trade/closeAllPositions", **btc)
    await note("GET", "swap/v2/trade/order", **btc, orderId=first)
    await note("GET", "swap/v2/trade/allOrders", **btc)
    await note("GET", "swap/v1/trade/fullOrder", **btc)
    await note("GET", "swap/v2/trade/allFillOrders", **btc)
    await note("GET", "swap/v2/trade/fillHistory", **btc)
    await note("GET", "swap/v1/trade/positionHistory", **btc)
    await note("POST", "user/auth/userDataStream")
    await note("POST", "swap/v2/trade/order", **buy, type="MARKET")
    w.jump(8 * 3_600)
    await note("GET", "swap/v2/quote/fundingRate", **btc)
    await note("GET", "swap/v2/user/income", incomeType="FUNDING_FEE")
    w.server.core.liquidate("key", *next(iter(w.server.core.view("key").positions)))
    await note("GET", "swap/v2/trade/forceOrders", **btc)
    return found


async def _in_a_world(ask: Callable[[World], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    async with world(BINGX) as w:
        return await ask(w)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return asyncio.run(_in_a_world(answers))


def test_every_answer_looks_as_it_is_written_down(told: dict[str, Any]) -> None:
    assert {name: shape(body) for name, body in told.items()} == json.loads(OWN.read_text())["rest"]


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside this checkout")
def test_every_answer_has_the_recorded_fields(told: dict[str, Any]) -> None:
    recorded: dict[str, list[Any]] = {}
    for samples in json.loads(RECORDED.read_text())["methods"].values():
        for sample in samples:
            name = f"{sample['httpMethod']} {sample['path']}"
            recorded.setdefault(name, []).append(sample["httpResponse"])
    compared = {name for name in told if name in recorded}
    assert set(recorded) - compared == NOT_SERVED
    found = [
        f"{name}{difference}"
        for name in sorted(compared)
        for difference in differences(
            told[name], recorded[name], EXPLAINED.get(name, set()) | {"timestamp", "debugMsg", "msg"}
        )
    ]
    assert found == []


# --- frames ----------------------------------------------------------------------------------------

TOPICS = (
    "BTC-USDT@ticker",
    "BTC-USDT@trade",
    "BTC-USDT@kline_1m",
    "BTC-USDT@depth5@100ms",
    "BTC-USDT@incrDepth",
    "BTC-USDT@bookTicker",
    "BTC-USDT@lastPrice",
    "BTC-USDT@markPrice",
)


EVENTS = (
    "answer",
    "ACCOUNT_UPDATE",
    "ACCOUNT_CONFIG_UPDATE",
    "ORDER_TRADE_UPDATE",
    "ORDER_TRADE_UPDATE/NEW",
    "listenKeyExpired",
)


async def frames(w: World) -> dict[str, Any]:
    """One frame of every topic and event, by topic or event name."""
    raw, found = Raw(w), {}
    key = (await raw.signed("POST", "user/auth/userDataStream")).json["listenKey"]
    async with w.http.ws_connect(f"{w.server.url}/swap-market?listenKey={key}") as ws:
        for topic in TOPICS:
            await ws.send_json({"id": topic, "reqType": "sub", "dataType": topic})
        await raw.order()
        await raw.stop(quantity="0.01")
        while len(found) < len(TOPICS) + len(EVENTS):
            if len(found) == len(TOPICS) + len(EVENTS) - 1:
                w.server.app.expire_stream("key")
            w.jump(1)
            message = await ws.receive(timeout=10)
            text = gzip.decompress(message.data)
            if text == b"Ping":
                await ws.send_str("Pong")
                continue
            frame = json.loads(text)
            name = frame.get("dataType") or frame.get("e") or "answer"
            if name == "ORDER_TRADE_UPDATE" and frame["o"]["x"] != "TRADE":
                name = "ORDER_TRADE_UPDATE/NEW"
            found.setdefault(name.split("@")[-1] if "depth" not in name else "depth", frame)
    return dict(found)


@pytest.fixture(scope="module")
def heard() -> dict[str, Any]:
    return asyncio.run(_in_a_world(frames))


def test_every_frame_looks_as_it_is_written_down(heard: dict[str, Any]) -> None:
    assert {name: shape(frame) for name, frame in heard.items()} == json.loads(OWN.read_text())["frames"]


SAID_OTHERWISE = {"", "24hTicker", "kline_1h", "kline_1d"}
"""Recorded frames of topics that are compared under another name."""
NEWER = {"l", "L", "lk", "T", "sp", "wt", "cr", "bc", "sg", "ti", "ro", "td", "tv", "code"}


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside this checkout")
def test_every_frame_has_the_recorded_fields(heard: dict[str, Any]) -> None:
    recorded: dict[str, list[Any]] = {}
    for sample in json.loads(RECORDED.read_text())["websocket"]:
        frame = sample["frame"]
        name = frame.get("dataType") or frame.get("e") or ("answer" if "id" in frame else "")
        name = "ORDER_TRADE_UPDATE" if name == "TRADE_UPDATE" else name
        name = "depth" if "@depth" in name else name.split("@")[-1]
        recorded.setdefault(name, []).append(frame)
    compared = {name for name in heard if name in recorded}
    assert set(recorded) - compared <= SAID_OTHERWISE
    found = [
        f"{name}{difference}"
        for name in sorted(compared)
        for difference in differences(heard[name], recorded[name], NEWER)
        if not difference.startswith((".e:", ".id"))
    ]
    assert found == []
