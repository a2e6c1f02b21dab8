"""The exchange's budget for one address and its keys: who may send now (architecture rule 9).

What counts is the exchange's own count, as its answers tell it, and what is on the way. Each priority may
use a share of every limit, so what lower ones leave is a reserve for those above. Nobody queues for
budget: what may not be sent is refused here at once, with the time to try again, and has no effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from holdfast.domain.intents import Priority, Unavailable
from holdfast.domain.protocols import Clock
from holdfast.exchanges.transport import Answer

SHARES: Mapping[Priority, Decimal] = {
    Priority.OBSERVE: Decimal("0.70"),
    Priority.TRADE: Decimal("0.85"),
    Priority.PROTECT: Decimal("0.99"),
    Priority.EMERGENCY: Decimal(1),
}
"""Up to this share of a limit, other users of the address counted in, a priority may send."""
FAIR_FROM = Decimal("0.5")
"""From this part of its share on, no account may observe more than its equal part."""
PASS_WHILE_LIMITED = frozenset({Priority.EMERGENCY, Priority.PROTECT})
REFUSED_MAX: Mapping[Priority, int] = {Priority.PROTECT: 3, Priority.EMERGENCY: 6}
"""So many refusals in a row by 429 and even they wait: going on is what brings a ban about."""
SLACK_MS = 250
"""Our idea of the exchange's clock may be wrong by so much: a window counts as old for that long."""
OBSERVE_AT_ONCE = 24
"""Connections, and answers to be read by the one loop, that observing may occupy at a time."""
TURN_S_MAX = 2.0
"""Longer a question does not wait for its turn: it may be asked more urgently meanwhile."""
BUSY = "too many questions are under way"
DIGITS_MAX = 9


class Scope(StrEnum):
    """Whose requests the exchange counts together."""

    ADDRESS = "address"
    KEY = "key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One of an exchange's limits: *amount* per window that starts at each multiple of its length.

    *header* (lower case) tells in each answer what the running window has used; empty: nothing does.
    """

    name: str
    amount: int
    window_ms: int
    scope: Scope = Scope.ADDRESS
    header: str = ""


Costs = Mapping[str, int]
"""Limit → what one request uses of it; 0 is sent whatever others used."""


class Bans(Protocol):
    """What outlives the process: one that forgets a ban asks during it, and is banned for longer."""

    def left_ms(self) -> int:
        """How long the last ban still lasts; 0 = none does."""
        ...

    def note(self, for_ms: int) -> None:
        """This address is banned for *for_ms* from now on."""
        ...


class Held(Exception):
    """Refused here, before sending: the exchange told this address to wait, or its budget is used up."""

    def __init__(self, outcome: Unavailable) -> None:
        super().__init__(outcome.cause)
        self.outcome = outcome


@dataclass(slots=True)
class Tally:
    """What one window of a limit has used, as far as we know; it starts anew by the exchange's clock."""

    limit: Limit
    counted: int = 0
    """As the exchange told last, or as we added up."""
    flying: int = 0
    """Sent, and not answered yet."""
    own: int = 0
    """Of it, what we sent ourselves in this window."""
    observed: dict[KeyBudget, int] = field(default_factory=dict)
    """Of that, what each key used to observe."""
    _window: int = -1

    def at(self, exchange_ms: int) -> Tally:
        """This tally, moved on to the window of *exchange_ms*."""
        window = (exchange_ms - SLACK_MS) // self.limit.window_ms
        if window > self._window or window < self._window - 1:  # back by more than one: a clock was set
            self._window, self.counted, self.own, self.observed = window, 0, 0, {}
        return self

    @property
    def used(self) -> int:
        return self.counted + self.flying

    @property
    def others(self) -> int:
        """What the answers show beyond our own requests: other programs on this address."""
        return max(0, self.counted - self.own)

    def room(self, priority: Priority) -> int:
        """What a request of *priority* may still use of this window."""
        return int(self.limit.amount * SHARES[priority]) - self.used

    def left_ms(self, exchange_ms: int) -> int:
        """How long until the next window counts as begun."""
        return self.limit.window_ms - (exchange_ms - SLACK_MS) % self.limit.window_ms

    def depart(self, cost: int) -> int:
        """A request leaves; returns its window."""
        self.flying += cost
        self.own += cost
        return self._window

    def arrive(self, cost: int, window: int, headers: Mapping[str, str]) -> None:
        """Its fate is known. Without an answer it is counted: the exchange has most likely seen it."""
        self.flying -= cost
        told = headers.get(self.limit.header, "")
        readable = told.isascii() and told.isdigit() and len(told) <= DIGITS_MAX
        if readable and window == self._window:
            self.counted = max(self.counted, int(told))  # answers overtake one another
        else:
            self.counted += cost


@dataclass(slots=True)
class Figures:
    """What requests of one priority went through, for metrics."""

    sent: int = 0
    held: int = 0
    waited_ms_max: int = 0
    """The longest wait for a turn."""


@dataclass(slots=True)
class Flight:
    """One request on its way. *headers* of its answer stay empty when none came."""

    headers: Mapping[str, str] = field(default_factory=dict)

    def heard(self, answer: Answer) -> None:
        self.headers = answer.headers


class KeyBudget:
    """One key's way to the exchange: its own limits, and the address's that it shares with other keys."""

    def __init__(self, governor: Governor, limits: Sequence[Limit]) -> None:
        self._governor = governor
        self.tallies = {limit.name: Tally(limit) for limit in limits}

    def slot(self, priority: Priority, costs: Costs) -> AbstractAsyncContextManager[Flight]:
        """Permission to send one request; raises `Held` when there is none."""
        return self._governor.slot(self, priority, costs)

    def report(self) -> dict[str, float]:
        """Flat figures for metrics: of each limit, then of each priority."""
        now = self._governor.exchange_now_ms()
        lines: dict[str, float] = {}
        for name, tally in {**self._governor.tallies, **self.tallies}.items():
            tally.at(now)
            lines[f"budget_{name}_used"] = float(tally.used)
            lines[f"budget_{name}_others"] = float(tally.others)
            lines[f"budget_{name}_limit"] = float(tally.limit.amount)
            lines[f"budget_{name}_reserved"] = float(
                tally.limit.amount - tally.limit.amount * SHARES[Priority.TRADE]
            )
        for priority, figures in self._governor.figures.items():
            lines[f"requests_sent_{priority.name.lower()}"] = float(figures.sent)
            lines[f"requests_held_{priority.name.lower()}"] = float(figures.held)
            lines[f"requests_waited_ms_max_{priority.name.lower()}"] = float(figures.waited_ms_max)
        return lines


class Governor:
    """One per exchange address, shared by every account that sends from here."""

    def __init__(self, clock: Clock, limits: Sequence[Limit] = (), bans: Bans | None = None) -> None:
        self._clock = clock
        self._bans = bans
        self._key_limits = [limit for limit in limits if limit.scope is Scope.KEY]
        self.tallies = {limit.name: Tally(limit) for limit in limits if limit.scope is Scope.ADDRESS}
        self._limited_until_ms = 0
        self._banned_until_ms = clock.monotonic_ms() + (bans.left_ms() if bans else 0)
        self._refused = 0
        """Refusals in a row since the last answer that was none."""
        self._turns = asyncio.Semaphore(OBSERVE_AT_ONCE)
        self.clock_offset_ms = 0
        """Exchange clock minus ours, as its accounts measure it."""
        self.figures = {priority: Figures() for priority in Priority}

    def key(self) -> KeyBudget:
        """The budget of one more key at this address."""
        return KeyBudget(self, self._key_limits)

    def exchange_now_ms(self) -> int:
        return self._clock.now_ms() + self.clock_offset_ms

    # --- asking ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def slot(self, key: KeyBudget, priority: Priority, costs: Costs) -> AsyncIterator[Flight]:
        """Permission to send one request; raises `Held` when there is none. Only observing waits its turn."""
        self._must(key, priority, costs)
        if priority is not Priority.OBSERVE:
            async with self._flying(key, priority, costs) as flight:
                yield flight
            return
        await self._turn()
        try:
            self._must(key, priority, costs)
            async with self._flying(key, priority, costs) as flight:
                yield flight
        finally:
            self._turns.release()

    async def _turn(self) -> None:
        """Wait until few enough others observe."""
        if not self._turns.locked():
            await self._turns.acquire()
            return
        began_ms, figures = self._clock.monotonic_ms(), self.figures[Priority.OBSERVE]
        try:
            async with asyncio.timeout(TURN_S_MAX):
                await self._turns.acquire()
        except TimeoutError:
            figures.held += 1
            raise Held(Unavailable(cause=BUSY, held=True, short=True)) from None
        figures.waited_ms_max = max(figures.waited_ms_max, self._clock.monotonic_ms() - began_ms)

    def _must(self, key: KeyBudget, priority: Priority, costs: Costs) -> None:
        refusal = self.refusal(priority) or self._spent(key, priority, costs)
        if refusal is not None:
            self.figures[priority].held += 1
            raise Held(refusal)

    @asynccontextmanager
    async def _flying(self, key: KeyBudget, priority: Priority, costs: Costs) -> AsyncIterator[Flight]:
        tallies = self._tallies(key, costs)
        windows = [tally.depart(cost) for tally, cost in tallies]
        if priority is Priority.OBSERVE:
            for tally, cost in tallies:
                tally.observed[key] = tally.observed.get(key, 0) + cost
        self.figures[priority].sent += 1
        flight = Flight()
        try:
            yield flight
        finally:
            for (tally, cost), window in zip(self._tallies(key, costs), windows, strict=True):
                tally.arrive(cost, window, flight.headers)

    def _tallies(self, key: KeyBudget, costs: Costs) -> list[tuple[Tally, int]]:
        """The limits that a request counts against, moved on to this moment, and what it costs there."""
        now = self.exchange_now_ms()
        own = {**self.tallies, **key.tallies}
        return [(own[name].at(now), cost) for name, cost in costs.items() if name in own]

    # --- what is refused ---------------------------------------------------------------------------

    def refusal(self, priority: Priority) -> Unavailable | None:
        """Why nothing of *priority* may be sent now whatever it costs; None = it may."""
        now = self._clock.monotonic_ms()
        if now < self._banned_until_ms:
            wait_ms = self._banned_until_ms - now
            return Unavailable(
                cause="address banned by the exchange", retry_after_ms=wait_ms, banned=True, held=True
            )
        patient = priority in PASS_WHILE_LIMITED and self._refused < REFUSED_MAX[priority]
        if now < self._limited_until_ms and not patient:
            wait_ms = self._limited_until_ms - now
            return Unavailable(cause="rate limited by the exchange", retry_after_ms=wait_ms, held=True)
        return None

    def _spent(self, key: KeyBudget, priority: Priority, costs: Costs) -> Unavailable | None:
        """Why the budget does not allow it; None = it does."""
        now = self.exchange_now_ms()
        for tally, cost in self._tallies(key, costs):
            if cost and (tally.room(priority) < cost or self._more_than_fair(tally, key, priority)):
                limit, wait_ms = tally.limit, tally.left_ms(now)
                cause = f"{limit.name}: {tally.used} of {limit.amount} used, the rest is kept for more urgent"
                return Unavailable(cause=cause, retry_after_ms=wait_ms, held=True, short=True)
        return None

    @staticmethod
    def _more_than_fair(tally: Tally, key: KeyBudget, priority: Priority) -> bool:
        """Whether this account has observed as much as falls to each, with little left for the others."""
        if priority is not Priority.OBSERVE:
            return False
        share = tally.limit.amount * SHARES[priority]
        others = len(tally.observed.keys() - {key})
        return (
            others > 0
            and tally.used > share * FAIR_FROM
            and tally.observed.get(key, 0) * (others + 1) >= share
        )

    # --- what the exchange says --------------------------------------------------------------------

    def passed(self) -> None:
        """An answer that was no refusal by rate."""
        self._refused = 0

    def limit(self, for_ms: int) -> None:
        """The exchange said 429: only protection and emergencies are sent for *for_ms*, and few of them."""
        self._refused += 1
        self._limited_until_ms = max(self._limited_until_ms, self._clock.monotonic_ms() + for_ms)

    def ban(self, for_ms: int) -> None:
        """The exchange said 418 or 403: nothing at all is sent for *for_ms*."""
        until_ms = self._clock.monotonic_ms() + for_ms
        if until_ms > self._banned_until_ms:
            self._banned_until_ms = until_ms
            if self._bans is not None:
                self._bans.note(for_ms)
