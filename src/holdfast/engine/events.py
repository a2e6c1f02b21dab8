"""What reaches the supervisor's one inbox, and the inbox (architecture rule 2)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from holdfast.decisions.step import Want
from holdfast.domain.account import Fact, Quote
from holdfast.domain.intents import Journaled, Outcome, Rejected, Unavailable, Unknown
from holdfast.domain.orders import Direction, Fill
from holdfast.domain.signals import Signal
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.port import News


@dataclass(frozen=True, slots=True)
class Tick:
    """Time to look again, though nothing is known to have happened."""


@dataclass(frozen=True, slots=True)
class Told:
    """A stream said something."""

    news: News
    heard_ms: int


@dataclass(frozen=True, slots=True)
class ReadDone:
    """A question to the exchange was answered, or failed (*fact* None)."""

    want: Want
    fact: Fact[Any] | None
    failure: Rejected | Unknown | Unavailable | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A request came to an end for now: *journaled* carries the new state."""

    journaled: Journaled
    outcome: Outcome
    at_ms: int


@dataclass(frozen=True, slots=True)
class FillsRead:
    """The executions of a closed position, for its true exit."""

    handle: int
    fills: tuple[Fill, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Signals:
    """What the strategies wish, all symbols at once."""

    signals: tuple[Signal, ...]
    problems: tuple[str, ...] = ()
    correlations: Mapping[frozenset[Symbol], Decimal] = field(default_factory=dict)
    """Of the returns of two symbols, -1 to 1."""
    quotes: Mapping[Symbol, Quote] = field(default_factory=dict)
    """Best bid and ask where an entry is wished."""

    def correlation_with(
        self, symbol: Symbol, direction: Direction, held: Iterable[tuple[Symbol, Direction]]
    ) -> Decimal | None:
        """The highest with an open position, counted positive when both would win together.

        None when one of them is not known (or nothing is open).
        """
        signed = []
        for other, held_direction in held:
            known = self.correlations.get(frozenset((symbol, other)))
            if known is None:
                return None
            signed.append(known * direction.sign * held_direction.sign)
        return max(signed, default=None)


@dataclass(frozen=True, slots=True)
class Ordered:
    """An operator's command; the future is answered when it is in force."""

    command: str
    who: str
    why: str
    done: asyncio.Future[str]


@dataclass(frozen=True, slots=True)
class Applied:
    """Answered when everything before it was applied."""

    done: asyncio.Future[str]


Event = Tick | Told | ReadDone | Answered | FillsRead | Signals | Ordered | Applied
LOSABLE = (Told, ReadDone, FillsRead, Signals)
"""Asked for, or said, again."""


class Inbox:
    """One bounded queue with an urgent level. Ticks are coalesced; nothing else is ever dropped silently.

    On overflow `put` drops what the outside said (`LOSABLE`), remembers it in `overflowed`, and the
    consumer reads the whole account again: what was lost costs time, not truth. Outcomes of our own
    requests and orders of a person are never dropped; we send no more of them than we can hold.
    """

    def __init__(self, bound: int = 10_000) -> None:
        self._urgent: deque[Event] = deque()
        self._normal: deque[Event] = deque()
        self._bound = bound
        self._arrived = asyncio.Event()
        self._tick_waiting = False
        self.overflowed = False

    def put(self, event: Event, *, urgent: bool = False) -> None:
        if isinstance(event, Tick):
            if self._tick_waiting:
                return
            self._tick_waiting = True
        elif isinstance(event, LOSABLE) and len(self) >= self._bound:
            self.overflowed = True
            self._arrived.set()
            return
        (self._urgent if urgent else self._normal).append(event)
        self._arrived.set()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._normal)

    async def get(self) -> tuple[Event, ...]:
        """Everything that waits, urgent first; waits for the first event."""
        while not self._arrived.is_set():
            await self._arrived.wait()
        events = (*self._urgent, *self._normal)
        self._urgent.clear()
        self._normal.clear()
        self._tick_waiting = False
        self._arrived.clear()
        return events
