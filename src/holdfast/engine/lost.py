"""Stops of ours that no read shows any more though nobody told of their end.

The stream tells how a stop ends, and the journal learns it there. When that word is lost the stop is
merely missing from the book; then the exchange is asked for it by name, or the journal would hold it
for standing for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from holdfast.domain.orders import Stop

LOOK_MS = 1_000
MISSING_MS = 5_000
"""The stream and the reads have so long to tell what became of it."""
AGAIN_MS = 15_000


@dataclass(slots=True)
class LostStops:
    """Every stop of ours that was heard to stand, until its end is known; by the exchange's id."""

    _standing: dict[str, Stop] = field(default_factory=dict)
    _ask_ms: dict[str, int] = field(default_factory=dict)
    """Of those that are missing: when to ask for them."""
    _looked_ms: int = 0

    def stands(self, stop: Stop) -> None:
        self._standing[stop.stop_id] = stop

    def ended(self, stop_id: str) -> None:
        """The exchange told so."""
        self._standing.pop(stop_id, None)
        self._ask_ms.pop(stop_id, None)

    def due(self, believed: Callable[[], Collection[str]], now_ms: int) -> list[Stop]:
        """Those to ask for now; *believed*: ids of the stops that are believed to stand."""
        if not self._standing or 0 <= now_ms - self._looked_ms < LOOK_MS:
            return []
        self._looked_ms = now_ms
        seen = believed()
        missing = [stop_id for stop_id in self._standing if stop_id not in seen]
        self._ask_ms = {stop_id: self._ask_ms.get(stop_id, now_ms + MISSING_MS) for stop_id in missing}
        due = [stop_id for stop_id, at_ms in self._ask_ms.items() if now_ms >= at_ms]
        self._ask_ms |= dict.fromkeys(due, now_ms + AGAIN_MS)
        return [self._standing[stop_id] for stop_id in due]
