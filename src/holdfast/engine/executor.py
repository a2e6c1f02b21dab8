"""Persist, act, persist: sends what was decided, once, and reports what came of it (style 2.4)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from holdfast.decisions.gate import Approved, Refused
from holdfast.domain.intents import (
    Accepted,
    Intent,
    Journaled,
    Outcome,
    Purpose,
    Rejected,
    RejectReason,
    Unknown,
)
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Heard, after
from holdfast.domain.protocols import Clock, Ids
from holdfast.engine.events import Answered, Inbox
from holdfast.engine.memory import JournalSaysNo, Memory, MemoryUnwritable
from holdfast.engine.names import TAGS
from holdfast.exchanges.port import Exchange

ORDERING = frozenset({Purpose.ENTER, Purpose.CLOSE})
JOURNAL_PATIENCE_MS = 1_000
"""Protection waits no longer than this for a journal that does not answer (G26)."""


Approve = Callable[[Journaled], Approved | Refused]


@dataclass(frozen=True, slots=True)
class Lane:
    """Requests of one symbol that follow one another; other lanes of the symbol run beside it."""

    batch: tuple[Journaled, ...]
    approve: Approve


class Executor:
    """Sends intents of one account. A lane is a batch in order; lanes never wait for each other, so
    that no entry without an answer stands before a stop or a close."""

    def __init__(
        self, *, account_id: str, exchange: Exchange, memory: Memory, clock: Clock, ids: Ids, inbox: Inbox
    ) -> None:
        self._account_id = account_id
        self._exchange = exchange
        self._memory = memory
        self._clock = clock
        self._ids = ids
        self._inbox = inbox

    def identify(self, intent: Intent) -> Journaled:
        """The intent with the id and the signed time that it will be journaled and sent with."""
        return Journaled(
            intent=intent,
            client_id=self._ids.client_order_id(TAGS[intent.purpose]),
            account_id=self._account_id,
            signed_ms=self._clock.now_ms(),
            window_ms=self._exchange.capabilities.window_ms,
        )

    async def run(self, lane: Lane) -> None:
        """Send the batch in order; each outcome goes to the inbox, whatever happens.

        A request that is never answered for would hold its position's protection back for ever.
        """
        waiting = deque(lane.batch)
        try:
            while waiting:
                await self._one(waiting[0], lane.approve)
                waiting.popleft()
        finally:
            self._give_up(waiting)

    def _give_up(self, waiting: deque[Journaled]) -> None:
        """The lane broke: its current request may have left, those behind it did not."""
        for index, journaled in enumerate(waiting):
            if index == 0:
                self._tell(journaled, Unknown(cause="the lane ended before an answer came"))
            else:
                self._tell(journaled, _not_sent("lane", "the lane ended before its turn came"))

    async def _one(self, journaled: Journaled, approve: Approve) -> None:
        # What waited behind another request is signed when its turn comes.
        fresh = replace(journaled, signed_ms=self._clock.now_ms())
        approved = approve(fresh)
        if isinstance(approved, Refused):
            self._tell(fresh, _not_sent("gate", ", ".join(approved.reasons)))
        else:
            await self._send(approved, approve)

    async def _send(self, approved: Approved, approve: Approve) -> None:
        journaled = approved.journaled
        try:
            await self._remember(journaled)
        except JournalSaysNo as no:
            self._tell(journaled, _not_sent("journal", str(no)))
            return
        except MemoryUnwritable as no:
            # The journal may take it yet, too late: then it has to learn that nothing was sent.
            self._answer(journaled, _not_sent("journal", str(no)))
            return
        # The journal took its time: what was allowed before it may be forbidden now (a kill, G30).
        still = approve(journaled)
        if isinstance(still, Refused):
            self._answer(journaled, _not_sent("gate", ", ".join(still.reasons)))
            return
        self._answer(journaled, await self._exchange.submit(still))

    def _answer(self, journaled: Journaled, outcome: Outcome) -> None:
        settled = self._tell(journaled, outcome)
        self._memory.note_outcome(settled, outcome, settled.resolved_ms or self._clock.now_ms())

    async def _remember(self, journaled: Journaled) -> None:
        """Write ahead; what cannot raise risk is sent even when the journal fails or hangs."""
        try:
            async with asyncio.timeout(JOURNAL_PATIENCE_MS / 1000):
                await self._memory.write_ahead(journaled)
        except (MemoryUnwritable, TimeoutError) as error:
            if journaled.intent.purpose.raises_risk:
                why = str(error) or f"no answer within {JOURNAL_PATIENCE_MS} ms"
                raise MemoryUnwritable(f"the journal did not take the entry: {why}") from error

    def _tell(self, journaled: Journaled, outcome: Outcome) -> Journaled:
        at_ms = self._clock.now_ms()
        settled = settle(journaled, outcome, at_ms)
        self._inbox.put(Answered(settled, outcome, at_ms), urgent=True)
        return settled


def _not_sent(code: str, why: str) -> Rejected:
    return Rejected(reason=RejectReason.OTHER, code=code, message=why)


def settle(journaled: Journaled, outcome: Outcome, at_ms: int) -> Journaled:
    """The journaled intent after an outcome: new state, ids and amounts as far as they are known."""
    match outcome:
        case Accepted():
            return _accepted(journaled, outcome, at_ms)
        case Rejected(reason=RejectReason.DUPLICATE_ID, code=code, message=message):
            # The id was sent before, and that arrived: its outcome is what has to be found out.
            return _moved(journaled, Heard.NO_ANSWER, 0, f"{code}: {message}")
        case Rejected(code=code, message=message):
            return _moved(journaled, Heard.REJECT, at_ms, f"{code}: {message}")
        case Unknown(cause=cause):
            return _moved(journaled, Heard.NO_ANSWER, 0, cause)
        case _:
            # Unavailable: definitely without effect, so this request is over; a new one may follow.
            return _moved(journaled, Heard.REJECT, at_ms, outcome.cause)


def _accepted(journaled: Journaled, accepted: Accepted, at_ms: int) -> Journaled:
    order = accepted.order
    if order is None and journaled.intent.purpose in ORDERING:
        heard = Heard.ACK  # it was taken, and nothing is told of what became of it
    elif order is None:
        # A standing stop and a done cancel are not waited for: the census follows them.
        heard = Heard.CANCELLED
    elif order.status.final:
        heard = Heard.FILL if order.filled > 0 else Heard.CANCELLED
    else:
        heard = Heard.ACK
    moved = _moved(journaled, heard, at_ms if heard is not Heard.ACK else 0, "")
    return replace(
        moved,
        exchange_id=accepted.exchange_id,
        filled=order.filled if order else ZERO,
        average_price=order.average_price if order else ZERO,
    )


def _moved(journaled: Journaled, heard: Heard, resolved_ms: int, detail: str) -> Journaled:
    state = after(journaled.state, heard)
    if state is None:
        # News against what was proven (a late "rejected" after a fill): the proof stands.
        return replace(journaled, detail=detail or journaled.detail)
    return replace(journaled, state=state, detail=detail, resolved_ms=resolved_ms)
