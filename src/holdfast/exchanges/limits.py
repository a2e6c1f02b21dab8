"""An exchange's limits as data, and how what was used of them is counted.

Some exchanges tell their own count with each answer; where none does, what we sent is added up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from holdfast.domain.intents import Priority
from holdfast.domain.protocols import Clock

SHARES: Mapping[Priority, Decimal] = {
    Priority.OBSERVE: Decimal("0.70"),
    Priority.TRADE: Decimal("0.85"),
    Priority.PROTECT: Decimal("0.99"),
    Priority.EMERGENCY: Decimal(1),
}
"""Up to this share of a limit, other users of the address counted in, a priority may send."""
SLACK_MS = 250
"""Our idea of the exchange's clock may be wrong by so much: a window counts as old for that long."""
TRANSIT_MS = 1_000
"""A request that is not answered for so long has been counted by the exchange, or will never be."""
DIGITS_MAX = 9


class Scope(StrEnum):
    """Whose requests the exchange counts together."""

    ADDRESS = "address"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One of an exchange's limits: *amount* per *window_ms*.

    *header* (lower case) tells in each answer what is used of the running window, which starts at each
    multiple of its length. Without it nothing says where a window starts, so any stretch of that length
    counts; *left_header* tells what is left, and is believed when it says more than *left_above*.
    """

    name: str
    amount: int
    window_ms: int
    scope: Scope = Scope.ADDRESS
    header: str = ""
    left_header: str = ""
    left_above: int = 0

    def allows(self, priority: Priority) -> int:
        """What *priority* may make of it."""
        return int(self.amount * SHARES[priority])


Costs = Mapping[str, int]
"""Limit → what one request uses of it; 0 is sent whatever others used."""


class Counter(Protocol):
    """What is used of one limit, as far as we know."""

    @property
    def limit(self) -> Limit: ...

    @property
    def used(self) -> int: ...

    @property
    def others(self) -> int:
        """What the answers show beyond our own requests: other programs on this address."""
        ...

    @property
    def observed(self) -> Mapping[Hashable, int]:
        """What each key used of it to observe."""
        ...

    def at(self, exchange_ms: int) -> Counter:
        """The same, moved on to this moment (by the exchange's clock, where that matters)."""
        ...

    def left_ms(self, exchange_ms: int, priority: Priority, cost: int) -> int:
        """How long until there is room for *cost*, at least 1."""
        ...

    def depart(self, cost: int, observer: Hashable | None) -> int:
        """A request leaves; returns what `arrive` has to be told. *observer*: the key, if it observes."""
        ...

    def arrive(self, cost: int, ticket: int, headers: Mapping[str, str]) -> None:
        """Its fate is known. Without an answer it is counted: the exchange has most likely seen it."""
        ...


def counter(limit: Limit, clock: Clock) -> Counter:
    """What counts that limit."""
    return Tally(limit) if limit.header else Rolling(limit, clock)


def room(count: Counter, priority: Priority) -> int:
    """What a request of *priority* may still use of it."""
    return count.limit.allows(priority) - count.used


def told(headers: Mapping[str, str], name: str) -> int | None:
    """A count that an answer tells; None when it does not, or not readably."""
    text = headers.get(name, "") if name else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None


@dataclass(slots=True)
class Tally:
    """What one window of a limit has used; it starts anew by the exchange's clock."""

    limit: Limit
    counted: int = 0
    """As the exchange told last, or as we added up."""
    flying: int = 0
    """Sent, and not answered yet."""
    own: int = 0
    """Of it, what we sent ourselves in this window."""
    observed: dict[Hashable, int] = field(default_factory=dict)
    _window: int = -1

    def at(self, exchange_ms: int) -> Tally:
        window = (exchange_ms - SLACK_MS) // self.limit.window_ms
        if window > self._window or window < self._window - 1:  # back by more than one: a clock was set
            self._window, self.counted, self.own, self.observed = window, 0, 0, {}
        return self

    @property
    def used(self) -> int:
        return self.counted + self.flying

    @property
    def others(self) -> int:
        return max(0, self.counted - self.own)

    def left_ms(self, exchange_ms: int, _priority: Priority, _cost: int) -> int:
        """Until the next window counts as begun."""
        return self.limit.window_ms - (exchange_ms - SLACK_MS) % self.limit.window_ms

    def depart(self, cost: int, observer: Hashable | None) -> int:
        """Returns its window."""
        self.flying += cost
        self.own += cost
        if observer is not None:
            self.observed[observer] = self.observed.get(observer, 0) + cost
        return self._window

    def arrive(self, cost: int, ticket: int, headers: Mapping[str, str]) -> None:
        self.flying -= cost
        used = told(headers, self.limit.header)
        if used is not None and ticket == self._window:
            self.counted = max(self.counted, used)  # answers overtake one another
        else:
            self.counted += cost


@dataclass(frozen=True, slots=True)
class _Sent:
    """One request. It counts until *until_ms* (while it flies: when it is taken for arrived)."""

    until_ms: int
    cost: int
    observer: Hashable | None


class Rolling:
    """What any stretch of a limit's length has used, by our own clock.

    The exchange counts a request somewhere between its departure and its answer. So it counts here from
    the one until a whole length after the other, and whatever stretch the exchange looks at has no more.
    """

    def __init__(self, limit: Limit, clock: Clock) -> None:
        self.limit = limit
        self.observed: dict[Hashable, int] = {}
        self._clock = clock
        self._flying: dict[int, _Sent] = {}
        self._landed: deque[_Sent] = deque()
        self._own = 0
        self._tickets = 0
        self._others = 0
        self._others_until_ms = 0

    def at(self, _exchange_ms: int) -> Rolling:
        now_ms = self._clock.monotonic_ms()
        late: list[int] = []
        for ticket, sent in self._flying.items():  # in the order of departure
            if sent.until_ms > now_ms:
                break
            late.append(ticket)
        for ticket in late:
            self._land(ticket, now_ms)
        while self._landed and self._landed[0].until_ms <= now_ms:
            self._forget(self._landed.popleft())
        if now_ms >= self._others_until_ms:
            self._others = 0
        return self

    @property
    def used(self) -> int:
        return self._own + self._others

    @property
    def others(self) -> int:
        return self._others

    def left_ms(self, _exchange_ms: int, priority: Priority, cost: int) -> int:
        """Until so much of what was sent is forgotten; what still flies will take a length at least."""
        now_ms, missing = self._clock.monotonic_ms(), cost - room(self, priority)
        for sent in self._landed:
            missing -= sent.cost
            if missing <= 0:
                return max(1, sent.until_ms - now_ms)
        return self.limit.window_ms

    def depart(self, cost: int, observer: Hashable | None) -> int:
        self._tickets += 1
        taken_ms = self._clock.monotonic_ms() + TRANSIT_MS
        self._flying[self._tickets] = _Sent(taken_ms, cost, observer)
        self._own += cost
        if observer is not None:
            self.observed[observer] = self.observed.get(observer, 0) + cost
        return self._tickets

    def arrive(self, cost: int, ticket: int, headers: Mapping[str, str]) -> None:
        now_ms = self._clock.monotonic_ms()
        self._land(ticket, now_ms)
        left = told(headers, self.limit.left_header)
        if left is not None and self.limit.left_above < left <= self.limit.amount:
            self._others = max(0, self.limit.amount - left - self._own)
            self._others_until_ms = now_ms + self.limit.window_ms

    def _land(self, ticket: int, now_ms: int) -> None:
        sent = self._flying.pop(ticket, None)
        if sent is not None:
            self._landed.append(_Sent(now_ms + self.limit.window_ms, sent.cost, sent.observer))

    def _forget(self, sent: _Sent) -> None:
        self._own -= sent.cost
        if sent.observer is None:
            return
        self.observed[sent.observer] -= sent.cost
        if not self.observed[sent.observer]:
            del self.observed[sent.observer]
