"""The clocks of a drill: the exchange's true one, and the bot's, which may be wrong in every usual way."""

from __future__ import annotations

from collections.abc import Callable

EPOCH_MS = 1_767_225_600_000
"""2026-01-01 00:00 UTC: when a drill begins, if nothing else is said."""


class VirtualClock:
    """`domain.protocols.Clock`: the loop's time since *epoch_ms*, plus what is wrong with this clock.

    The monotonic part is always true to the loop: only wall clocks are stepped.
    """

    def __init__(self, loop_time_s: Callable[[], float], epoch_ms: int = EPOCH_MS) -> None:
        self._loop_time_s = loop_time_s
        self._epoch_ms = epoch_ms
        self._offset_ms = self._drift_ppm = self._drift_since_s = 0.0

    def now_ms(self) -> int:
        """UTC wall clock as this clock shows it."""
        return self._epoch_ms + int(self._loop_time_s() * 1000 + self.skew_ms() + 1e-6)

    def now_s(self) -> float:
        """The same in seconds, as `time.time()` gives it."""
        return self._epoch_ms / 1000 + self._loop_time_s() + self.skew_ms() / 1000

    def monotonic_ms(self) -> int:
        return int(self._loop_time_s() * 1000 + 1e-6)

    def skew_ms(self) -> float:
        """How far this clock is ahead of the true one now."""
        if not self._drift_ppm:
            return self._offset_ms
        return self._offset_ms + (self._loop_time_s() - self._drift_since_s) * self._drift_ppm / 1000

    def step(self, by_ms: float) -> None:
        """Set the clock forward, or backwards (negative), at once."""
        self._offset_ms += by_ms

    def drift(self, ppm: float) -> None:
        """Run fast (or slow, negative) by *ppm* millionths from now on; 0 stops the drift, not its effect."""
        self._offset_ms = self.skew_ms()
        self._drift_since_s = self._loop_time_s()
        self._drift_ppm = ppm

    def correct(self) -> None:
        """Show the true time again, as a time service would after a step."""
        self._offset_ms = self._drift_ppm = 0.0
