"""The simulated exchange as the benchmarks want it: one-way accounts, and limits that may be out of the way.

Started as a process by `bench.simulator`; says its addresses as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from holdfast.cli.lifeline import on_signals
from holdfast.cli.market import MarketChoice, ShiftedMarket, load_market
from holdfast.domain.account import PositionMode
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.clock import RealClock
from holdfast.simulator.binance.limits import Limits as BinanceLimits
from holdfast.simulator.bingx.config import Limits as BingxLimits
from holdfast.simulator.bingx.config import Switches
from holdfast.simulator.bitget.limits import Limits as BitgetLimits
from holdfast.simulator.bitget.venue import BitgetOptions
from holdfast.simulator.server import ServerConfig, SimulatorServer

MANY = 10**9


def main() -> int:
    options = _parser().parse_args()
    market = load_market(MarketChoice(data=None, seed=options.seed, symbols=options.symbols, start=None))
    clock = RealClock()
    server = SimulatorServer(_config(options), ShiftedMarket(market, clock.now_ms()), clock)
    return runtime_loop.run(_serve(server), clock)


async def _serve(server: SimulatorServer) -> int:
    ended = asyncio.Event()
    on_signals(lambda _name: ended.set())
    await server.start()
    sys.stdout.write(json.dumps({"url": server.url, "admin_url": server.admin_url}) + "\n")
    sys.stdout.flush()
    await ended.wait()
    await server.stop()
    return 0


def _config(options: argparse.Namespace) -> ServerConfig:
    generous = options.generous
    bingx = BingxLimits(market_per_10s=MANY, account_per_10s=MANY, share=0) if generous else BingxLimits()
    return ServerConfig(
        exchange=options.exchange,
        latency_ms=options.latency_ms,
        seed=options.seed,
        accounts_file=options.accounts,
        limits=BinanceLimits(weight_per_minute=MANY, orders_per_10s=MANY, orders_per_minute=MANY)
        if generous
        else BinanceLimits(),
        bingx=Switches(limits=bingx, position_mode=PositionMode.ONE_WAY),
        bitget=BitgetOptions(limits=BitgetLimits(per_minute=MANY, share=0) if generous else BitgetLimits()),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exchange", required=True)
    parser.add_argument("--symbols", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--latency-ms", type=int, required=True)
    parser.add_argument("--accounts", type=Path)
    parser.add_argument("--generous", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
