"""Answers have the fields and types of recorded ones, field by field.

`shapes.json` holds, in our own words, what every answer looks like (keys and types); the recorded
answers beside the checkout are compared with the same answers where they are present. Differences
that the exchange sheet explains are listed in `EXPLAINED`, each with its reason.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.binance.raw import Raw
from tests.simulator.world import World, world

OWN = Path(__file__).with_name("shapes.json")
RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "binance-response.json"

Shape = Any


def shape(value: Any) -> Shape:
    """Keys and types; a list is as its first entry."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict | list) else [_row(value)]
    return _type(value)


def _row(values: list[Any]) -> list[str]:
    return [_type(value) for value in values]


def _type(value: Any) -> str:
    names = {bool: "flag", int: "number", float: "number", str: "text", type(None): "null"}
    return names[type(value)]


async def answers(w: World) -> dict[str, Any]:
    """One answer of every endpoint whose shape matters, from an account with something to show."""
    raw = Raw(w)
    limit = {"type": "LIMIT", "timeInForce": "GTC", "newOrderRespType": "RESULT"}
    found: dict[str, Any] = {}

    async def note(name: str, method: str, path: str, **params: Any) -> Any:
        call = raw.signed if method != "PUBLIC" else raw.public
        found[name] = (
            await (call(path, **params) if method == "PUBLIC" else call(method, path, **params))
        ).json
        return found[name]

    await raw.signed("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
    await raw.order(symbol="ETHUSDT", quantity="0.1")
    await raw.signed("POST", "/fapi/v1/positionMargin", symbol="ETHUSDT", amount="5", type="1")
    found["market order"] = (await raw.order(newOrderRespType="RESULT")).json
    resting = (await raw.order(**limit, price=raw.price(0.97))).json
    found["limit order"] = resting
    await note("open order", "GET", "/fapi/v1/openOrder", symbol="BTCUSDT", orderId=resting["orderId"])
    await note("open orders", "GET", "/fapi/v1/openOrders", symbol="BTCUSDT")
    await note("all orders", "GET", "/fapi/v1/allOrders", symbol="BTCUSDT")
    change = {"symbol": "BTCUSDT", "side": "BUY", "orderId": resting["orderId"], "quantity": "0.02"}
    await note("changed order", "PUT", "/fapi/v1/order", **change, price=raw.price(0.96))
    await note("cancelled order", "DELETE", "/fapi/v1/order", symbol="BTCUSDT", orderId=resting["orderId"])
    await note("cancel all", "DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    found["algo placed"] = (await raw.stop(reduceOnly="true")).json
    await note("algo open", "GET", "/fapi/v1/openAlgoOrders", symbol="BTCUSDT")
    await note("algo cancelled", "DELETE", "/fapi/v1/algoOrder", algoId=found["algo placed"]["algoId"])
    await raw.stop(reduceOnly="true", clientAlgoId="trigger-me")
    await note("positions v3", "GET", "/fapi/v3/positionRisk", symbol="BTCUSDT")
    await note("positions v2", "GET", "/fapi/v2/positionRisk", symbol="BTCUSDT")
    await note("account v3", "GET", "/fapi/v3/account")
    await note("account v2", "GET", "/fapi/v2/account")
    await note("balance", "GET", "/fapi/v3/balance")
    await note("trades of mine", "GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
    await note("income", "GET", "/fapi/v1/income")
    await note("leverage", "POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=11)
    await note("brackets", "GET", "/fapi/v1/leverageBracket", symbol="BTCUSDT")
    await note("symbol config", "GET", "/fapi/v1/symbolConfig", symbol="BTCUSDT")
    await note("account config", "GET", "/fapi/v1/accountConfig")
    await note("commission", "GET", "/fapi/v1/commissionRate", symbol="BTCUSDT")
    await note("order limits", "GET", "/fapi/v1/rateLimit/order")
    await note("margin history", "GET", "/fapi/v1/positionMargin/history", symbol="ETHUSDT")
    await note("adl", "GET", "/fapi/v1/adlQuantile")
    for name, path, params in (
        ("exchange info", "/fapi/v1/exchangeInfo", {}),
        ("klines", "/fapi/v1/klines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}),
        ("mark klines", "/fapi/v1/markPriceKlines", {"symbol": "BTCUSDT", "interval": "1m", "limit": 5}),
        ("index klines", "/fapi/v1/indexPriceKlines", {"pair": "BTCUSDT", "interval": "1m", "limit": 5}),
        (
            "premium klines",
            "/fapi/v1/premiumIndexKlines",
            {"symbol": "BTCUSDT", "interval": "1m", "limit": 5},
        ),
        ("depth", "/fapi/v1/depth", {"symbol": "BTCUSDT", "limit": 5}),
        ("public trades", "/fapi/v1/trades", {"symbol": "BTCUSDT"}),
        ("aggregate trades", "/fapi/v1/aggTrades", {"symbol": "BTCUSDT"}),
        ("ticker", "/fapi/v1/ticker/24hr", {"symbol": "BTCUSDT"}),
        ("tickers", "/fapi/v1/ticker/24hr", {}),
        ("price", "/fapi/v2/ticker/price", {"symbol": "BTCUSDT"}),
        ("book ticker", "/fapi/v1/ticker/bookTicker", {"symbol": "BTCUSDT"}),
        ("premium index", "/fapi/v1/premiumIndex", {"symbol": "BTCUSDT"}),
        ("open interest", "/fapi/v1/openInterest", {"symbol": "BTCUSDT"}),
    ):
        await note(name, "PUBLIC", path, **params)
    await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.965")
    w.jump(3)
    await note("algo finished", "GET", "/fapi/v1/algoOrder", clientAlgoId="trigger-me")
    return found


def event_name(event: dict[str, Any]) -> str:
    """Its type, and what else decides which fields it has."""
    kinds = {
        "ALGO_UPDATE": lambda: event["o"]["X"],
        "ORDER_TRADE_UPDATE": lambda: event["o"]["x"],
        "ACCOUNT_CONFIG_UPDATE": lambda: "ac" if "ac" in event else "ai",
    }
    kind = kinds.get(event["e"])
    return f"{event['e']} {kind()}" if kind else event["e"]


async def every_order_event(raw: Raw) -> None:
    """An order that is changed and cancelled, and one that expires at once."""
    limit = {"type": "LIMIT", "price": raw.price(0.97)}
    order = (await raw.order(**limit, timeInForce="GTC")).json
    change = {"symbol": "BTCUSDT", "orderId": order["orderId"], "side": "BUY", "quantity": "0.02"}
    assert (await raw.signed("PUT", "/fapi/v1/order", **change, price=raw.price(0.96))).status == 200
    del change["side"], change["quantity"]
    assert (await raw.signed("DELETE", "/fapi/v1/order", **change)).status == 200
    await raw.order(**limit, timeInForce="IOC")


async def user_events(w: World) -> dict[str, Any]:
    """The last user event of each kind."""
    raw = Raw(w)
    key = (await raw.keyed("POST", "/fapi/v1/listenKey")).json["listenKey"]
    found: dict[str, Any] = {}
    async with w.http.ws_connect(w.server.url + f"/private/ws/{key}") as ws:
        await asyncio.sleep(0.05)
        await raw.signed("POST", "/fapi/v1/leverage", symbol="BTCUSDT", leverage=100)
        await raw.signed("POST", "/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
        await w.admin("POST", "/liquidity", symbol="BTCUSDT", ratio="100")
        await every_order_event(raw)
        await raw.order()
        await raw.stop(reduceOnly="true")
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.965")
        w.jump(3)
        await raw.order(quantity="12")
        await w.admin("POST", "/price", symbol="BTCUSDT", ratio="0.98", seconds=6)
        for _ in range(10):
            w.jump(1)
        while True:
            try:
                event = (await ws.receive(timeout=0.3)).json()
            except TimeoutError:
                return found
            if event["e"] != "ACCOUNT_UPDATE" or event["a"]["P"]:
                found[event_name(event)] = event


async def test_every_answer_has_its_known_shape():
    async with world() as w:
        found = {name: shape(answer) for name, answer in (await answers(w)).items()}
    async with world() as w:
        found |= {name: shape(event) for name, event in (await user_events(w)).items()}
    known = json.loads(OWN.read_text())
    assert sorted(found) == sorted(known)
    for name, expected in known.items():
        assert found[name] == expected, name


# --- against recorded answers -----------------------------------------------------------------------

# Our answer's name, and the recorded one's method and description.
PAIRS = {
    "limit order": ("createOrders", "create swap orders"),
    "changed order": ("editOrders", "edit swap orders"),
    "open order": ("fetchOpenOrder", "swap open order"),
    "positions v3": ("fetchPositions", "linear positions without symbols"),
    "account v3": ("fetchPositions", "linear positions, account endpoint"),
    "account v2": ("fetchBalance", "Linear swap balance"),
    "trades of mine": ("fetchMyTrades", "Swap private trade"),
    "klines": ("fetchOHLCV", "swap ohlcv"),
    "depth": ("fetchOrderBook", "swap orderbook"),
    "margin history": ("fetchMarginAdjustmentHistory", "margin adjustment history"),
    "symbol config": ("fetchMarginMode", "linear swap fetch margin mode"),
    "income": ("fetchFundingHistory", "funding history"),
    "all orders": ("fetchOrders", "allOrders filled market order"),
    "market order": ("createOrder", "market order ack"),
    "algo placed": ("createOrder", "algo order placed"),
    "algo finished": ("fetchOrder", "algo order finished"),
    "algo cancelled": ("cancelOrder", "algo cancel"),
    "brackets": ("fetchLeverageTiers", "leverage brackets"),
    "premium index": ("fetchFundingRate", "premium index"),
    "ticker": ("fetchTicker", "24hr ticker"),
}
# Another recording of the same answer.
ALSO = {"positions v3": ("fetchPositions", "linear positions with symbols")}
# Where ours may differ: (missing in ours, missing in the recorded one), with the sheet's reason.
EXPLAINED: dict[str, tuple[set[str], set[str]]] = {
    # §0: answers to orders no longer carry prices; the recording is of 2025.
    "limit order": ({"avgPrice", "cumQuote"}, set()),
    "changed order": ({"avgPrice", "cumQuote"}, set()),
    # §0, 2026-08-07: new fields; the recordings are older.
    "trades of mine": (set(), {"baseQty", "pair"}),
    # Recorded on portfolio margin, which tells less (fixture's note); new fields as above.
    "all orders": (
        set(),
        {"closePosition", "cumBase", "pair", "priceMatch", "priceProtect", "stopPrice", "workingType"},
    ),
    # Not in this recording, but in the answer to placing the same order.
    "algo finished": (set(), {"activatePrice", "callbackRate"}),
    # §3.3: v2 tells of all symbols, the recording (of an account without any) of none.
    "account v2": (set(), {"positions[]"}),
}
# Bare numbers on the wire (sheet §3); recordings made through clients that quote numbers have text.
BARE = {
    "E", "T", "adl", "feeTier", "goodTillDate", "id", "lastUpdateId", "leverage", "orderId", "time",
    "tradeGroupId", "tranId", "type", "updateTime",
}  # fmt: skip


def first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value and isinstance(value[0], dict | list) else value


def differences(name: str, ours: Any, theirs: Any) -> list[str]:
    """What is different in our answer, beyond what is explained."""
    ours, theirs = first(ours), first(theirs)
    if isinstance(ours, list):
        return [] if _row(ours) == _row(theirs) else [f"{_row(ours)} instead of {_row(theirs)}"]
    lacks, adds = EXPLAINED.get(name, (set(), set()))
    found = [f"lacks {key}" for key in sorted(set(theirs) - set(ours) - lacks)]
    found += [f"adds {key}" for key in sorted(set(ours) - set(theirs) - adds)]
    for key in sorted(set(ours) & set(theirs)):
        found += [f"{key}: {what}" for what in _differs(name, key, ours[key], theirs[key], adds)]
    return found


def _differs(name: str, key: str, ours: Any, theirs: Any, adds: set[str]) -> list[str]:
    if isinstance(theirs, list) and isinstance(ours, list):
        if f"{key}[]" in adds or not theirs or not ours:
            return []
        return differences(f"{name} {key}", ours, theirs)
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return differences(f"{name} {key}", ours, theirs)
    quoted = key in BARE and type(ours) is int and str(theirs).lstrip("-").isdigit()
    return [] if quoted or _type(ours) == _type(theirs) else [f"{ours!r} instead of {theirs!r}"]


def recorded(method: str, description: str) -> Any:
    calls = json.loads(RECORDED.read_text())["methods"][method]
    return next(call["httpResponse"] for call in calls if call["description"].startswith(description))


needs_recordings = pytest.mark.skipif(
    not RECORDED.exists(), reason="the shared fixtures do not lie beside this checkout"
)


@needs_recordings
async def test_answers_equal_the_recorded_ones_field_by_field():
    async with world() as w:
        ours = await answers(w)
    known = json.loads(RECORDED.read_text())["methods"]
    assert {(method, call["description"]) for method, calls in known.items() for call in calls} == {
        (method, call["description"])
        for method, start in (*PAIRS.values(), *ALSO.values())
        for call in known[method]
        if call["description"].startswith(start)
    }
    pairs = [*PAIRS.items(), *ALSO.items()]
    found = {(name, *pair): differences(name, ours[name], recorded(*pair)) for name, pair in pairs}
    assert {name: what for name, what in found.items() if what} == {}


EVENT_EXPLAINED: dict[str, tuple[set[str], set[str]]] = {}
for _status in ("TRIGGERING", "TRIGGERED", "FINISHED"):
    # §7.3: the reject reason and, since 2026-08-07, whether it is activated; recorded in 2025-12.
    EVENT_EXPLAINED[f"ALGO_UPDATE {_status} o"] = (set(), {"rm", "ia"})
# §7.3 lists these for every order event; the recording (by a client that drops them) has nulls for
# trailing fields, which only exist on trailing stops, and an old field `W`.
EVENT_EXPLAINED["ORDER_TRADE_UPDATE CALCULATED o"] = ({"AP", "cr", "W"}, {"pm", "er"})


@needs_recordings
async def test_user_events_equal_the_recorded_ones_field_by_field(monkeypatch):
    monkeypatch.setitem(globals(), "EXPLAINED", EVENT_EXPLAINED)
    async with world() as w:
        ours = await user_events(w)
    found: dict[str, list[str]] = {}
    for event in json.loads(RECORDED.read_text())["userDataEvents"]["events"]:
        name = event_name(event)
        assert name in ours, name
        found[name] = [what for what in differences(name, ours[name], event) if "instead of None" not in what]
    assert {name: what for name, what in found.items() if what} == {}
