"""Answers and pushes have the fields and types of recorded ones, field by field.

The recorded answers beside the checkout are compared where they are present. Samples of one endpoint
differ among themselves (older and newer ones): what any of them has must be there, with a type that
one of them shows. Differences that have a reason stand in `EXPLAINED`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Raw
from tests.simulator.bitget.sockets import connected, event
from tests.simulator.world import BTC, World

RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bitget-response.json"
Fields = dict[str, set[str]]
ORDER, MARKET, ACCOUNT, POSITION = (f"{MIX}/{part}" for part in ("order", "market", "account", "position"))
PRIVATE = ("account", "positions", "positions-history", "orders", "orders-algo", "fill", "equity")
PUBLIC = ("ticker", "candle12H", "trade", "books5")

SHEET = RECORDED.parents[1] / "bitget.md"

OLD = "only in samples of before the sheet"
UNIFIED = "how the unified account answers"
NONE_FAILED = "nothing can fail here"
ELSEWHERE = "the sample is of another endpoint"
EXPLAINED: Mapping[str, Mapping[str, str]] = {
    f"GET {MARKET}/tickers": {
        "data[].open": OLD,
        "data[].fundingRateInterval": ELSEWHERE,
        "data[].minFundingRate": ELSEWHERE,
        "data[].maxFundingRate": ELSEWHERE,
        "data[].nextUpdate": ELSEWHERE,
    },
    f"GET {ACCOUNT}/accounts": {
        "data[].crossedUnrealizedPL": "null in samples without a position",
        "data[].isolatedUnrealizedPL": "null in samples without a position",
    },
    f"POST {ORDER}/batch-cancel-orders": {"requestTime": "text in two samples, a number everywhere else"},
    f"GET {ORDER}/orders-plan-pending": {
        "data.entrustedList[].orderSource": OLD,
        "data.entrustedList[].presetStopLossPrice": OLD,
        "data.entrustedList[].presetStopSurplusPrice": OLD,
    },
    f"GET {ORDER}/orders-plan-history": {
        "data.entrustedList[].presetStopLossPrice": OLD,
        "data.entrustedList[].presetStopSurplusPrice": OLD,
    },
    f"GET {MARKET}/history-fund-rate": {
        "data.resultList[].fundingRate": UNIFIED,
        "data.resultList[].fundingRateTimestamp": UNIFIED,
        "data.resultList[].symbol": UNIFIED,
    },
    f"GET {MARKET}/open-interest": {
        "data.list[].openInterest": UNIFIED,
        "data.list[].symbol": UNIFIED,
    },
    f"POST {ORDER}/close-positions": {
        "data.list[].clientOid": UNIFIED,
        "data.list[].orderId": UNIFIED,
        "data.result": OLD,
        **{
            f"data.failureList[].{name}": NONE_FAILED
            for name in ("clientOid", "orderId", "errorMsg", "errorCode")
        },
    },
    f"POST {ORDER}/cancel-all-orders": {
        f"data.failureList[].{name}": NONE_FAILED for name in ("clientOid", "orderId", "errorMsg")
    },
}


def fields(values: Iterable[Any]) -> Fields:
    """Every field of all *values* with its types; a list is as all its entries together."""
    found: Fields = defaultdict(set)
    for value in values:
        _collect(value, "", found)
    return found


def _collect(value: Any, place: str, found: Fields) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _collect(item, f"{place}.{key}" if place else key, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, f"{place}[]", found)
    else:
        names = {bool: "flag", int: "number", float: "number", str: "text", type(None): "null"}
        found[place].add(names[type(value)])


def recorded() -> dict[str, Any]:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not on this machine")
    return dict(json.loads(RECORDED.read_text()))


def differences(ours: Fields, theirs: Fields) -> dict[str, str]:
    """By field, what is wrong with it. Newer fields than the samples' are those the sheet names."""
    wrong: dict[str, str] = {}
    named = set(re.findall(r"[A-Za-z0-9]+", SHEET.read_text()))
    for name in sorted(set(ours) | set(theirs)):
        if name not in ours:
            wrong[name] = "missing"
        elif name not in theirs:
            if name.rpartition(".")[2] not in named:
                wrong[name] = "extra"
        elif not ours[name] & theirs[name]:
            wrong[name] = f"{sorted(ours[name])} instead of {sorted(theirs[name])}"
    return wrong


# --- our answers -----------------------------------------------------------------------------------


async def answers(w: World) -> Mapping[str, list[Any]]:
    """Answers of every endpoint there is a sample of, from an account with something to show."""
    raw, found = Raw(w), defaultdict(list)

    async def ask(method: str, path: str, **params: Any) -> Any:
        answer = await (raw.get(path, **params) if method == "GET" else raw.post(path, **params))
        assert answer.code == "00000", answer.json
        found[f"{method} {path}"].append(answer.json)
        return answer.json["data"]

    await _settings(ask)
    await _orders(ask, raw)
    await _plans(ask, raw, w)
    await _market(ask)
    return found


async def _settings(ask: Any) -> None:
    await ask("POST", f"{ACCOUNT}/set-position-mode", posMode="one_way_mode")
    await ask("POST", f"{ACCOUNT}/set-margin-mode", marginMode="isolated", symbol="ETHUSDT")
    await ask("POST", f"{ACCOUNT}/set-leverage", leverage="10", symbol="ETHUSDT")
    eth = {"symbol": "ETHUSDT", "marginMode": "isolated", "side": "buy", "orderType": "market", "size": "0.1"}
    await ask("POST", f"{ORDER}/place-order", **eth)
    await ask("POST", f"{ACCOUNT}/set-margin", amount="1", symbol="ETHUSDT")
    await ask("GET", f"{ACCOUNT}/accounts")
    await ask("GET", f"{ACCOUNT}/account")
    await ask("GET", "/api/v2/common/trade-rate", businessType="mix")


async def _orders(ask: Any, raw: Raw) -> None:
    market = {"marginMode": "crossed", "side": "buy", "orderType": "market", "size": "0.01"}
    limit = market | {"orderType": "limit", "price": str(raw.price(0.97))}
    filled = await ask("POST", f"{ORDER}/place-order", **market)
    await ask("GET", f"{ORDER}/detail", orderId=filled["orderId"])
    await ask(
        "POST", f"{ORDER}/batch-place-order", marginMode="crossed", orderList=[limit, limit | {"size": "0"}]
    )
    resting = await ask("POST", f"{ORDER}/place-order", **limit)
    await ask(
        "POST", f"{ORDER}/modify-order", **resting, newSize="0.02", newPrice=limit["price"], newClientOid="n"
    )
    pending = await ask("GET", f"{ORDER}/orders-pending")
    await ask("POST", f"{ORDER}/cancel-order", orderId=pending["entrustedList"][0]["orderId"])
    wanted = [{"orderId": pending["entrustedList"][1]["orderId"]}, {"orderId": "1", "clientOid": "x"}]
    await ask("POST", f"{ORDER}/batch-cancel-orders", orderIdList=wanted)
    await ask("POST", f"{ORDER}/place-order", **limit)
    await ask("POST", f"{ORDER}/cancel-all-orders")
    for name in ("orders-history", "fills", "fill-history"):
        await ask("GET", f"{ORDER}/{name}")


async def _plans(ask: Any, raw: Raw, w: World) -> None:
    low, high = str(raw.price(0.97)), str(raw.price(1.05))
    pair = {"stopLossTriggerPrice": low, "stopSurplusTriggerPrice": high, "stopLossClientOid": "a"}
    made = await ask("POST", f"{ORDER}/place-pos-tpsl", holdSide="buy", **pair)
    await ask(
        "POST", f"{ORDER}/modify-tpsl-order", orderId=made[1]["orderId"], triggerPrice=str(raw.price(0.96))
    )
    plan = {"planType": "normal_plan", "triggerType": "mark_price", "marginMode": "crossed", "side": "buy"}
    limit = {"orderType": "limit", "price": low, "size": "0.01", "triggerPrice": low}
    placed = await ask("POST", f"{ORDER}/place-plan-order", **plan, **limit)
    await ask("POST", f"{ORDER}/modify-plan-order", orderId=placed["orderId"], newTriggerPrice=low)
    for book in ("normal_plan", "profit_loss"):
        await ask("GET", f"{ORDER}/orders-plan-pending", planType=book)
    ids = [{"orderId": placed["orderId"]}, {"orderId": "1", "clientOid": "x"}]
    await ask("POST", f"{ORDER}/cancel-plan-order", orderIdList=ids)
    await ask("GET", f"{POSITION}/all-position")
    await ask("GET", f"{POSITION}/single-position")
    await ask("GET", f"{POSITION}/adlRank")
    w.server.core.set_funding(BTC, Decimal("0.0001"), 1_000)
    await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
    w.jump(90)
    await ask("GET", f"{ORDER}/orders-plan-history", planType="normal_plan")
    await ask("GET", f"{ORDER}/orders-plan-history", planType="profit_loss")
    await ask("GET", f"{ORDER}/plan-sub-order", planOrderId=made[1]["orderId"], planType="profit_loss")
    await ask("GET", f"{POSITION}/history-position")
    await ask("GET", f"{ACCOUNT}/bill")
    await ask("POST", f"{ORDER}/close-positions", symbol="ETHUSDT")


async def _market(ask: Any) -> None:
    await ask("GET", "/api/v2/public/time")
    names = ("contracts", "ticker", "tickers", "symbol-price", "merge-depth", "fills", "fills-history")
    funding = ("current-fund-rate", "funding-time", "history-fund-rate")
    for name in (*names, *funding, "open-interest", "query-position-lever", "vip-fee-rate"):
        await ask("GET", f"{MARKET}/{name}")
    await ask("GET", f"{MARKET}/history-index-candles", granularity="5m", limit="2")


async def test_every_answer_is_shaped_as_recorded():
    samples: dict[str, list[Any]] = defaultdict(list)
    for entries in recorded()["methods"].values():
        for entry in entries:
            samples[f"{entry['httpMethod']} {entry['path']}"].append(entry["httpResponse"])
    async with bitget() as w:
        ours = await answers(w)
    assert set(samples) <= set(ours)
    assert all(name in fields(samples[path]) for path, names in EXPLAINED.items() for name in names)
    wrong = {
        f"{path} {name}": what
        for path, theirs in samples.items()
        for name, what in differences(fields(ours[path]), fields(theirs)).items()
        if name not in EXPLAINED.get(path, ())
    }
    assert not wrong, "\n".join(f"{place}: {what}" for place, what in wrong.items())


# --- pushes ----------------------------------------------------------------------------------------


async def pushes(w: World) -> Mapping[str, list[Any]]:
    """What every channel says while a position is opened, stopped out and told of."""
    raw, found = Raw(w), defaultdict(list)
    async with connected(w) as private, connected(w, "public") as public:
        await private.login()
        await private.until(event("login"))
        for channel in PRIVATE:
            await private.subscribe(channel)
        for channel in PUBLIC:
            await public.subscribe(channel, instId="BTCUSDT")
        await raw.order()
        await raw.stop()
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.95")
        w.jump(90)
        for frame in [*await private.drain(), *await public.drain()]:
            if "action" in frame:
                found[frame["arg"]["channel"]].append(frame)
    return found


async def test_every_push_is_shaped_as_recorded():
    samples: dict[str, list[Any]] = defaultdict(list)
    for entry in recorded()["websocket"]:
        frame = entry["frame"]
        if frame.get("action") and frame["data"]:
            samples[frame["arg"]["channel"]].append(frame)
    for short in ("candle1H", "candle1D"):  # cut samples: one number of each candle
        samples.pop(short)
    async with bitget() as w:
        ours = await pushes(w)
    assert set(samples) <= set(ours)
    wrong = {
        f"{channel} {name}": what
        for channel, theirs in samples.items()
        for name, what in differences(fields(ours[channel]), fields(theirs)).items()
        if name not in EXPLAINED.get(channel, ())
    }
    assert not wrong, "\n".join(f"{place}: {what}" for place, what in wrong.items())


# --- recorded requests -----------------------------------------------------------------------------

# What ccxt sends that Bitget itself refuses, and with which code.
REFUSED: Mapping[str, tuple[str, ...]] = {
    "GET /api/v3/account/settings": ("40084",),
    f"POST {ORDER}/cancel-order": ("40768",),
    f"POST {ORDER}/modify-order": ("40768",),
    f"POST {ORDER}/modify-tpsl-order": ("43025",),
    f"POST {ORDER}/modify-plan-order": ("43025",),
    f"POST {ORDER}/cancel-plan-order": ("43025",),
    f"POST {ORDER}/batch-cancel-orders": ("22001",),
    f"POST {ORDER}/close-positions": ("22002",),
    f"GET {ORDER}/detail": ("40109",),
    # Stops without a position, closes of nothing, hedge orders in one-way mode, a type that is none.
    f"POST {ORDER}/place-tpsl-order": ("43023", "400172", "40774"),
    f"POST {ORDER}/place-pos-tpsl": ("43023",),
    f"POST {ORDER}/place-order": ("40774", "22002"),
}


async def test_every_recorded_request_is_served():
    """Each from an account of its own, which is flat."""
    recorded()
    wanted = json.loads(RECORDED.with_name("bitget-request.json").read_text())["methods"]
    requests = [request for calls in wanted.values() for call in calls for request in call["requests"]]
    assert len(requests) > 80
    codes: dict[str, set[str]] = defaultdict(set)
    async with bitget() as w:
        for number, request in enumerate(requests):
            raw = Raw(w, f"account-{number}")
            method, path = request["method"], request["path"]
            body = json.dumps(request["body"], separators=(",", ":")) if request["body"] else ""
            answer = await raw.send(method, path, urlencode(request["query"]), body)
            codes[f"{method} {path}"].add(answer.code)
    surprising = {path: found - {"00000", *REFUSED.get(path, ())} for path, found in codes.items()}
    assert not any(surprising.values()), {path: found for path, found in surprising.items() if found}
