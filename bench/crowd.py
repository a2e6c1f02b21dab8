"""Many whole bots in this one process, for `bench.accounts`: made, let trade, measured, told as JSON.

A process of its own, so that its memory is theirs. The accounts share what accounts of one process share:
session, markets and the budget of the address. Each has its home, its store with its thread, its streams,
its strategies.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.parts import loaded, unpaced
from bench.report import p99
from bench.simulator import PASSPHRASE, SECRET, SYMBOLS, Simulator, key_of
from holdfast.domain.secret import Secret
from holdfast.engine.assembly import Place, assembled
from holdfast.engine.bot import Bot
from holdfast.engine.settings import BotSettings
from holdfast.exchanges.factory import Credentials
from holdfast.exchanges.shared import ExchangeShared
from holdfast.runtime import loop as runtime_loop
from holdfast.runtime.blocking import Blocking
from holdfast.runtime.clock import RealClock
from holdfast.store.home import ExchangeAddress, Home

SYMBOLS_EACH, HELD_EACH = 3, 1
CHECK_INTERVAL_MS = 15_000
AT_ONCE = 10
"""So many are put together at a time."""
PATIENCE_S = 180.0
SETTLE_S = 5.0
TICK_S = 0.01


@dataclass(slots=True)
class Measured:
    """Of all accounts together, but for what says otherwise."""

    accounts: int = 0
    protected: int = 0
    """Accounts with their position, and a stop for it."""
    start_s: float = 0.0
    cpu_ms_per_account_s: float = 0.0
    rss_mib_per_account: float = 0.0
    late_ms_p99: float = 0.0
    late_ms_max: float = 0.0
    age_ms_p99: float = 0.0
    """How old the last read of the positions of an account is, looked at every half second."""
    alerts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    """Why bots ended, which none should."""


def main() -> int:
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    exchange = Simulator(url=sys.argv[3], admin_url="", latency_ms=0, exchange=sys.argv[4])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = runtime_loop.run(_crowd(Path.cwd(), exchange, count, seconds), RealClock())
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    os._exit(0)  # nobody is told to end: what they hold, the simulator's end takes away


async def _crowd(folder: Path, exchange: Simulator, count: int, seconds: float) -> Mapping[str, Any]:
    shared = ExchangeShared(clock=RealClock(), random=random.Random(1))
    settings = _settings(folder, exchange)
    bots: list[Bot] = []
    gate, began = asyncio.Semaphore(AT_ONCE), time.monotonic()
    tasks = [
        asyncio.ensure_future(_live(_place(folder, exchange, shared, 0), settings, bots, asyncio.Semaphore()))
    ]
    await _until_protected(bots, 1)
    runtime_loop.keep_collector_away()
    before = _rss_mib()
    for number in range(1, count):
        place = _place(folder, exchange, shared, number)
        tasks.append(asyncio.ensure_future(_live(place, settings, bots, gate)))
    await _until_protected(bots, count)
    runtime_loop.keep_collector_away()  # hundreds of MiB would be looked through in one go
    found = Measured(accounts=count, start_s=time.monotonic() - began)
    await asyncio.sleep(SETTLE_S)
    await _measure(bots, seconds, found)
    found.ended = sorted({repr(task.exception()) for task in tasks if task.done()})
    gc.collect()
    found.rss_mib_per_account = (_rss_mib() - before) / max(1, count - 1)
    return {name: getattr(found, name) for name in Measured.__slots__}


def _settings(folder: Path, exchange: Simulator) -> BotSettings:
    settings = loaded(folder, exchange, SYMBOLS[:SYMBOLS_EACH]).settings
    return replace(
        settings,
        limits=replace(settings.limits, max_positions=HELD_EACH),
        trading=replace(settings.trading, check_interval_ms=CHECK_INTERVAL_MS),
    )


def _place(folder: Path, exchange: Simulator, shared: ExchangeShared, number: int) -> Place:
    home = Home(folder / f"home-{number}")
    home.prepare()
    home.bind(ExchangeAddress(exchange=exchange.exchange, base_url=exchange.url, mode="demo"))
    return Place(
        home=home,
        clock=RealClock(),
        blocking=Blocking(f"store-{number}"),
        chance=random.Random(number),
        log=lambda _event, _fields: None,
        credentials=Credentials(key_of(number), Secret(SECRET), Secret(PASSPHRASE)),
        base_url=exchange.url,
        holder=f"bench-{number}",
        host="bench",
        shared=shared,
    )


async def _live(place: Place, settings: BotSettings, bots: list[Bot], gate: asyncio.Semaphore) -> None:
    async with gate:
        made = assembled(settings, place)
        bot = await made.__aenter__()
        bots.append(bot)
        unpaced(bot)
        running = asyncio.ensure_future(bot.run(asyncio.Event()))
        for _ in range(200):
            if bot.account.synced or running.done():
                break
            await asyncio.sleep(0.05)
    await running


def _protected(bots: list[Bot]) -> int:
    views = [bot.view for bot in bots]
    return sum(len(view.positions) == HELD_EACH and not view.unprotected for view in views)


async def _until_protected(bots: list[Bot], count: int) -> None:
    """Or until patience ends: what came of it is told with the figures."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        if _protected(bots) >= count:
            return
        await asyncio.sleep(0.5)


async def _measure(bots: list[Bot], seconds: float, into: Measured) -> None:
    late: list[float] = []
    ages: list[float] = []
    end_s = time.monotonic() + seconds
    watching = asyncio.ensure_future(_watch(late))
    began, cpu = time.monotonic(), time.process_time()
    while time.monotonic() < end_s:
        await asyncio.sleep(0.5)
        now_ms = bots[0].account.clock.now_ms()
        reads = [bot.account.state.positions_read for bot in bots]
        ages += [float(now_ms - read.asked_ms) for read in reads if read is not None]
    spent_ms, took_s = (time.process_time() - cpu) * 1000, time.monotonic() - began
    watching.cancel()
    into.cpu_ms_per_account_s = spent_ms / took_s / len(bots)
    into.late_ms_p99, into.late_ms_max = p99(late), max(late)
    into.age_ms_p99 = p99(ages)
    into.protected = _protected(bots)
    into.alerts = sorted({alert.id for bot in bots for alert in bot.view.alerts})


async def _watch(late: list[float]) -> None:
    """How late the loop is, every hundredth of a second."""
    loop = asyncio.get_running_loop()
    while True:
        due_s = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append((loop.time() - due_s) * 1000)


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    sys.exit(main())
