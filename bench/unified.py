"""The other reference: ccxt as its users use it, with every address replaced by the simulator's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import ccxt.async_support as ccxt

from bench.simulator import KEY, PASSPHRASE, SECRET, Simulator

KEYS = {"apiKey": KEY, "secret": SECRET, "enableRateLimit": False}


def _binance(url: str) -> Any:
    options = {"fetchCurrencies": False, "fetchOpenOrders": {"warnWithoutSymbol": False}}
    made = ccxt.binanceusdm({**KEYS, "options": options})
    made.urls["api"] = {
        f"fapi{kind}{version}": f"{url}/fapi/{version.lower() or 'v1'}"
        for kind in ("Public", "Private")
        for version in ("", "V2", "V3")
    }
    return made


def _bingx(url: str) -> Any:
    made = ccxt.bingx({**KEYS, "options": {"defaultType": "swap"}})
    made.urls["api"] = dict.fromkeys(made.urls["api"], f"{url}/openApi")
    made.has["fetchCurrencies"] = False
    return made


def _bitget(url: str) -> Any:
    options = {"defaultType": "swap", "uta": False, "fetchMarkets": {"types": ["swap"]}}
    made = ccxt.bitget({**KEYS, "password": PASSPHRASE, "options": options})
    made.urls["api"] = dict.fromkeys(made.urls["api"], url)
    made.has["fetchCurrencies"] = False
    return made


CLIENTS: Mapping[str, Callable[[str], Any]] = {"binance": _binance, "bingx": _bingx, "bitget": _bitget}
CLOSING: Mapping[str, dict[str, Any]] = {
    "binance": {"closePosition": True},
    "bingx": {"closePosition": True},
    "bitget": {},
}
"""What makes a stop one for the whole position; Bitget's are."""


async def _read_binance(other: Any) -> None:
    await other.fetch_positions()
    await other.fetch_open_orders(params={"trigger": True})
    await other.fetch_open_orders()
    await other.fetch_balance()


async def _read_bingx(other: Any) -> None:
    """Stops are among the open orders."""
    await other.fetch_positions()
    await other.fetch_open_orders()
    await other.fetch_balance()


async def _read_bitget(other: Any) -> None:
    """Each book of plan orders by its own name."""
    await other.fetch_positions()
    await other.fetch_open_orders(params={"planType": "profit_loss"})
    await other.fetch_open_orders(params={"trigger": True})
    await other.fetch_open_orders(params={"trailing": True})
    await other.fetch_open_orders()
    await other.fetch_balance()


READS: Mapping[str, Callable[[Any], Awaitable[None]]] = {
    "binance": _read_binance,
    "bingx": _read_bingx,
    "bitget": _read_bitget,
}
"""The same facts as of ours: positions, stops, orders, balance."""


@asynccontextmanager
async def other_client(exchange: Simulator) -> AsyncIterator[Any]:
    """With its markets loaded."""
    made = CLIENTS[exchange.exchange](exchange.url)
    try:
        await made.load_markets()
        yield made
    finally:
        await made.close()


async def holdings(other: Any, name: str, symbols: tuple[str, ...]) -> None:
    """Open a small long position with a stop on each symbol, as a bot's account would look."""
    for symbol in (f"{each}:USDT" for each in symbols):
        price = float((await other.fetch_ticker(symbol))["last"])
        quantity = quantity_of(price)
        await other.create_order(symbol, "market", "buy", quantity)
        stop = {"stopLossPrice": float(other.price_to_precision(symbol, price * 0.95)), **CLOSING[name]}
        await other.create_order(symbol, "market", "sell", quantity, None, stop)


def quantity_of(price: float) -> float:
    """About 300 quote, in a step that every instrument of the benchmark allows."""
    return round(300 / price, 3) if price > 1000 else float(max(1, round(300 / price)))
