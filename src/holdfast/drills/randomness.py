"""All chance of a drill: separate streams out of one seed.

One more draw in one stream shifts no other: a new fault kind does not change how packets travel.
"""

from __future__ import annotations

import random
from enum import StrEnum


class Stream(StrEnum):
    """Who draws from it."""

    SCHEDULE = "schedule"
    """Which of several ready task steps goes first."""
    NETWORK = "network"
    EXCHANGE = "exchange"
    FAULTS = "faults"
    IDS = "ids"
    """Client order ids, correlation ids, reconnect spreads: what the bot itself draws."""
    DISK = "disk"
    LIBRARIES = "libraries"
    """WebSocket masks and keys, nonces: what ccxt and aiohttp draw."""
    STRATEGY = "strategy"


class Chance:
    """The streams of one seed. `stream` gives the same generator each time it is asked for a name."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        self._streams: dict[str, random.Random] = {}

    def stream(self, name: Stream, part: object = "") -> random.Random:
        """The stream *name*, or an own one of its *part* (a link's number, a start's number)."""
        key = f"{self.seed}/{name}/{part}"
        if key not in self._streams:
            self._streams[key] = random.Random(key)  # noqa: S311  (seeded chance is the point)
        return self._streams[key]
