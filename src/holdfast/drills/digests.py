"""Fingerprints of a world's course: what happened, and every byte that passed."""

from __future__ import annotations

import hashlib
from collections import Counter

from holdfast.drills.network import Link
from holdfast.simulator.core.model import CoreEvent, PriceEvent, TradeEvent

_WRITTEN = ("written by exchange", "written by bot")


class Digests:
    """Two runs are the same when both digests are. Prices are a function of the seed and left out."""

    def __init__(self) -> None:
        self._events = hashlib.blake2b(digest_size=16)
        self._wire = hashlib.blake2b(digest_size=16)
        self.counts: Counter[str] = Counter()
        """Events by kind, messages by direction: for people."""

    def exchange(self, event: CoreEvent) -> None:
        if isinstance(event, PriceEvent | TradeEvent):
            return
        self.note(type(event).__name__, event)

    def note(self, kind: str, *fields: object) -> None:
        """Something happened."""
        self.counts[kind] += 1
        self._events.update(repr((kind, fields)).encode())

    def wire(self, link: Link, from_client: bool, data: bytes) -> None:
        """Bytes were written. Nanoseconds are what floats of seconds say exactly enough."""
        self.counts[_WRITTEN[from_client]] += 1
        head = b"%d%c%d:" % (link.number, 62 - 2 * (not from_client), round(link.network.loop.time() * 1e9))
        self._wire.update(head + data)

    @property
    def events_hex(self) -> str:
        return self._events.hexdigest()

    @property
    def wire_hex(self) -> str:
        return self._wire.hexdigest()
