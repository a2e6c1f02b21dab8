"""`holdfast simulator`: the exchange in a box as a process."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.cli.exits import Exit, say
from holdfast.cli.lifeline import on_signals, orphaned
from holdfast.cli.market import MarketChoice, ShiftedMarket, load_market
from holdfast.domain.protocols import Clock
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock, SharedClock
from holdfast.runtime.pace import SIMULATOR_SLOT, PaceFile
from holdfast.simulator.core.market import Market
from holdfast.simulator.server import ServerConfig, SimulatorServer

ORPHAN_GRACE_S = 20.0

# Every address is replaced, not only some: what is not named would still be the real exchange's.
SNIPPETS = {
    "binance": """\
  import ccxt
  url = "{url}"
  exchange = ccxt.binanceusdm({{"apiKey": "any", "secret": "any", "options": {{"fetchCurrencies": False}}}})
  exchange.urls["api"] = {{
      f"fapi{{kind}}{{v}}": f"{{url}}/fapi/{{v.lower() or 'v1'}}"
      for kind in ("Public", "Private") for v in ("", "V2", "V3")
  }}
  print(exchange.fetch_ticker("BTC/USDT:USDT")["last"], exchange.fetch_balance()["USDT"])
""",
    "bingx": """\
  import ccxt
  exchange = ccxt.bingx({{"apiKey": "any", "secret": "any", "options": {{"defaultType": "swap"}}}})
  exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], "{url}/openApi")
  exchange.has["fetchCurrencies"] = False
  print(exchange.fetch_ticker("BTC/USDT:USDT")["last"], exchange.fetch_balance()["USDT"])
""",
    "bitget": """\
  import ccxt
  options = {{"defaultType": "swap", "uta": False, "fetchMarkets": {{"types": ["swap"]}}}}
  exchange = ccxt.bitget({{"apiKey": "any", "secret": "any", "password": "any", "options": options}})
  exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], "{url}")
  exchange.has["fetchCurrencies"] = False
  print(exchange.fetch_ticker("BTC/USDT:USDT")["last"], exchange.fetch_balance()["USDT"])
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """As on the command line."""

    exchanges: tuple[str, ...]
    host: str
    port: int
    admin_port: int
    data: Path | None
    seed: int | None
    symbols: str | None
    start: str | None
    speed: float
    latency_ms: int
    accounts: Path | None
    json: bool
    pace: Path | None
    parent: int | None


def run_simulator(options: SimulatorOptions) -> int:
    """Serve until SIGTERM or SIGINT. Bad data, ports and files are told by the exceptions' sentences."""
    choice = MarketChoice(data=options.data, seed=options.seed, symbols=options.symbols, start=options.start)
    market = load_market(choice)
    if options.pace is not None:
        clock = SharedClock(PaceFile.open(options.pace))
        return runtime_loop.run(_serve(options, market, clock), clock, slot=SIMULATOR_SLOT)
    # Alone, it lives in the present: clients sign with their own clock.
    now_ms = RealClock().now_ms()
    if options.speed == 1.0:
        return runtime_loop.run(_serve(options, ShiftedMarket(market, now_ms), RealClock()), RealClock())
    with tempfile.TemporaryDirectory(prefix="holdfast-pace-") as folder:
        pace = PaceFile.create(Path(folder) / "pace", start_ms=now_ms, speed=options.speed)
        scaled = SharedClock(pace)
        return runtime_loop.run(_serve(options, ShiftedMarket(market, now_ms), scaled), scaled)


async def _serve(options: SimulatorOptions, market: Market, clock: Clock) -> int:
    """All exchanges over the one market; one that cannot start ends those before it."""
    servers: list[SimulatorServer] = []
    ended = asyncio.Event()
    on_signals(lambda _name: ended.set())
    try:
        for place, exchange in enumerate(options.exchanges):
            server = SimulatorServer(_config(options, exchange, place), market, clock)
            await server.start()
            servers.append(server)
        _announce(options, servers, market)
        await _until(servers, ended, options.parent)
    finally:
        for server in servers:
            await server.stop()
    return Exit.FINE


def _config(options: SimulatorOptions, exchange: str, place: int) -> ServerConfig:
    """Of the exchange in that *place* of the list: each has the ports behind the one before it."""
    return ServerConfig(
        exchange=exchange,
        host=options.host,
        port=options.port and options.port + place,
        admin_port=options.admin_port and options.admin_port + place,
        latency_ms=options.latency_ms,
        seed=options.seed or 0,
        accounts_file=options.accounts,
    )


async def _until(servers: Sequence[SimulatorServer], ended: asyncio.Event, parent: int | None) -> None:
    """Until told to end; a driver that fails is raised, not outlived."""
    waiting = [
        asyncio.create_task(ended.wait(), name="ended"),
        *(asyncio.create_task(server.wait(), name="driver") for server in servers),
    ]
    if parent is not None:
        waiting.append(asyncio.create_task(orphaned(parent, ORPHAN_GRACE_S), name="parent"))
    done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    for task in done:
        task.result()


def _announce(options: SimulatorOptions, servers: Sequence[SimulatorServer], market: Market) -> None:
    """Where they are: one line of JSON, or words and something to try. The first is told at the top, too."""
    symbols = [str(symbol) for symbol in market.symbols()]
    told = [
        {"exchange": server.config.exchange, "url": server.url, "admin_url": server.admin_url}
        for server in servers
    ]
    if options.json:
        times = {"start_ms": market.start_ms, "end_ms": market.end_ms, "real_s": time.time()}
        line = {**told[0], "exchanges": told, **times, "symbols": symbols}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        return
    for server in servers:
        exchange = server.config.exchange
        say(f"{exchange} in a box at {server.url}, its admin API at {server.admin_url}")
        if exchange in SNIPPETS:
            say("try it:")
            sys.stderr.write(SNIPPETS[exchange].format(url=server.url))
    say(f"{len(symbols)} markets: {', '.join(symbols)}")
    say("Ctrl-C ends it")
