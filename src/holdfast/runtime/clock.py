"""The world's clock, and a clock that several processes share to run faster than the world."""

from __future__ import annotations

import time
from collections.abc import Callable

from holdfast.domain.protocols import Clock
from holdfast.runtime.pace import PaceFile

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where there is one, the clock that goes on while the machine sleeps: what slept with it has grown old."""


class RealClock:
    """The machine's own clocks (`domain.protocols.Clock`)."""

    def now_ms(self) -> int:
        return time.time_ns() // _NS_PER_MS

    def monotonic_ms(self) -> int:
        return time.clock_gettime_ns(_STEADY) // _NS_PER_MS


class SteadyClock:
    """A wall clock that is read once, at the start, and runs on from there whatever is set on the machine.

    Ages, deadlines and the order of facts rest on the bot's clock: set back, what is read now would look
    older than what was read before; set ahead, everything would look stale, and a request under way dead.
    How far it is from the exchange's clock is measured anyway.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start_ms = clock.now_ms() - clock.monotonic_ms()

    def now_ms(self) -> int:
        return self._start_ms + self._clock.monotonic_ms()

    def monotonic_ms(self) -> int:
        return self._clock.monotonic_ms()


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
