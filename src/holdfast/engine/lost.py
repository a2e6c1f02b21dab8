"""Stops of ours that no read shows any more though nobody told of their end.

The stream tells how a stop ends, and the journal learns it there. When that word is lost the stop is
merely missing from the book; then the exchange is asked for it by name, or the journal would hold it
for standing for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from holdfast.domain.intents import Journaled

LOOK_MS = 1_000
MISSING_MS = 5_000
"""The stream and the reads have so long to tell what became of it."""
AGAIN_MS = 15_000


@dataclass(slots=True)
class LostStops:
    """Every accepted stop until its end is known, by the exchange's id."""

    _placed: dict[str, Journaled] = field(default_factory=dict)
    _ask_ms: dict[str, int] = field(default_factory=dict)
    """Of those that are missing: when to ask for them."""
    _looked_ms: int = 0

    def placed(self, stop_id: str, journaled: Journaled) -> None:
        self._placed[stop_id] = journaled

    def ended(self, stop_id: str) -> None:
        """The exchange told so."""
        self._placed.pop(stop_id, None)
        self._ask_ms.pop(stop_id, None)

    def due(self, standing: Callable[[], Collection[str]], now_ms: int) -> list[Journaled]:
        """Those to ask for now; *standing*: ids of the stops that are believed to stand."""
        if not self._placed or 0 <= now_ms - self._looked_ms < LOOK_MS:
            return []
        self._looked_ms = now_ms
        believed = standing()
        missing = [stop_id for stop_id in self._placed if stop_id not in believed]
        self._ask_ms = {stop_id: self._ask_ms.get(stop_id, now_ms + MISSING_MS) for stop_id in missing}
        due = [stop_id for stop_id, at_ms in self._ask_ms.items() if now_ms >= at_ms]
        self._ask_ms |= dict.fromkeys(due, now_ms + AGAIN_MS)
        return [self._placed[stop_id] for stop_id in due]
