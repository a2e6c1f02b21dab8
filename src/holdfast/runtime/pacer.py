"""Who holds the clock back: slower while a process lags, faster again while all keep up."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

from holdfast.runtime.pace import PaceFile

_NS_PER_MS = 1_000_000
TURN_S = 0.05
"""Real seconds between two looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceLimits:
    """Additive increase, multiplicative decrease.

    Lateness is judged in *market* time, because that is what time-outs are made of: a loop that is
    75 ms late at 20 × is 1.5 s late for everybody who trades. The tolerance is small against the
    shortest promise of the bot (a stop within seconds) and the receive window (5 s).
    """

    ceiling: float
    """Market seconds per real second; never exceeded."""
    floor: float = 1.0
    tolerance_ms: float = 1_500.0
    """Market ms of lateness from which on the clock slows down; below half of it, it speeds up."""
    stall_ms: float = 4_000.0
    """From here on somebody hardly runs at all: *brake* applies at every turn, without waiting."""
    decrease: float = 0.8
    brake: float = 0.4
    increase: float = 1.0
    calm_turns: int = 4
    """Turns to wait after a change before the next: the effect has to show first."""


def next_speed(speed: float, late_market_ms: float, limits: PaceLimits) -> float:
    """The speed that fits what was measured at *speed*."""
    if late_market_ms > limits.stall_ms:
        wanted = speed * limits.brake
    elif late_market_ms > limits.tolerance_ms:
        wanted = speed * limits.decrease
    elif late_market_ms <= limits.tolerance_ms / 2:
        wanted = speed + limits.increase
    else:
        wanted = speed
    floor = min(limits.floor, limits.ceiling)
    return min(max(wanted, floor), limits.ceiling)


class Pacer:
    """Runs the pace file's clock for the processes in *slots*; exactly one Pacer per file."""

    def __init__(self, pace: PaceFile, slots: tuple[int, ...], limits: PaceLimits) -> None:
        self.pace = pace
        self.slots = slots
        self.limits = limits
        self.late_market_ms_max = 0.0
        self._wait_turns = 0
        self._begun: tuple[int, int] | None = None
        self._seen: set[int] = set()

    def begin(self) -> None:
        """Count effective speed and lateness from now on (all are up)."""
        self.late_market_ms_max = 0.0
        now_ns = time.monotonic_ns()
        self._begun = (now_ns, self.pace.segment().market_ns(now_ns))

    def elapsed(self) -> tuple[float, float]:
        """(real seconds, market seconds) since `begin`."""
        if self._begun is None:
            return 0.0, 0.0
        now_ns = time.monotonic_ns()
        market_ns = self.pace.segment().market_ns(now_ns)
        return (now_ns - self._begun[0]) / 1e9, (market_ns - self._begun[1]) / 1e9

    def effective_speed(self) -> float:
        """Market seconds per real second since `begin`: what the run really had."""
        real_s, market_s = self.elapsed()
        return market_s / real_s if real_s else self.pace.segment().speed

    def hold(self, ceiling: float) -> None:
        """Lower (or raise) the ceiling from now on; a higher speed drops to it at once."""
        self.limits = replace(self.limits, ceiling=ceiling)
        if self.pace.segment().speed > ceiling:
            self.pace.set_speed(ceiling)

    def late_market_ms(self) -> float:
        """The worst lateness of all slots; a silent process is late since its next beat was due.

        A process that has not begun to beat counts as late without bound: the clock does not run
        away from somebody who is still starting. One that left is not waited for.
        """
        now_ns = self.pace.segment().market_ns(time.monotonic_ns())
        worst = 0.0
        for slot in self.slots:
            beat = self.pace.last_beat(slot)
            if beat is None:
                worst = worst if slot in self._seen else float("inf")
                continue
            self._seen.add(slot)
            worst = max(worst, beat.late_ns / _NS_PER_MS, (now_ns - beat.due_ns) / _NS_PER_MS)
        return worst

    def turn(self) -> float:
        """Look once and correct the speed; returns the speed in force."""
        late, speed = self.late_market_ms(), self.pace.segment().speed
        if late != float("inf"):
            self.late_market_ms_max = max(self.late_market_ms_max, late)
        self._wait_turns -= 1
        wanted = next_speed(speed, late, self.limits)
        urgent = late > self.limits.stall_ms
        if wanted == speed or (self._wait_turns > 0 and not urgent):
            return speed
        self.pace.set_speed(wanted)
        self._wait_turns = self.limits.calm_turns
        return wanted

    async def run(self) -> None:
        """Turn until cancelled; runs on a loop in real time."""
        while True:
            self.turn()
            await asyncio.sleep(TURN_S)


def beat_interval_s(speed: float) -> float:
    """Market seconds between two beats: about `TURN_S` of real time."""
    return TURN_S * max(speed, 0.001)
