"""Whatever is sent, the exchange answers in its envelope and never with an error of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.simulator.bitget.routes import ROUTES
from tests.simulator.bitget.clients import bitget
from tests.simulator.bitget.raw import MIX, Raw

RIGHT: dict[str, Any] = {
    "marginMode": "crossed",
    "side": "buy",
    "orderType": "market",
    "force": "gtc",
    "size": "0.01",
    "price": "60000.1",
    "planType": "pos_loss",
    "triggerPrice": "55000",
    "triggerType": "mark_price",
    "holdSide": "buy",
    "callbackRatio": "1",
    "rangeRate": "1",
    "orderId": "10000000001",
    "leverage": "10",
    "posMode": "one_way_mode",
    "amount": "1",
    "granularity": "1m",
    "newSize": "0.02",
    "newPrice": "55000",
    "newClientOid": "new",
    "stopLossTriggerPrice": "54000",
    "stopSurplusTriggerPrice": "70000",
    "planOrderId": "1000000000000001",
    "newTriggerPrice": "54000",
    "orderList": [{"side": "buy", "orderType": "market", "size": "0.01"}],
    "orderIdList": [{"orderId": "1000000000000001"}],
}
"""Something every endpoint is content with."""
OTHERS = ["symbol", "productType", "marginCoin", "tradeSide", "clientOid", "reduceOnly", "executePrice"]
OTHERS += ["startTime", "endTime", "limit", "idLessThan", "pageSize", "pageNo", "stopLossSize", "planStatus"]
OTHERS += ["businessType", "kLineType", "presetStopLossPrice", "longLeverage", "shortLeverage"]
NAMES = [*RIGHT, *OTHERS]
WORDS = st.sampled_from(
    [
        *(
            "BTCUSDT",
            "ethusdt",
            "NOPE",
            "USDT-FUTURES",
            "COIN-FUTURES",
            "USDT",
            "crossed",
            "isolated",
            "buy",
            "sell",
        ),
        *(
            "open",
            "close",
            "market",
            "limit",
            "gtc",
            "post_only",
            "fok",
            "0.01",
            "0",
            "-1",
            "1e9",
            "NaN",
            "60000.1",
        ),
        *(
            "pos_loss",
            "loss_plan",
            "normal_plan",
            "track_plan",
            "moving_plan",
            "profit_loss",
            "fill_price",
            "pos_profit",
        ),
        *(
            "mark_price",
            "long",
            "short",
            "1m",
            "1H",
            "3",
            "99999999999999999999",
            "9" * 21,
            "YES",
            "no",
            "",
            "ä☃",
        ),
        *("10000000001", "1000000000000001", "max", "one_way_mode", "hedge_mode", "0.00000000000000000001"),
    ]
)
SCALARS = WORDS | st.integers(-(2**53), 2**53) | st.floats() | st.booleans() | st.none() | st.text(max_size=8)
ROWS = st.lists(st.dictionaries(st.sampled_from(NAMES), SCALARS, max_size=6) | SCALARS, max_size=3)
FIELDS = st.dictionaries(st.sampled_from(NAMES), SCALARS | ROWS, max_size=3)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(st.tuples(st.sampled_from(sorted(ROUTES)), FIELDS), min_size=40, max_size=40))
def test_hostile_requests_get_an_answer(asked: list[tuple[tuple[str, str], dict[str, Any]]]):
    async def ask_all() -> None:
        async with bitget() as w:
            raw = Raw(w)
            await raw.order()
            await raw.stop()
            for (method, path), fields in asked:
                answer = await ask(raw, method, path, RIGHT | fields)
                assert answer.status in (200, 400), (method, path, fields, answer.raw)
                assert set(answer.json) == {"code", "msg", "requestTime", "data"}
            assert (await raw.get(f"{MIX}/account/accounts")).code == "00000"

    asyncio.run(ask_all())


async def ask(raw: Raw, method: str, path: str, fields: dict[str, Any]) -> Any:
    if method == "POST":
        return await raw.post(path, **fields)
    return await raw.get(path, **{name: value for name, value in fields.items() if value is not None})


KEYS = st.sampled_from(["op", "args", "channel", "instType", "instId", "coin", "apiKey", "timestamp", "sign"])
FRAMES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(frames=st.lists(FRAMES | st.text(max_size=20), min_size=20, max_size=20))
def test_hostile_frames_leave_the_socket_alive(frames: list[Any]):
    async def say_all() -> None:
        async with bitget() as w, w.http.ws_connect(f"{w.server.url}/v2/ws/public") as ws:
            for frame in frames:
                await ws.send_str(frame if isinstance(frame, str) else orjson.dumps(frame).decode())
            await ws.send_str("ping")
            async with asyncio.timeout(5):
                while await ws.receive_str() != "pong":
                    pass

    asyncio.run(say_all())
