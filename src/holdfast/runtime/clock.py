"""The world's clock, and a clock that several processes share to run faster than the world."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast.runtime.pace import PaceFile

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class RealClock:
    """The machine's own clocks (`domain.protocols.Clock`)."""

    def now_ms(self) -> int:
        return time.time_ns() // _NS_PER_MS

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // _NS_PER_MS


class SharedClock:
    """Market time, read from a pace file; every process that opened the file reads the same time.

    It serves as wall clock and as monotonic clock at once: it starts at the market epoch the file
    names and never runs backwards within a process, also while the pacer changes its speed.
    """

    def __init__(self, pace: PaceFile) -> None:
        self.pace = pace
        self.waits: list[Callable[[], int]] = []
        """What this process may wait for outside the loop: real ns so far, each counted as lateness."""
        self._start_ns = pace.start_ms * _NS_PER_MS
        self._last_ns = 0

    def now_ns(self) -> int:
        """Market time in nanoseconds since the Unix epoch."""
        self._last_ns = max(self._last_ns, self.pace.segment().market_ns(time.monotonic_ns()))
        return self._last_ns

    def now_ms(self) -> int:
        return self.now_ns() // _NS_PER_MS

    def monotonic_ms(self) -> int:
        return (self.now_ns() - self._start_ns) // _NS_PER_MS

    def seconds(self) -> float:
        """Market seconds since the clock's start: what a scaled event loop calls its time."""
        return (self.now_ns() - self._start_ns) / _NS_PER_S

    def speed(self) -> float:
        """Market seconds per real second, just now."""
        return self.pace.segment().speed
