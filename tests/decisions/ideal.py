"""An exchange without delays and without moods, to iterate the step against until nothing changes.

It follows the rules of Binance's algo book (exchanges sheet): one stop of the whole-position form in a
direction (-4130), none that would trigger at once (-2021), a cancel of what is not there is refused
(-2011), and so is one of a stop that hangs in triggering (G32).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.decisions.facts import Attempt, CancelTries, Facts
from holdfast.decisions.protect import covers
from holdfast.decisions.reconcile import reconcile
from holdfast.decisions.step import Plan, step
from holdfast.domain.account import Position
from holdfast.domain.intents import Accepted, Intent, Outcome, Purpose, RejectReason
from holdfast.domain.orders import Stop, StopKind, StopStatus
from tests.decisions.holdings import (
    INSTRUMENT,
    KEY,
    NOW_MS,
    PROTECTION,
    D,
    facts,
    mark,
    refused,
    stop,
    tracked,
)


@dataclass
class Ideal:
    position: Position | None
    stops: dict[str, Stop]
    stop_price: object = "49000"
    two_forms: bool = True
    now_ms: int = NOW_MS
    naked_ms: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    cancels: dict[str, CancelTries] = field(default_factory=dict)
    made: int = 0
    sent: list[Intent] = field(default_factory=list)
    closing: str = ""

    def covering(self) -> list[Stop]:
        held = self.position
        if held is None:
            return []
        return [s for s in self.stops.values() if covers(s, held, PROTECTION, self.now_ms)]

    def facts(self) -> Facts:
        """Everything known and fresh."""
        held = () if self.position is None else (self.position,)
        if held and not self.covering():
            self.naked_ms = self.now_ms if self.naked_ms is None else self.naked_ms
        else:
            self.naked_ms = None
        base = facts(*held, stops=tuple(self.stops.values()))
        price = None if self.stop_price is None else D(str(self.stop_price))
        books = {KEY: tracked(held[0], stop_price=price, closing_reason=self.closing)} if held else {}
        seen = base.positions_read
        assert seen is not None
        return replace(
            base,
            now_ms=self.now_ms,
            positions_read=replace(seen, asked_ms=self.now_ms),
            positions_before=replace(seen, asked_ms=self.now_ms - 5_000),
            stops_read_ms={INSTRUMENT.symbol: self.now_ms},
            tracked=books,
            naked_since={KEY: self.naked_ms} if self.naked_ms is not None else {},
            attempts={KEY: tuple(self.attempts)},
            cancels=self.cancels,
            marks={INSTRUMENT.symbol: replace(mark(), heard_ms=self.now_ms)},
            two_stops_may_stand=self.two_forms,
            whole_stops=self.two_forms,
        )

    def step(self, seconds: float = 1) -> Plan:
        """Decide, do everything that was decided, let time pass."""
        world = self.facts()
        plan = step(world, reconcile(world))
        self.now_ms += 1
        for each in plan.leaves:
            self.closing = each.reason
        for intent in plan.intents:
            self.sent.append(intent)
            self._note(intent, self._obey(intent))
        self.now_ms += int(seconds * 1000)
        return plan

    def rest(self, steps: int = 80) -> None:
        """Until nothing was sent for longer than any pause; fails when it never comes to rest."""
        quiet = 0
        for _ in range(steps):
            quiet = 0 if self.step(3).intents else quiet + 1
            if quiet > 4:
                return
        raise AssertionError(f"still busy: {[(i.purpose.value, i.target_id) for i in self.sent[-6:]]}")

    def _note(self, intent: Intent, outcome: Outcome) -> None:
        if intent.purpose in (Purpose.CANCEL_STOP, Purpose.CANCEL_ORDER):
            tried = self.cancels.get(intent.target_id)
            self.cancels[intent.target_id] = CancelTries(
                count=tried.count + 1 if tried else 1, at_ms=self.now_ms
            )
            return
        attempt = Attempt(
            purpose=intent.purpose, whole=intent.close_position, at_ms=self.now_ms, outcome=outcome
        )
        self.attempts.append(attempt)

    def _obey(self, intent: Intent) -> Outcome:
        obey = {
            Purpose.PLACE_STOP: self._place,
            Purpose.CANCEL_STOP: self._cancel,
            Purpose.CLOSE: self._close,
        }
        return obey[intent.purpose](intent)

    def _place(self, intent: Intent) -> Outcome:
        standing = [s for s in self.stops.values() if s.kind is StopKind.STOP and s.close_position]
        if intent.close_position and any(s.side is intent.side for s in standing):
            return refused(RejectReason.STOP_EXISTS)
        held = self.position
        assert held is not None
        assert intent.trigger_price is not None
        if (held.mark_price - intent.trigger_price) * held.direction.sign <= 0:
            return refused(RejectReason.WOULD_TRIGGER)
        self.made += 1
        made = stop(
            held,
            stop_id=f"n{self.made}",
            side=intent.side,
            trigger_price=intent.trigger_price,
            quantity=intent.quantity,
            close_position=intent.close_position,
            reduce_only=intent.reduce_only,
            created_ms=self.now_ms,
            updated_ms=self.now_ms,
        )
        self.stops[made.stop_id] = made
        return Accepted(exchange_id=made.stop_id, stop=made)

    def _cancel(self, intent: Intent) -> Outcome:
        standing = self.stops.get(intent.target_id)
        if standing is None or standing.status is not StopStatus.LIVE:
            return refused(RejectReason.NOT_FOUND)
        del self.stops[intent.target_id]
        return Accepted(exchange_id=intent.target_id)

    def _close(self, intent: Intent) -> Outcome:
        self.position = None
        return Accepted(exchange_id="c1")
