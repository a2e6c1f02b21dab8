"""The stock asyncio loop, and the stock asyncio loop in market time.

Under a `SharedClock` only two things differ from asyncio's own loop: what `time()` says, and how long
the selector is let sleep. So scheduling, order of timers and every library on top stay the same.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from holdfast.domain.protocols import Clock
from holdfast.runtime.clock import SharedClock
from holdfast.runtime.pacer import beat_interval_s

T = TypeVar("T")

SLEEP_REAL_S_MAX = 0.02
"""The selector wakes at least this often, so that a change of speed is noticed in time."""


class _ScaledSelector(selectors.DefaultSelector):
    """Sleeps the real time that the asked market time takes at the present speed."""

    def __init__(self, clock: SharedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            timeout = min(timeout / max(self._clock.speed(), 0.001), SLEEP_REAL_S_MAX)
        return super().select(timeout)


class ScaledLoop(asyncio.SelectorEventLoop):
    """asyncio's selector loop whose seconds are market seconds."""

    def __init__(self, clock: SharedClock) -> None:
        self._market_clock = clock
        super().__init__(_ScaledSelector(clock))

    def time(self) -> float:
        return self._market_clock.seconds()


async def beat(clock: SharedClock, slot: int) -> None:
    """Tell the pacer how late this loop's timers fire, until cancelled.

    What it waits for outside (`clock.waits`: the disk) counts too. A peak is halved with every beat,
    not forgotten: the pacer looks at its own rhythm and must not miss a short stall between two looks.
    """
    peak_ns = 0
    try:
        while True:
            now_ns = clock.now_ns()
            pause_s = beat_interval_s(clock.speed())
            due_ns = now_ns + round(pause_s * 1e9)
            waited_ns = max((waiting() for waiting in clock.waits), default=0)
            peak_ns = max(peak_ns, round(waited_ns * clock.speed()))
            clock.pace.beat(slot, due_ns=due_ns, late_ns=peak_ns)
            await asyncio.sleep(pause_s)
            peak_ns = max(clock.now_ns() - due_ns, peak_ns // 2)
    finally:
        clock.pace.leave(slot)


async def _with_beat(main: Coroutine[Any, Any, T], clock: SharedClock, slot: int) -> T:
    beating = asyncio.create_task(beat(clock, slot), name="pace-beat")
    try:
        return await main
    finally:
        beating.cancel()
        await asyncio.wait((beating,))


def keep_collector_away() -> None:
    """What exists now (libraries above all) is looked through no more when garbage is collected.

    A full collection stops the loop for a tenth of a second and more, whenever it comes; between a fill
    and its stop too. What is made from now on is collected as ever. For a process that lives for one bot.
    """
    gc.collect()
    gc.freeze()


def run(main: Coroutine[Any, Any, T], clock: Clock, *, slot: int | None = None) -> T:
    """Run *main* to its end on a fresh loop: asyncio's own, or the scaled one under a `SharedClock`.

    *slot* is this process's place in the pace file; None = it does not report lateness.
    """
    if not isinstance(clock, SharedClock):
        return asyncio.run(main)
    if slot is not None:
        main = _with_beat(main, clock, slot)
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(clock)) as runner:
        return runner.run(main)
