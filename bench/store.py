"""Durable writes: alone, many together, and an urgent one before which many wait."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy import Connection

from bench.big import ACCOUNT, EVERY_MS, ROWS_PER_LIFE, grow
from bench.parts import scratch
from bench.report import Row, median, p99
from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Side
from holdfast.domain.symbol import Symbol
from holdfast.engine.recall import StoreMemory
from holdfast.runtime.blocking import Blocking
from holdfast.runtime.clock import RealClock
from holdfast.store.audit_file import AuditFile
from holdfast.store.database import open_store
from holdfast.store.journal import write_ahead
from holdfast.store.writer import GroupWriter

WRITES, WRITES_QUICK = 400, 100
TOGETHER = 100
BEHIND = 200
LIVES = 20_000
"""That are over, in a journal of years."""
TRIES, TRIES_QUICK = 30, 8
NOW = 1_748_000_000_000
STOP = Intent(
    purpose=Purpose.PLACE_STOP, symbol=Symbol.parse("BTC/USDT"), side=Side.SELL, close_position=True
)
Tell = Callable[[str], None]
Job = Callable[[Connection], None]


def run(quick: bool, tell: Tell) -> list[Row]:
    writes, tries = (WRITES_QUICK, TRIES_QUICK) if quick else (WRITES, TRIES)
    tell(f"store: {writes} journaled intents, alone and together")
    with scratch() as folder:
        bare = _bare(folder / "bare.db", writes)
        alone, together, urgent = asyncio.run(_measure(folder, writes, tries))
        tell(f"store: a start on {LIVES} lives")
        new, old = (asyncio.run(_starts(folder / f"{lives}.db", lives, tries)) for lives in (0, LIVES))
    return [*_rate_rows(writes, bare, alone, together), *_urgent_rows(*urgent), *_old_rows(new, old)]


def _rate_rows(writes: int, bare: float, alone: float, together: float) -> list[Row]:
    figures = (
        ("journaled intents a second, one at a time", alone, bare, "one-row commits on bare sqlite3"),
        (f"journaled intents a second, {TOGETHER} at once", together, alone, "one at a time"),
    )
    return [
        Row(bench="store", what=what, unit="/s", ours=a, reference=b, against=against, samples=writes)
        for what, a, b, against in figures
    ]


def _urgent_rows(free: list[float], crowded: list[float]) -> list[Row]:
    return [
        Row(
            bench="store",
            what=f"a stop's intent while {BEHIND} writes wait, {name}",
            unit="ms",
            ours=figure(crowded),
            reference=figure(free),
            against="the same with nothing waiting",
            samples=len(crowded),
        )
        for name, figure in (("median", median), ("p99", p99))
    ]


def _old_rows(new: Started, old: Started) -> list[Row]:
    """A journal of years beside a new one."""
    size = f"a journal of {LIVES * ROWS_PER_LIFE} rows"
    figures = (
        (f"open {size} and read what the last run left", new.starts, old.starts),
        (f"a stop's intent in {size}", new.writes, old.writes),
    )
    return [
        Row(
            bench="store",
            what=what,
            unit="ms",
            ours=median(b),
            reference=median(a),
            against="the same in a new one",
            samples=len(b),
        )
        for what, a, b in figures
    ]


def _bare(path: Path, writes: int) -> float:
    """Commits a second of the database itself, as durable as the journal's."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("synchronous=FULL", "journal_mode=WAL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        began = time.perf_counter()
        for _ in range(writes):
            connection.execute("INSERT INTO t (text) VALUES (?)", ("x" * 600,))
        return writes / (time.perf_counter() - began)


async def _measure(
    folder: Path, writes: int, tries: int
) -> tuple[float, float, tuple[list[float], list[float]]]:
    jobs = _jobs()
    async with _writer(folder) as writer:
        for _ in range(20):  # compiles the statements
            await writer.submit(next(jobs))
        began = time.perf_counter()
        for _ in range(writes):
            await writer.submit(next(jobs))
        alone = writes / (time.perf_counter() - began)
        began = time.perf_counter()
        for _ in range(0, writes, TOGETHER):
            await asyncio.gather(*(writer.submit(next(jobs)) for _ in range(TOGETHER)))
        together = writes / (time.perf_counter() - began)
        free = [await _urgent(writer, jobs, behind=0) for _ in range(tries)]
        crowded = [await _urgent(writer, jobs, behind=BEHIND) for _ in range(tries)]
    return alone, together, (free, crowded)


async def _urgent(writer: GroupWriter, jobs: JobSource, *, behind: int) -> float:
    """Milliseconds until an urgent write is durable that comes while *behind* others are being written."""
    waiting = [asyncio.create_task(writer.submit(next(jobs))) for _ in range(behind)]
    await asyncio.sleep(0.005)
    began = time.perf_counter()
    await writer.submit(next(jobs), urgent=True)
    ms = (time.perf_counter() - began) * 1000
    await asyncio.gather(*waiting)
    return ms


@dataclass(frozen=True, slots=True)
class Started:
    """Milliseconds, of each try."""

    starts: list[float]
    writes: list[float]


async def _starts(path: Path, lives: int, tries: int) -> Started:
    store = open_store(path)
    if lives:
        grow(store, lives, NOW - (lives + 1) * EVERY_MS)
    store.close()
    jobs, starts, writes = _jobs(), list[float](), list[float]()
    for _ in range(tries):
        began = time.perf_counter()
        async with _recalled(path) as writer:
            starts.append((time.perf_counter() - began) * 1000)
            writes.append(await _urgent(writer, jobs, behind=0))
    return Started(starts, writes)


@asynccontextmanager
async def _recalled(path: Path) -> AsyncIterator[GroupWriter]:
    """The memory of a bot that has just started."""
    blocking, store = Blocking("bench"), open_store(path)
    writer = GroupWriter(store, blocking)
    memory = StoreMemory(
        store=store,
        writer=writer,
        blocking=blocking,
        clock=RealClock(),
        account_id=ACCOUNT,
        user_id="",
        exchange="binance",
        lease_epoch=0,
        log=lambda event, fields: None,
    )
    try:
        await memory.recall()
        yield writer
    finally:
        await writer.close()
        store.close()
        blocking.close()


class JobSource:
    """Journal inserts, each of an intent of its own."""

    def __init__(self) -> None:
        self._numbers = count()

    def __next__(self) -> Job:
        name = ClientOrderId(f"hf-bench-{next(self._numbers)}")
        journaled = Journaled(intent=STOP, client_id=name, account_id=ACCOUNT, signed_ms=NOW, window_ms=5000)
        return lambda connection: write_ahead(connection, journaled, at_ms=NOW)


def _jobs() -> JobSource:
    return JobSource()


@asynccontextmanager
async def _writer(folder: Path) -> AsyncIterator[GroupWriter]:
    """The store as a bot uses it: one thread, and the audit file written behind it."""
    blocking, store = Blocking("bench"), open_store(folder / "trading.db")
    audit_file = AuditFile(folder / "audit.jsonl", store, RealClock().now_ms)
    writer = GroupWriter(store, blocking, project=audit_file.catch_up)
    try:
        yield writer
    finally:
        await writer.close()
        store.close()
        blocking.close()
