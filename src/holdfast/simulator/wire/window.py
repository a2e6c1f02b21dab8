"""What rate limits are counted with."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Counting(Protocol):
    """What is used of a limit."""

    def add(self, amount: int, now_ms: int) -> int:
        """Count *amount* and return what is used now."""
        ...


class Window(msgspec.Struct):
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


@dataclass(slots=True)
class Sliding:
    """A counter of the last *length_ms*, whenever that is."""

    length_ms: int
    counted: deque[tuple[int, int]] = field(default_factory=deque)
    used: int = 0

    def add(self, amount: int, now_ms: int) -> int:
        """Count *amount* and return what was used in the stretch that ends now."""
        while self.counted and self.counted[0][0] <= now_ms - self.length_ms:
            self.used -= self.counted.popleft()[1]
        if amount:
            self.counted.append((now_ms, amount))
            self.used += amount
        return self.used


def window(length_ms: int, *, sliding: bool) -> Counting:
    """A counter of one kind or the other."""
    return Sliding(length_ms) if sliding else Window(length_ms)
