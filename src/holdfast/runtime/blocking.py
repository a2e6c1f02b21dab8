"""The one seam through which blocking work leaves the event loop (architecture rule 10)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

T = TypeVar("T")


class Blocking:
    """Runs blocking calls one after the other on one named thread.

    One worker on purpose: what is handed over is done in the order it was handed over, so a store
    behind it needs no locks. `await blocking(fn)` returns what *fn* returns and raises what it raises.
    A caller that is cancelled stops waiting; the work itself is finished.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"holdfast-{name}")
        self._begun: dict[int, int] = {}
        self._handed_over = count()

    async def __call__(self, work: Callable[[], T]) -> T:
        number = next(self._handed_over)
        self._begun[number] = time.monotonic_ns()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            del self._begun[number]

    def waiting_ns(self) -> int:
        """For how long (real time) the oldest unfinished call has been waited for; 0 = none is.

        A disk does not run faster because a shared clock does: the pacer has to know.
        """
        oldest = next(iter(self._begun.values()), None)
        return 0 if oldest is None else time.monotonic_ns() - oldest

    def close(self) -> None:
        """Finish what was handed over, then end the thread. Blocks; idempotent."""
        self._executor.shutdown(wait=True)
