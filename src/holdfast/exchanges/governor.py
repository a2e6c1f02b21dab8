"""The exchange's budget for one address and its keys: who may send now (architecture rule 9).

What counts is the exchange's own count, where its answers tell it, and what is on the way. Each priority
may use a share of every limit, so what lower ones leave is a reserve for those above. Nobody queues for
budget: what may not be sent is refused here at once, with the time to try again, and has no effect. Only
for the next moment of a limit by the second a question, a stop or a close waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol
from weakref import WeakSet

from holdfast.domain.intents import Priority, Unavailable
from holdfast.domain.protocols import Clock
from holdfast.exchanges.limits import SHARES, Costs, Counter, Limit, Scope, counter, room
from holdfast.exchanges.transport import Answer

FAIR_FROM = Decimal("0.5")
"""From this part of its share on, no account may observe more than its equal part."""
PASS_WHILE_LIMITED = frozenset({Priority.EMERGENCY, Priority.PROTECT})
REFUSED_MAX: Mapping[Priority, int] = {Priority.PROTECT: 3, Priority.EMERGENCY: 6}
"""So many refusals in a row by 429 and even they wait: going on is what brings a ban about."""
DOUBLINGS_MAX, GROWN_MS_MAX = 5, 60_000
"""A wait that was not enough is doubled up to this, as most exchanges do not say how long it takes."""
OBSERVE_AT_ONCE = 24
"""Connections, and answers to be read by the one loop, that observing may occupy at a time."""
WAIT_S_MAX = 2.0
"""Longer a request does not wait, for its turn or its second: it may be asked more urgently meanwhile."""
PACE_MS = 1_000
"""A limit by so short a window is a pace: it is waited for."""
PACED = frozenset({Priority.EMERGENCY, Priority.PROTECT, Priority.OBSERVE})
"""Who waits for it. An entry does not: what it was decided on would be older than it was to be."""
BUSY = "no turn came in time"


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
class Figures:
    """What requests of one priority went through, for metrics."""

    sent: int = 0
    held: int = 0
    waited_ms_max: int = 0
    """The longest wait for a turn or a second."""


@dataclass(slots=True)
class Patience:
    """What the exchange said by 429, to an address or to one key."""

    until_ms: int = 0
    urgent_until_ms: int = 0
    """For those who pass while limited: as the exchange said, never longer."""
    refused: int = 0
    """Refusals in a row since the last answer that was none."""
    tried: int = 0
    """How often of them the time was over that was to be waited."""

    def hold(self, now_ms: int, for_ms: int) -> None:
        """Twice as long each time that waiting was not enough."""
        self.tried += now_ms >= self.until_ms
        self.refused += 1
        longer_ms = min(for_ms << min(self.tried - 1, DOUBLINGS_MAX), GROWN_MS_MAX)
        self.until_ms = max(self.until_ms, now_ms + max(for_ms, longer_ms))
        self.urgent_until_ms = max(self.urgent_until_ms, now_ms + for_ms)

    def passed(self) -> None:
        self.refused = self.tried = 0

    def left_ms(self, priority: Priority, now_ms: int) -> int:
        """How long nothing of *priority* may be sent; 0 = it may."""
        if priority not in PASS_WHILE_LIMITED:
            return max(0, self.until_ms - now_ms)
        return max(0, self.urgent_until_ms - now_ms) if self.refused >= REFUSED_MAX[priority] else 0


@dataclass(slots=True)
class Flight:
    """One request on its way. *headers* of its answer stay empty when none came."""

    headers: Mapping[str, str] = field(default_factory=dict)

    def heard(self, answer: Answer) -> None:
        self.headers = answer.headers


class KeyBudget:
    """One key's way to the exchange: its own limits, and the address's that it shares with other keys."""

    def __init__(self, governor: Governor, counters: Mapping[str, Counter]) -> None:
        self._governor = governor
        self.counters = counters
        self.patience = Patience()

    def slot(self, priority: Priority, costs: Costs) -> AbstractAsyncContextManager[Flight]:
        """Permission to send one request; raises `Held` when there is none."""
        return self._governor.slot(self, priority, costs)

    def refusal(self, priority: Priority) -> Unavailable | None:
        """Why nothing of *priority* may be sent now whatever it costs; None = it may."""
        return self._governor.refusal(priority, self)

    def limit(self, for_ms: int, scope: Scope) -> None:
        """The exchange said 429: see `Governor.limit`."""
        self._governor.limit(for_ms, self if scope is Scope.KEY else None)

    def passed(self) -> None:
        """An answer that was no refusal by rate."""
        self.patience.passed()
        self._governor.passed()

    def report(self) -> dict[str, float]:
        """Flat figures for metrics: of each limit, then of each priority."""
        now = self._governor.exchange_now_ms()
        lines: dict[str, float] = {}
        for name, count in self.counters.items():
            count.at(now)
            lines[f"budget_{name}_used"] = float(count.used)
            lines[f"budget_{name}_others"] = float(count.others)
            lines[f"budget_{name}_limit"] = float(count.limit.amount)
            lines[f"budget_{name}_reserved"] = float(
                count.limit.amount - count.limit.amount * SHARES[Priority.TRADE]
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
        self.counters = {each.name: counter(each, clock) for each in limits if each.scope is Scope.ADDRESS}
        self._keys: WeakSet[KeyBudget] = WeakSet()
        self._patience = Patience()
        self._banned_until_ms = clock.monotonic_ms() + (bans.left_ms() if bans else 0)
        self._turns = asyncio.Semaphore(OBSERVE_AT_ONCE)
        self.clock_offset_ms = 0
        """Exchange clock minus ours, as its accounts measure it."""
        self.figures = {priority: Figures() for priority in Priority}

    def key(self) -> KeyBudget:
        """The budget of one more key at this address."""
        own = {limit.name: counter(limit, self._clock) for limit in self._key_limits}
        made = KeyBudget(self, {**self.counters, **own})
        self._keys.add(made)
        return made

    def exchange_now_ms(self) -> int:
        return self._clock.now_ms() + self.clock_offset_ms

    # --- asking ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def slot(self, key: KeyBudget, priority: Priority, costs: Costs) -> AsyncIterator[Flight]:
        """Permission to send one request; raises `Held` when there is none. See `PACED` for who waits."""
        observes = priority is Priority.OBSERVE
        if self._must(key, priority, costs) or (observes and self._turns.locked()):
            await self._wait(key, priority, costs)
        elif observes:
            await self._turns.acquire()
        try:
            async with self._flying(key, priority, costs) as flight:
                yield flight
        finally:
            if observes:
                self._turns.release()

    async def _wait(self, key: KeyBudget, priority: Priority, costs: Costs) -> None:
        """Until it may leave; an observing request has its turn then."""
        began_ms, figures = self._clock.monotonic_ms(), self.figures[priority]
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                wait_ms = await self._in_turn(key, priority, costs)
                while wait_ms:
                    await asyncio.sleep(wait_ms / 1000)
                    wait_ms = await self._in_turn(key, priority, costs)
        except TimeoutError:
            figures.held += 1
            raise Held(Unavailable(cause=BUSY, held=True, short=True)) from None
        figures.waited_ms_max = max(figures.waited_ms_max, self._clock.monotonic_ms() - began_ms)

    async def _in_turn(self, key: KeyBudget, priority: Priority, costs: Costs) -> int:
        """0 = it may leave now, and has its turn if it needs one; else how long to wait (ms)."""
        wait_ms = self._must(key, priority, costs)
        if wait_ms or priority is not Priority.OBSERVE:
            return wait_ms
        await self._turns.acquire()
        try:
            wait_ms = self._must(key, priority, costs)
        finally:
            if wait_ms:
                self._turns.release()
        return wait_ms

    def _must(self, key: KeyBudget, priority: Priority, costs: Costs) -> int:
        """0 = it may be sent now; how long to wait for its second (ms); raises `Held`."""
        refusal = self.refusal(priority, key)
        wait_ms = 0
        if refusal is None:
            refusal, wait_ms = self._spent(key, priority, costs)
        if refusal is not None:
            self.figures[priority].held += 1
            raise Held(refusal)
        return wait_ms

    @asynccontextmanager
    async def _flying(self, key: KeyBudget, priority: Priority, costs: Costs) -> AsyncIterator[Flight]:
        counters, observer = self._counters(key, costs), key if priority is Priority.OBSERVE else None
        tickets = [count.depart(cost, observer) for count, cost in counters]
        self.figures[priority].sent += 1
        flight = Flight()
        try:
            yield flight
        finally:
            for (count, cost), ticket in zip(self._counters(key, costs), tickets, strict=True):
                count.arrive(cost, ticket, flight.headers)

    def _counters(self, key: KeyBudget, costs: Costs) -> list[tuple[Counter, int]]:
        """The limits that a request counts against, moved on to this moment, and what it costs there."""
        now, own = self.exchange_now_ms(), key.counters
        return [(own[name].at(now), cost) for name, cost in costs.items() if name in own]

    # --- what is refused ---------------------------------------------------------------------------

    def refusal(self, priority: Priority, key: KeyBudget | None = None) -> Unavailable | None:
        """Why nothing of *priority* may be sent now whatever it costs; None = it may."""
        now = self._clock.monotonic_ms()
        if now < self._banned_until_ms:
            wait_ms = self._banned_until_ms - now
            return Unavailable(
                cause="address banned by the exchange", retry_after_ms=wait_ms, banned=True, held=True
            )
        wait_ms = self._patience.left_ms(priority, now)
        if key is not None:
            wait_ms = max(wait_ms, key.patience.left_ms(priority, now))
        if wait_ms:
            return Unavailable(cause="rate limited by the exchange", retry_after_ms=wait_ms, held=True)
        return None

    def _spent(self, key: KeyBudget, priority: Priority, costs: Costs) -> tuple[Unavailable | None, int]:
        """Why the budget does not allow it, or how long to wait for its second (ms); (None, 0) = it does."""
        now, pace_ms = self.exchange_now_ms(), 0
        for count, cost in self._counters(key, costs):
            if not cost or (room(count, priority) >= cost and not _more_than_fair(count, key, priority)):
                continue
            limit, wait_ms = count.limit, count.left_ms(now, priority, cost)
            if limit.window_ms > PACE_MS or priority not in PACED:
                cause = f"{limit.name}: {count.used} of {limit.amount} used, the rest is kept for more urgent"
                return Unavailable(cause=cause, retry_after_ms=wait_ms, held=True, short=True), 0
            pace_ms = max(pace_ms, wait_ms)
        return None, pace_ms

    # --- what the exchange says --------------------------------------------------------------------

    def passed(self) -> None:
        """An answer that was no refusal by rate."""
        self._patience.passed()

    def limit(self, for_ms: int, key: KeyBudget | None = None) -> None:
        """The exchange said 429: only protection and emergencies are sent for *for_ms*, and few of them.

        With *key* it may mean that key alone, and holds for it alone, until it is said to another one.
        """
        now = self._clock.monotonic_ms()
        if key is not None:
            key.patience.hold(now, for_ms)
            if all(other is key or other.patience.until_ms <= now for other in self._keys):
                return
        self._patience.hold(now, for_ms)

    def ban(self, for_ms: int) -> None:
        """The exchange said 418 or 403: nothing at all is sent for *for_ms*."""
        until_ms = self._clock.monotonic_ms() + for_ms
        if until_ms > self._banned_until_ms:
            self._banned_until_ms = until_ms
            if self._bans is not None:
                self._bans.note(for_ms)


def _more_than_fair(count: Counter, key: KeyBudget, priority: Priority) -> bool:
    """Whether this account has observed as much as falls to each, with little left for the others."""
    if priority is not Priority.OBSERVE:
        return False
    share = count.limit.amount * SHARES[priority]
    others = len(count.observed.keys() - {key})
    return (
        others > 0 and count.used > share * FAIR_FROM and count.observed.get(key, 0) * (others + 1) >= share
    )
