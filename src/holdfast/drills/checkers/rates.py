"""S11: messages stay within the budget in every window, and nothing is sent while the exchange bans."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.findings import Findings
from holdfast.simulator.core.market import MINUTE_MS
from holdfast.simulator.faults import Fault, FaultKind
from holdfast.simulator.requests import Arrival

TEN_SECONDS_MS = 10_000
ON_THE_WAY_MS = 2_000
"""What was sent before the refusal was heard."""
BANNED = frozenset({403, 418})
"""Statuses of a refusal that is meant for all requests of an address."""


@dataclass(slots=True)
class _Window:
    """A sum over the last *length_ms*."""

    length_ms: int
    total: int = 0
    peak: int = 0
    _kept: deque[tuple[int, int]] = field(default_factory=deque)

    def add(self, at_ms: int, amount: int) -> int:
        self._kept.append((at_ms, amount))
        self.total += amount
        while self._kept[0][0] <= at_ms - self.length_ms:
            self.total -= self._kept.popleft()[1]
        self.peak = max(self.peak, self.total)
        return self.total


@dataclass(slots=True)
class RateChecks:
    """One address with one account."""

    bounds: Bounds
    findings: Findings
    weight: _Window = field(default_factory=lambda: _Window(MINUTE_MS))
    orders_short: _Window = field(default_factory=lambda: _Window(TEN_SECONDS_MS))
    orders_long: _Window = field(default_factory=lambda: _Window(MINUTE_MS))
    _banned: tuple[int, int] = (0, 0)
    """From when (what was under way has arrived) until when nothing may come."""
    _held_up: bool = False
    """Links stalled when that began: what waits in them arrives when they go on."""
    _stalls: int = 0

    def arrived(self, arrival: Arrival) -> None:
        at_ms = arrival.at_ms
        windows = [(self.weight, arrival.weight, self.bounds.weight_per_minute, "weight in a minute")]
        if arrival.orders:
            windows += [
                (self.orders_short, arrival.orders, self.bounds.orders_per_10s, "orders in 10 s"),
                (self.orders_long, arrival.orders, self.bounds.orders_per_minute, "orders in a minute"),
            ]
        for window, amount, most, what in windows:
            before = window.total
            if window.add(at_ms, amount) > most >= before:
                text = f"{window.total} of {what}, the budget is {most}"
                self.findings.add("S11", at_ms, text, path=arrival.path)
        if self._banned[0] < at_ms < self._banned[1] and not self._held_up:
            text = f"{arrival.method} {arrival.path} was sent while the exchange bans this address"
            self.findings.add("S11", at_ms, text, until_ms=self._banned[1])
        for fault in arrival.faults:
            self._note_ban(fault, at_ms)

    def _note_ban(self, fault: Fault, at_ms: int) -> None:
        if fault.kind is FaultKind.RATE_LIMITED and fault.answer()[0] in BANNED:
            until = at_ms + fault.retry_after_s * 1_000
            self._held_up = self._stalls > 0
            self._banned = (at_ms + ON_THE_WAY_MS, max(self._banned[1], until))

    def forgotten(self) -> None:
        """The bot died while its disk took nothing: the next one cannot know of a ban."""
        self._banned = (0, 0)

    def stalled(self) -> None:
        """Nothing passes on some links; what is written to them waits."""
        self._stalls += 1

    def flowed(self, at_ms: int) -> None:
        """Such a stall is over, and what waited arrives."""
        self._stalls -= 1
        if self._held_up and not self._stalls:
            self._held_up = False
            self._banned = (max(self._banned[0], at_ms + ON_THE_WAY_MS), self._banned[1])
