"""What one more account costs in memory, with everything shared that can be."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from bench.report import Row
from bench.simulator import KEY, SECRET, Simulator, simulator
from bench.unified import other_client
from holdfast.domain.secret import Secret
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.shared import ExchangeShared
from holdfast.runtime.clock import RealClock

ACCOUNTS, OTHERS = 20, 3
MIB = 1024 * 1024
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    _ = quick
    tell(f"memory: {ACCOUNTS} accounts of ours, {OTHERS} clients of ccxt")
    with simulator(latency_ms=0) as exchange:
        ours = asyncio.run(_ours(exchange))
        others = asyncio.run(_others(exchange))
    return [
        Row(
            bench="memory",
            what="one more account at the exchange",
            unit="MiB",
            ours=ours,
            reference=others,
            against="one more ccxt client with its markets loaded",
            samples=ACCOUNTS,
        )
    ]


async def _each(count: int, make: Callable[[], Awaitable[Any]]) -> tuple[float, list[Any]]:
    """MiB of Python memory per made thing, the first (which loads what is shared) not counted."""
    made = [await make()]
    gc.collect()
    tracemalloc.start()
    try:
        made += [await make() for _ in range(count)]
        gc.collect()
        return tracemalloc.get_traced_memory()[0] / count / MIB, made
    finally:
        tracemalloc.stop()


async def _ours(exchange: Simulator) -> float:
    clock = RealClock()
    shared = ExchangeShared(clock=clock, random=random.Random(1))

    async def make() -> MadeExchange:
        made = make_exchange(
            "binance",
            credentials=Credentials(KEY, Secret(SECRET)),
            base_url=exchange.url,
            clock=clock,
            shared=shared,
        )
        await made.open()
        return made

    cost, _made = await _each(ACCOUNTS, make)
    await shared.close()
    return cost


async def _others(exchange: Simulator) -> float:
    exchange.reset_limits()
    async with AsyncExitStack() as stack:
        cost, _made = await _each(OTHERS, lambda: stack.enter_async_context(other_client(exchange)))
    return cost
