"""Every request that ccxt was recorded sending is served, and nothing a client can send breaks the door."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.simulator.bingx.routes import ROUTES
from tests.simulator.bingx.clients import BINGX, Raw
from tests.simulator.world import world

RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "bingx-request.json"
# What a lone request must be told: there is no order 123, no position to protect or close, the market
# is elsewhere by now, and the recorded week is over.
TOLD = {101204, 101205, 101211, 101400, 109400, 109414, 109420, 109421, 110402}
SIDE_WORDS = ("PositionSide", "Side", "ReduceOnly")


def recorded() -> list[Any]:
    """(description, method, path, parameters) of every recorded request."""
    if not RECORDED.exists():
        return []
    methods = json.loads(RECORDED.read_text())["methods"]
    return [
        (f"{name}: {sample['description']}", request["method"], request["path"], request["query"])
        for name, samples in methods.items()
        for sample in samples
        for request in sample["requests"]
    ]


@pytest.mark.skipif(not RECORDED.exists(), reason="no recordings beside this checkout")
def test_every_recorded_request_is_served() -> None:
    """In the mode it was recorded for; refused only for what the account does not have."""

    async def run() -> list[str]:
        wrong: list[str] = []
        async with world(BINGX) as running:
            raw = Raw(running)
            for name, method, path, query in recorded():
                running.clock.jump(1_500)
                both = query.get("positionSide") == "BOTH" or "BOTH" in str(query.get("batchOrders"))
                both = both or query.get("side") == "BOTH"
                wanted = "false" if both else "true"
                await raw.signed("POST", "swap/v1/positionSide/dual", dualSidePosition=wanted)
                answer = await raw.signed(method, path.removeprefix("/openApi/"), **query)
                body = answer.json if answer.raw else {"code": 0}
                code = int(body.get("code", 0))
                misread = code == 109400 and any(word in body["msg"] for word in ("required", *SIDE_WORDS))
                if answer.status != 200 or (code and code not in TOLD) or misread:
                    wrong.append(f"{name}: {answer.status} {body}")
                await raw.signed("DELETE", "swap/v2/trade/allOpenOrders")
                await raw.signed("POST", "swap/v2/trade/closeAllPositions")
                await running.admin("POST", "/reset-limits")
        return wrong

    assert len(recorded()) >= 80
    assert asyncio.run(run()) == []


# --- anything at all -------------------------------------------------------------------------------

NAMES = [
    "symbol",
    "side",
    "positionSide",
    "type",
    "quantity",
    "quoteOrderQty",
    "price",
    "stopPrice",
    "priceRate",
    "activationPrice",
    "workingType",
    "stopLoss",
    "takeProfit",
    "clientOrderID",
    "timeInForce",
    "reduceOnly",
    "closePosition",
    "orderId",
    "orderIdList",
    "clientOrderIDList",
    "batchOrders",
    "cancelOrderId",
    "cancelReplaceMode",
    "leverage",
    "marginType",
    "dualSidePosition",
    "amount",
    "timeOut",
    "limit",
    "interval",
    "startTime",
    "endTime",
    "startTs",
    "endTs",
    "pageIndex",
    "pageSize",
    "positionId",
    "incomeType",
    "listenKey",
]
WORDS = [
    "BTC-USDT",
    "BTCUSDT",
    "BUY",
    "SELL",
    "LONG",
    "SHORT",
    "BOTH",
    "LIMIT",
    "MARKET",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TRIGGER_MARKET",
    "TRAILING_STOP_MARKET",
    "GTC",
    "PostOnly",
    "true",
    "false",
    "ISOLATED",
    "CROSSED",
    "ACTIVATE",
    "CLOSE",
    "1m",
    "1w",
    "None",
    "null",
    "0",
    "-1",
    "1",
    "5",
    "0.01",
    "0.00001",
    "60000",
    "1e9",
    "99999999999999999999",
    "1800000010000000001",
    "1701000000000000001",
    "NaN",
    "Infinity",
    "[1,2]",
    "[]",
    "{}",
    "[{}]",
]
INNER = '{"type":"STOP_MARKET","stopPrice":%s,"quantity":%s}'
values = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.integers(-(10**20), 10**20).map(str),
    st.builds(lambda stop, size: INNER % (stop, size), st.sampled_from(WORDS), st.sampled_from(WORDS)),
    st.lists(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WORDS)), max_size=3).map(json.dumps),
)
requests = st.tuples(
    st.sampled_from(sorted(ROUTES)),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=10),
)
ORDER = {"symbol": "BTC-USDT", "side": "BUY", "positionSide": "LONG", "type": "MARKET", "quantity": "0.01"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(requests, min_size=1, max_size=12), st.booleans())
def test_no_request_breaks_the_exchange(sent: list[Any], like_an_order: bool) -> None:
    """Every answer is one of the exchange's own: never 500, JSON or nothing, and reads go on working."""

    async def run() -> None:
        async with world(BINGX) as running:
            raw = Raw(running)
            await raw.order()
            for (method, path), params in sent:
                given_ = (ORDER | params) if like_an_order else params
                answer = await raw.signed(method, path.removeprefix("/openApi/"), **given_)
                assert answer.status in (200, 204, 404), (method, path, given_, answer.raw)
                if answer.raw:
                    assert isinstance(answer.json, dict)
            running.jump(2)
            await running.admin("POST", "/reset-limits")
            assert (await raw.signed("GET", "swap/v2/trade/openOrders")).code == 0
            assert (await raw.signed("GET", "swap/v2/user/positions")).code == 0

    asyncio.run(run())
