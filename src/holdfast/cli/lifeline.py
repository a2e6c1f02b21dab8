"""How a long-running command is told to end: by signal, or because who started it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable

PARENT_POLL_S = 1.0


def on_signals(end: Callable[[str], None]) -> None:
    """Call *end* with the signal's name for SIGTERM and SIGINT, from now on, in the running loop."""
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, end, each.name)


async def orphaned(parent: int, grace_real_s: float = 0.0) -> None:
    """Return *grace_real_s* after process *parent* is no longer our parent.

    A demo whose terminal was killed must not trade on unseen; the exchange waits longer than the
    bot, which still has to flatten on it.
    """
    last_seen = time.monotonic()
    while time.monotonic() - last_seen < grace_real_s or os.getppid() == parent:
        last_seen = time.monotonic() if os.getppid() == parent else last_seen
        await asyncio.sleep(PARENT_POLL_S)
