"""How long positions stood without a covering stop (R7.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.domain.account import PositionKey


@dataclass(slots=True)
class NakedTime:
    """How long positions were without a covering stop, as far as the bot saw, in ms."""

    since: dict[PositionKey, int] = field(default_factory=dict)
    spent: dict[PositionKey, int] = field(default_factory=dict)
    longest: int = 0
    total: int = 0

    def see(self, key: PositionKey, covered: bool, now_ms: int) -> bool:
        """Note what was seen; True when a naked stretch ended just now."""
        if not covered:
            self.since.setdefault(key, now_ms)
            return False
        return self._end(key, now_ms)

    def mistaken(self, key: PositionKey) -> None:
        """It was covered all along; only that was not known yet."""
        self.since.pop(key, None)

    def forget(self, key: PositionKey, now_ms: int) -> None:
        """The position is gone."""
        self._end(key, now_ms)
        self.spent.pop(key, None)

    def _end(self, key: PositionKey, now_ms: int) -> bool:
        began = self.since.pop(key, None)
        if began is None:
            return False
        spent = now_ms - began
        self.spent[key] = self.spent.get(key, 0) + spent
        self.longest, self.total = max(self.longest, spent), self.total + spent
        return True
