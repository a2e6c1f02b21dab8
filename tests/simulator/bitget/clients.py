"""ccxt pointed at a simulated Bitget, as the exchange sheet says (bitget.md §1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import ccxt.pro

from holdfast.simulator.bitget.limits import Limits
from holdfast.simulator.bitget.switches import Switches
from holdfast.simulator.bitget.venue import BitgetOptions
from tests.simulator.world import PROMPT, World, world

KEY, SECRET, PASSPHRASE = "key", "secret", "word"
SYMBOL = "BTC/USDT:USDT"
UNLIMITED = Limits(share=0.0)
SECTIONS = (
    "spot",
    "mix",
    "user",
    "p2p",
    "broker",
    "margin",
    "common",
    "tax",
    "convert",
    "copy",
    "earn",
    "uta",
)


@asynccontextmanager
async def bitget(limits: Limits = UNLIMITED, **switches: Any) -> AsyncIterator[World]:
    """A simulated Bitget; *switches* are its unverified ways. Endpoints' own limits are off."""
    options = BitgetOptions(limits=limits, switches=Switches(**switches))
    async with world(replace(PROMPT, exchange="bitget", bitget=options)) as made:
        yield made


def ccxt_config(url: str) -> dict[str, Any]:
    """A classic account, swaps only."""
    ws = url.replace("http", "ws", 1)
    return {
        "apiKey": KEY,
        "secret": SECRET,
        "password": PASSPHRASE,
        "enableRateLimit": False,
        "options": {
            "defaultType": "swap",
            "defaultSubType": "linear",
            "uta": False,
            "fetchMarkets": {"types": ["swap"]},
        },
        "urls": {
            "api": {
                **dict.fromkeys(SECTIONS, url),
                "ws": {"public": f"{ws}/v2/ws/public", "private": f"{ws}/v2/ws/private"},
            }
        },
    }


@asynccontextmanager
async def ccxt_client(world: World, **changes: Any) -> AsyncIterator[Any]:
    """ccxt.pro on the simulator's clock."""
    exchange = ccxt.pro.bitget(ccxt_config(world.server.url) | changes)
    exchange.has["fetchCurrencies"] = False
    exchange.milliseconds = world.clock.now_ms
    exchange.seconds = lambda: world.clock.now_ms() // 1_000
    try:
        await exchange.load_markets()
        yield exchange
    finally:
        await exchange.close()
