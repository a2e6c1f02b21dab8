"""What rate limits are counted with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Window:
    """A counter that starts anew at each multiple of its length, as the exchange's do."""

    length_ms: int
    index: int = -1
    used: int = 0

    def add(self, amount: int, now_ms: int) -> int:
        """Count *amount* and return what is used in the current window."""
        index = now_ms // self.length_ms
        if index != self.index:
            self.index, self.used = index, 0
        self.used += amount
        return self.used

    def retry_after_s(self, now_ms: int) -> int:
        """Whole seconds until the counter starts anew, at least 1."""
        left_ms = self.length_ms - now_ms % self.length_ms
        return max(1, -(-left_ms // 1_000))
