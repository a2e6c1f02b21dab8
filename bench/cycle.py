"""Processor time of one supervision cycle: four reads decoded, the books compared, the step decided."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bench.byhand import ByHand, hand_at
from bench.parts import built, unpaced
from bench.report import BenchFailed, Row, median
from bench.simulator import EXCHANGES, SYMBOLS, Simulator, simulator
from bench.unified import READS, holdings, other_client
from holdfast.decisions.step import Read, Want
from holdfast.domain.account import Fact
from holdfast.domain.intents import Priority
from holdfast.engine.bot import Bot
from holdfast.engine.events import ReadDone
from holdfast.store.writer import QUIET_S

HELD = 5
BLOCKS, BLOCKS_QUICK = 8, 3
PER_BLOCK = 8
READ_LAG_S = 1.0
"""The exchange's reads lag what was done by up to half a second."""
SETTLE_MS = 5_000
Tell = Callable[[str], None]
Work = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class _Timed:
    work: Work
    ms: list[float] = field(default_factory=list)
    """Of all threads, per cycle."""
    loop_ms: list[float] = field(default_factory=list)
    """Of the event loop's thread alone, per cycle."""


def run(quick: bool, tell: Tell) -> list[Row]:
    logging.getLogger("ccxt").setLevel(logging.ERROR)
    return [row for name in EXCHANGES for row in _rows(name, quick, tell)]


def _rows(name: str, quick: bool, tell: Tell) -> list[Row]:
    tell(f"cycle: {name}, {HELD} positions, blocks of {PER_BLOCK} cycles of each client in turn")
    with simulator(latency_ms=0, exchange=name, generous=True) as exchange:
        cost = asyncio.run(_measure(exchange, BLOCKS_QUICK if quick else BLOCKS))
    return [
        _row(f"{name}: {what}", cost[ours], cost[other], AGAINST[other])
        for what, ours in OURS
        for other in AGAINST
    ]


OURS = (
    ("reads, decoded", "reads"),
    ("account step: reads, books compared, decided", "decided"),
    ("the same, written and shown", "step"),
)
"""What is counted of ours: the last one includes the store's thread and the picture for people."""
AGAINST = {
    "ccxt": "ccxt's unified calls for the same reads",
    "hand": "signed by hand, aiohttp, msgspec to plain data",
}


def _row(what: str, ours: list[float], reference: list[float], against: str) -> Row:
    return Row(
        bench="cycle",
        what=what,
        unit="ms CPU",
        ours=median(ours),
        reference=median(reference),
        against=against,
        samples=len(ours) * PER_BLOCK,
    )


async def _measure(exchange: Simulator, blocks: int) -> dict[str, list[float]]:
    """Processor time per cycle of each client, one figure a block; all threads of this process count."""
    async with hand_at(exchange) as hand, built(exchange) as parts, other_client(exchange) as other:
        await holdings(other, exchange.exchange, SYMBOLS[:HELD])
        await asyncio.sleep(READ_LAG_S)
        await _prepare(parts.bot)
        clients = {
            "reads": _Timed(lambda: _reads(parts.bot)),
            "step": _Timed(lambda: _step(parts.bot)),
            "decided": _Timed(lambda: _decided(parts.bot)),
            "ccxt": _Timed(lambda: READS[exchange.exchange](other)),
            "hand": _Timed(lambda: _bare(hand)),
        }
        for _ in range(blocks + 1):
            await _read_marks(parts.bot)
            for client in clients.values():
                await _block(client, parts.bot)
        # The first block warms up: connections, caches, compiled statements.
        cost = {name: client.ms[1:] for name, client in clients.items()}
        return {**cost, "decided": clients["decided"].loop_ms[1:]}


async def _block(client: _Timed, bot: Bot) -> None:
    """Ends when the books are durable, so that no block pays for the one before."""
    began, loop_began = time.process_time(), time.thread_time()
    for _ in range(PER_BLOCK):
        await client.work()
    await bot.account.memory.settle(SETTLE_MS)
    await asyncio.sleep(QUIET_S * 2)
    client.ms.append((time.process_time() - began) * 1000 / PER_BLOCK)
    client.loop_ms.append((time.thread_time() - loop_began) * 1000 / PER_BLOCK)


# --- ours ----------------------------------------------------------------------------------------


async def _prepare(bot: Bot) -> None:
    """As `Bot.run` begins, without its tasks: cycles are run one by one instead."""
    exchange, account = bot.account.exchange, bot.account
    await exchange.open()
    unpaced(bot)
    known = {symbol: exchange.instrument(symbol) for symbol in account.settings.symbols}
    account.state.instruments = {symbol: each for symbol, each in known.items() if each is not None}
    await account.memory.recall()
    account.state.config = await exchange.account_config(priority=Priority.PROTECT)
    for _ in range(3):
        await _step(bot)
    held, bare = len(bot.view.positions), bot.view.unprotected
    if held != HELD or bare:
        raise BenchFailed(f"cycle: expected {HELD} protected positions, found {held}, without a stop: {bare}")


async def _read_marks(bot: Bot) -> None:
    """As the stream would: a bot without prices blocks entries and says so with every step."""
    account = bot.account
    account.state.marks.update(
        await account.exchange.marks(account.settings.symbols, priority=Priority.PROTECT)
    )


async def _reads(bot: Bot) -> tuple[tuple[Read, Fact[Any]], ...]:
    """Stops and orders at once, as the bot does where one list tells of both."""
    ask, priority = bot.account.exchange, Priority.PROTECT
    positions = await ask.positions(priority=priority)
    stops, orders = await asyncio.gather(
        ask.open_stops(None, priority=priority), ask.open_orders(None, priority=priority)
    )
    return (
        (Read.POSITIONS, positions),
        (Read.STOPS, stops),
        (Read.ORDERS, orders),
        (Read.BALANCE, await ask.balance(priority=priority)),
    )


async def _decided(bot: Bot) -> None:
    """What the consumer does with four reads that arrive together."""
    events = tuple(ReadDone(Want(read, None, fact.asked_ms), fact) for read, fact in await _reads(bot))
    await bot.supervisor._handle(events)


async def _step(bot: Bot) -> None:
    await _decided(bot)
    _ = bot.view


# --- the others ----------------------------------------------------------------------------------


async def _bare(hand: ByHand) -> None:
    for path, params in hand.reads:
        await hand.ask(path, **params)
