"""The exchange's budget for one address: who may send now (architecture rule 9).

Tracks the weight the exchange says we used, and holds requests back while it told us to wait. A full
schedule by weight comes on top of the same seam.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from holdfast.domain.intents import Priority, Unavailable
from holdfast.domain.protocols import Clock
from holdfast.exchanges.transport import Answer

WEIGHT_HEADER = "x-mbx-used-weight-1m"
PASS_WHILE_LIMITED = frozenset({Priority.EMERGENCY, Priority.PROTECT})


class Bans(Protocol):
    """What outlives the process: one that forgets a ban asks during it, and is banned for longer."""

    def left_ms(self) -> int:
        """How long the last ban still lasts; 0 = none does."""
        ...

    def note(self, for_ms: int) -> None:
        """This address is banned for *for_ms* from now on."""
        ...


class Held(Exception):
    """Refused here, before sending: the exchange told this address to wait."""

    def __init__(self, outcome: Unavailable) -> None:
        super().__init__(outcome.cause)
        self.outcome = outcome


class Governor:
    """One per exchange address, shared by every account that sends from here."""

    def __init__(self, clock: Clock, bans: Bans | None = None) -> None:
        self._clock = clock
        self._bans = bans
        self._limited_until_ms = 0
        self._banned_until_ms = clock.monotonic_ms() + (bans.left_ms() if bans else 0)
        self.used_weight = 0
        """Weight used in the running minute, as the exchange counted it last."""
        self.sent: Counter[Priority] = Counter()
        self.held: Counter[Priority] = Counter()
        self.weight_sent: Counter[Priority] = Counter()

    @asynccontextmanager
    async def slot(self, priority: Priority, weight: int) -> AsyncIterator[None]:
        """Permission to send one request of *weight*; raises `Held` at once when there is none."""
        refusal = self.refusal(priority)
        if refusal is not None:
            self.held[priority] += 1
            raise Held(refusal)
        self.sent[priority] += 1
        self.weight_sent[priority] += weight
        yield

    def refusal(self, priority: Priority) -> Unavailable | None:
        """Why a request of *priority* may not be sent now; None = it may."""
        now = self._clock.monotonic_ms()
        if now < self._banned_until_ms:
            return Unavailable(
                cause="address banned by the exchange",
                retry_after_ms=self._banned_until_ms - now,
                banned=True,
            )
        if now < self._limited_until_ms and priority not in PASS_WHILE_LIMITED:
            return Unavailable(
                cause="rate limited by the exchange", retry_after_ms=self._limited_until_ms - now
            )
        return None

    def heard(self, answer: Answer) -> None:
        """Note what every answer says of the used budget."""
        used = answer.headers.get(WEIGHT_HEADER, "")
        if used.isascii() and used.isdigit() and len(used) <= 9:
            self.used_weight = int(used)

    def limit(self, for_ms: int) -> None:
        """The exchange said 429: only protection and emergencies are sent for *for_ms*."""
        self._limited_until_ms = max(self._limited_until_ms, self._clock.monotonic_ms() + for_ms)

    def ban(self, for_ms: int) -> None:
        """The exchange said 418 or 403: nothing at all is sent for *for_ms*."""
        until_ms = self._clock.monotonic_ms() + for_ms
        if until_ms > self._banned_until_ms:
            self._banned_until_ms = until_ms
            if self._bans is not None:
                self._bans.note(for_ms)
