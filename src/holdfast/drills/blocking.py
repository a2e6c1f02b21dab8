"""The seam for blocking work in a drill: done inline, but its result arrives later.

As behind the real seam, one piece of work is done after the other, in the order they were handed over,
each at a seeded moment between being begun and being told of. So a crash may come before a commit, or
after it while nobody knows of it yet.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from holdfast.drills.loop import PROCESS, Forbidden, SimLoop

T = TypeVar("T")
AtWork = Callable[[str], None]


class DrillBlocking:
    """`await blocking(fn)`, as `runtime.blocking.Blocking`. *delay_ms* may be changed at any time."""

    def __init__(self, loop: SimLoop, chance: random.Random, delay_ms: tuple[float, float]) -> None:
        self._loop = loop
        self._chance = chance
        self.delay_ms = delay_ms
        """How long one piece of work takes; a slow disk takes seconds."""
        self.before_work: AtWork | None = None
        """Called with the work's name just before it is done; who dies of it has not done it."""
        self.after_work: AtWork | None = None
        self._last: asyncio.Future[None] | None = None

    async def __call__(self, work: Callable[[], T], /) -> T:
        """What *work* returns or raises. A caller that is cancelled stops waiting; the work is done."""
        if self._loop.is_closed():
            raise Forbidden("blocking work after the end of the world")
        turn, self._last = self._last, self._loop.create_future()
        doing = self._loop.create_task(self._do(work, turn, self._last), name="disk")
        doing.add_done_callback(_heard)
        return await asyncio.shield(doing)

    async def _do(
        self, work: Callable[[], T], turn: asyncio.Future[None] | None, done: asyncio.Future[None]
    ) -> T:
        try:
            if turn is not None:
                await turn
            takes_s = self._chance.uniform(*self.delay_ms) / 1000
            moment = self._chance.random()
            await asyncio.sleep(takes_s * moment)
            await self._pass(self.before_work, work)
            try:
                return work()
            finally:
                await self._pass(self.after_work, work)
                await asyncio.sleep(takes_s * (1 - moment))
        finally:
            done.set_result(None)

    async def _pass(self, hook: AtWork | None, work: Callable[[], object]) -> None:
        """Go on, unless this process died of the hook."""
        if hook is None:
            return
        hook(_name_of(work))
        process = PROCESS.get()
        if process is not None and not process.alive:
            await self._loop.create_future()

    def close(self) -> None:
        """Nothing to end: there is no thread."""


def _heard(doing: asyncio.Task[T]) -> None:
    """An error that nobody waits for any more is nobody's, as with a thread."""
    if not doing.cancelled():
        doing.exception()


def _name_of(work: object) -> str:
    """What the work is, for people and for enumerating crash points."""
    return str(getattr(getattr(work, "func", work), "__qualname__", type(work).__name__))
