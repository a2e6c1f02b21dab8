"""The usefulness floor: a bot that never trades violates nothing, and helps nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from holdfast.drills.checkers.mirror import Mirror
from holdfast.simulator.core.market import MINUTE_MS

HOURS_2_MS = 7_200_000
AFTERMATH_MS = 60_000
"""What a healthy bot may need after a trouble, or after its own death."""


@dataclass(slots=True, kw_only=True)
class Figures:
    """Of one world or of many (`merge`). Minutes are simulated ones."""

    worlds: int = 1
    simulated_ms: int = 0
    entries: int = 0
    minutes: int = 0
    healthy_minutes: int = 0
    """No trouble stood, nothing struck, the bot ran and nobody had told it to stop."""
    usable_minutes: int = 0
    """Healthy ones in which the bot was NORMAL and unblocked."""
    exposed_worlds: int = 0
    """Worlds in which a trouble struck while a position was open."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Why healthy minutes were not usable."""

    def merge(self, other: Figures) -> None:
        for name in ("worlds", "simulated_ms", "entries", "minutes", "healthy_minutes", "usable_minutes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.exposed_worlds += other.exposed_worlds
        self.unusable += other.unusable

    @property
    def entries_per_2h(self) -> float:
        return self.entries * HOURS_2_MS / self.simulated_ms if self.simulated_ms else 0.0

    @property
    def usable_share(self) -> float | None:
        """Of the healthy minutes; None without any."""
        return self.usable_minutes / self.healthy_minutes if self.healthy_minutes else None

    @property
    def exposed_share(self) -> float:
        return self.exposed_worlds / self.worlds if self.worlds else 0.0


@dataclass(slots=True)
class Usefulness:
    """Counts as time passes. *hindered* says why the bot would not enter now; empty = it would."""

    mirror: Mirror
    hindered: Callable[[], str]
    figures: Figures = field(default_factory=Figures)
    _began_ms: int = 0
    _minute: int = 0
    _standing: Counter[str] = field(default_factory=Counter)
    _unwell_until_ms: int = 0

    def entered(self) -> None:
        self.figures.entries += 1

    def struck(self, at_ms: int) -> None:
        """A trouble had an effect."""
        self._unwell_until_ms = max(self._unwell_until_ms, at_ms + AFTERMATH_MS)
        if not self.figures.exposed_worlds and self.mirror.open_positions():
            self.figures.exposed_worlds = 1

    def began(self, trouble: str) -> None:
        """Something stands that keeps a healthy bot from trading."""
        self._standing[trouble] += 1

    def ended(self, trouble: str, at_ms: int) -> None:
        self._standing[trouble] -= 1
        self._unwell_until_ms = max(self._unwell_until_ms, at_ms + AFTERMATH_MS)

    def tick(self, now_ms: int) -> None:
        """Each minute is judged at its end."""
        if not self._began_ms:
            self._began_ms, self._minute = now_ms, now_ms // MINUTE_MS
        self.figures.simulated_ms = now_ms - self._began_ms
        if any(count > 0 for count in self._standing.values()):
            self._unwell_until_ms = max(self._unwell_until_ms, now_ms + 1)
        if now_ms // MINUTE_MS == self._minute:
            return
        self._minute = now_ms // MINUTE_MS
        self.figures.minutes += 1
        if self._unwell_until_ms > now_ms - MINUTE_MS:
            return
        self.figures.healthy_minutes += 1
        why = self.hindered()
        if why:
            self.figures.unusable[why] += 1
        else:
            self.figures.usable_minutes += 1
