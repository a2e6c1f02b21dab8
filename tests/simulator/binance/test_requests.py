"""Every request that ccxt was recorded sending is served."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from holdfast.domain.account import PositionMode
from holdfast.domain.symbol import Symbol
from tests.simulator.binance.raw import Answer, Raw
from tests.simulator.world import BTC, world

RECORDED = Path(__file__).parents[4] / "shared" / "exchanges" / "fixtures" / "binance-request.json"
LTC = Symbol("LTC", "USDT", "USDT")
ETH = Symbol("ETH", "USDT", "USDT")
SIGNING = {"timestamp", "recvWindow", "signature"}
# What a lone request must be told: there is no order 1003, no position to protect or give margin to, no
# listen key, a margin mode that is set already, and the market is elsewhere by now.
REFUSED: dict[str, set[int]] = {
    "POST /fapi/v1/order": {-2022, -5022, -5021, -4016, -4024},
    "POST /fapi/v1/algoOrder": {-2021, -4509},
    "PUT /fapi/v1/order": {-2013},
    "DELETE /fapi/v1/order": {-2011},
    "DELETE /fapi/v1/algoOrder": {-2011},
    "GET /fapi/v1/order": {-2013},
    "GET /fapi/v1/algoOrder": {-2013},
    "GET /fapi/v1/openOrder": {-2013},
    "POST /fapi/v1/positionMargin": {-4054},
    "POST /fapi/v1/marginType": {-4046},
    "PUT /fapi/v1/listenKey": {-1125},
    "DELETE /fapi/v1/listenKey": {-1125},
}
GOOD_TILL_DATE = "GTD"
"""Not served: -1115 (docs/simulator.md)."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    params: dict[str, str]
    keyed: bool
    signed: bool


def recorded() -> Iterator[Request]:
    """Those that ccxt sends; a few it refuses itself."""
    for calls in json.loads(RECORDED.read_text())["methods"].values():
        for call in calls:
            if "error" in call:
                continue
            url = urlsplit(call["url"])
            sent = dict(parse_qsl(f"{url.query}&{call.get('output') or ''}"))
            params = {name: value for name, value in sent.items() if name not in SIGNING}
            yield Request(
                call["httpMethod"], url.path, params, bool(call.get("apiKeyHeader")), "signature" in sent
            )


async def send(raw: Raw, request: Request) -> Answer:
    if request.signed:
        return await raw.signed(request.method, request.path, **request.params)
    if request.keyed:
        return await raw.keyed(request.method, request.path, **request.params)
    return await raw.public(request.path, request.method, **request.params)


@pytest.mark.skipif(not RECORDED.exists(), reason="the shared fixtures do not lie beside this checkout")
async def test_every_recorded_request_is_served():
    """Each from an account of its own, which is flat and in the mode it was recorded for."""
    requests = list(recorded())
    assert len(requests) > 100
    codes: dict[str, set[Any]] = defaultdict(set)
    async with world(symbols=(BTC, ETH, LTC)) as w:
        w.server.core.set_filters(LTC, notional_min=Decimal(1))
        for number, request in enumerate(requests):
            raw = Raw(w, f"account-{number}")
            await raw.signed("GET", "/fapi/v3/balance")
            if request.params.get("positionSide") in ("LONG", "SHORT"):
                w.server.core.set_position_mode(raw.key, PositionMode.HEDGE)
            answer = await send(raw, request)
            code = 0 if answer.status == 200 else answer.code
            if (code, request.params.get("timeInForce")) == (-1115, GOOD_TILL_DATE):
                continue
            codes[f"{request.method} {request.path}"].add(code)
            w.server.app.reset_limits()
    surprising = {path: found - {0, *REFUSED.get(path, ())} for path, found in codes.items()}
    assert not any(surprising.values()), {path: found for path, found in surprising.items() if found}
    assert all(0 in found for path, found in codes.items() if path not in REFUSED)
