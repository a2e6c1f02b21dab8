"""How long an emergency's request takes while observing is saturated, against one while nobody asks anything.

Real time, real sockets, the exchange's own limits. Six accounts of one address ask for bars and orders
without end, and bars take a second to come, so that every turn, connection and share of observing is taken.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from bench.report import BenchFailed, Row, median, p99
from bench.simulator import EXCHANGES, PASSPHRASE, SECRET, Simulator, key_of, simulator
from holdfast.domain.intents import NotFound, Priority
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.factory import Credentials, MadeExchange, make_exchange
from holdfast.exchanges.port import ExchangeError
from holdfast.exchanges.shared import ExchangeShared
from holdfast.runtime.clock import RealClock

BTC = Symbol.parse("BTC/USDT")
LATENCY_MS = 20
ACCOUNTS, OBSERVERS = 6, 10
ASKED, ASKED_QUICK = 100, 40
EVERY_S = 0.12
"""Bitget allows ten of these questions a second."""
AGAIN_S = 0.02
SLOW = {"kind": "delay_reply", "path": "/(klines|candles)$", "delay_ms": 1_000}
Tell = Callable[[str], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    return [row for name in EXCHANGES for row in _rows(name, ASKED_QUICK if quick else ASKED, tell)]


def _rows(name: str, count: int, tell: Tell) -> list[Row]:
    tell(f"budget: {name}, {count} emergencies alone, then beside {ACCOUNTS * OBSERVERS} who ask without end")
    with simulator(
        latency_ms=LATENCY_MS, symbols=("BTC/USDT",), exchange=name, accounts=ACCOUNTS
    ) as exchange:
        alone, beside, waited_ms = asyncio.run(_measure(exchange, count))
    if waited_ms < 100:
        raise BenchFailed(
            f"budget: expected observing to be saturated, found waits of {waited_ms:g} ms at most"
        )
    return [
        Row(
            bench="budget",
            what=f"{name}: an emergency beside saturated observing, {word}",
            unit="ms",
            ours=figure(beside),
            reference=figure(alone),
            against=f"alone, round trip {LATENCY_MS} ms",
            samples=count,
        )
        for word, figure in (("median", median), ("p99", p99))
    ]


async def _measure(exchange: Simulator, count: int) -> tuple[list[float], list[float], float]:
    """Times of emergencies alone and in the crowd, and the longest wait of one who observed (ms)."""
    async with _accounts(exchange) as accounts:
        await _emergencies(accounts, 5)
        alone = await _emergencies(accounts, count)
        exchange.fault(SLOW)
        exchange.reset_limits()
        crowd = [asyncio.ensure_future(_observe(each, n)) for each in accounts for n in range(OBSERVERS)]
        await asyncio.sleep(1)
        beside = await _emergencies(accounts, count)
        for each in crowd:
            each.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        return alone, beside, accounts[0].budget()["requests_waited_ms_max_observe"]


async def _emergencies(accounts: list[MadeExchange], count: int) -> list[float]:
    times: list[float] = []
    for number in range(count):
        account = accounts[number % len(accounts)]
        began = time.perf_counter()
        found = await account.find_order(BTC, f"none-{number}", priority=Priority.EMERGENCY)
        times.append((time.perf_counter() - began) * 1000)
        if not isinstance(found, NotFound):
            raise BenchFailed(f"budget: expected an emergency to be answered, found {found}")
        await asyncio.sleep(EVERY_S)
    return times


async def _observe(account: MadeExchange, number: int) -> None:
    while True:
        with suppress(ExchangeError):
            if number % 2:
                await account.candles(BTC, "1m", 5, priority=Priority.OBSERVE)
            else:
                await account.open_orders(BTC, priority=Priority.OBSERVE)
        await asyncio.sleep(AGAIN_S)


@asynccontextmanager
async def _accounts(exchange: Simulator) -> AsyncIterator[list[MadeExchange]]:
    """Several keys behind one address, with one governor."""
    clock = RealClock()
    shared = ExchangeShared(clock=clock, random=random.Random(1))
    made = [
        make_exchange(
            exchange.exchange,
            credentials=Credentials(key_of(number), Secret(SECRET), Secret(PASSPHRASE)),
            base_url=exchange.url,
            clock=clock,
            shared=shared,
        )
        for number in range(ACCOUNTS)
    ]
    try:
        for each in made:
            await each.open()
        yield made
    finally:
        await shared.close()
