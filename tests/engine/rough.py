"""A rough exchange for the engine's state: reads lag or lie once, news is late, doubled, lost or disordered,
requests lose their answers. What really stands is in `position` and `stops`; the bot never sees them."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from holdfast.decisions.evidence import Evidence
from holdfast.decisions.protect import covers
from holdfast.decisions.reconcile import Appeared, Doubtful, Flipped, Resized, Vanished, reconcile
from holdfast.decisions.step import step
from holdfast.domain.account import Fact, Position
from holdfast.domain.intents import Accepted, Intent, Journaled, Outcome, Purpose, RejectReason, Unknown
from holdfast.domain.orders import OrderState, Stop, StopStatus
from holdfast.engine.executor import settle
from holdfast.engine.state import AccountState
from tests.decisions.examples import BTC, NOW_MS, journaled
from tests.decisions.holdings import FRESH, KEY, PROTECTION, mark, position, refused, stop, tracked
from tests.engine.parts import FakeIds, state

LAG_MS = 1_500
"""Reads show what was this long ago at most; the promise is `visibility_ms`, 2 s."""
TICK_MS = 250


@dataclass
class Rough:
    """Bot and exchange on one clock; `tick` lets a quarter of a second pass."""

    chance: random.Random
    calm: bool = False
    now_ms: int = NOW_MS
    position: Position | None = None
    stops: dict[str, Stop] = field(default_factory=dict)
    bot: AccountState = field(default_factory=state)
    past: list[tuple[int, Position | None, dict[str, Stop]]] = field(default_factory=list)
    news: list[tuple[int, int, Position | None]] = field(default_factory=list)
    doubts: list[tuple[int, Journaled, Outcome]] = field(default_factory=list)
    ids: FakeIds = field(default_factory=FakeIds)
    last_lie_ms: int = 0
    changed_ms: int = NOW_MS
    made: int = 0
    faults: list[str] = field(default_factory=list)

    # --- the world -----------------------------------------------------------------------------

    def open(self) -> None:
        self.position, self.changed_ms = position(updated_ms=self.now_ms), self.now_ms
        self._tell(self.position)

    def close(self) -> None:
        """By hand, by a stop, by liquidation: whole-position stops expire with it."""
        self.position, self.changed_ms = None, self.now_ms
        self.stops = {id_: s for id_, s in self.stops.items() if not s.close_position}
        self._tell(None)

    def _tell(self, what: Position | None) -> None:
        for _ in range(self.chance.choice([0, 1, 1, 2])):
            self.news.append((self.now_ms + self.chance.randint(20, 5_000), self.now_ms, what))

    # --- one tick ------------------------------------------------------------------------------

    def tick(self) -> None:
        self.now_ms += TICK_MS
        self.past = [*self.past[-10:], (self.now_ms, self.position, dict(self.stops))]
        self.bot.marks[BTC] = replace(mark(), heard_ms=self.now_ms)
        self._deliver()
        self._resolve()
        if self.chance.random() < 0.4:
            self._read()
        self._decide()

    def _deliver(self) -> None:
        due = [each for each in self.news if each[0] <= self.now_ms]
        self.news = [each for each in self.news if each[0] > self.now_ms]
        self.chance.shuffle(due)
        for _, at_ms, what in due:
            if what is None:
                self.bot.hear_flat(KEY, at_ms)
            else:
                self.bot.hear_quantity(KEY, what.quantity, what.entry_price, at_ms)

    def _read(self) -> None:
        lag = 0 if self.calm else self.chance.randint(0, LAG_MS)
        seen = [each for each in self.past if each[0] <= self.now_ms - lag] or self.past[:1]
        _, held, stops = seen[-1]
        rows = () if held is None or self._lies() else (held,)
        complete = self.calm or self.chance.random() > 0.1
        self.bot.read_positions(Fact(rows if complete else (), self.now_ms, self.now_ms + 5, complete))
        if self.chance.random() < 0.5:
            self.bot.read_stops(BTC, Fact(tuple(stops.values()), self.now_ms, self.now_ms + 5))

    def _lies(self) -> bool:
        """Now and then one read is empty though it should not be (G11)."""
        if self.calm or self.now_ms - self.last_lie_ms < 10_000 or self.chance.random() > 0.2:
            return False
        self.last_lie_ms = self.now_ms
        return True

    def _decide(self) -> None:
        for _ in range(3):
            facts = self.bot.facts(self.now_ms, entries_wanted=True)
            findings = reconcile(facts)
            if not self._books(findings):
                break
        plan = step(facts, findings)
        for key, verdict in plan.verdicts.items():
            if type(verdict).__name__ == "Covered":
                self.bot.healthy(key)
        for each in plan.leaves:
            self.bot.tracked[each.key] = replace(self.bot.tracked[each.key], closing_reason=each.reason)
        for intent in plan.intents:
            self._send(intent)

    def _books(self, findings: tuple[object, ...]) -> bool:
        before = dict(self.bot.tracked)
        for found in findings:
            match found:
                case Appeared(position=held):
                    self.bot.tracked[KEY] = tracked(held, opened_ms=self.now_ms)
                    self.bot.flat_news.pop(KEY, None)
                case Vanished(evidence=evidence):
                    self._check_vanished(evidence)
                    self.bot.forget(KEY, self.now_ms)
                case Doubtful(confirmed=True) if self.position is None:
                    # As the executions say, which never lie.
                    self.bot.hear_flat(KEY, self.now_ms)
                case Resized() | Flipped():
                    raise AssertionError(found)
                case _:
                    pass
        return before != self.bot.tracked

    def _check_vanished(self, evidence: Evidence) -> None:
        """Books may close only if the position they held is really gone."""
        opened = self.bot.tracked[KEY].opened_ms
        if self.position is not None and self.changed_ms < opened - LAG_MS:
            self.faults.append(f"closed in the books by {evidence} while open since {self.changed_ms}")

    # --- requests ------------------------------------------------------------------------------

    def _send(self, intent: Intent) -> None:
        same = [
            j for j in self.bot.intents.values() if j.intent.purpose is intent.purpose is Purpose.PLACE_STOP
        ]
        if not all(self._may_be_repeated(each) for each in same):
            self.faults.append("a second stop was sent while the first had no answer")
        sent = journaled(intent, client_id=self.ids.client_order_id("x"), signed_ms=self.now_ms)
        self.bot.sending(sent, self.now_ms)
        fate = 1.0 if self.calm else self.chance.random()
        if fate < 0.1:
            self._answer(sent, Unknown(cause="cut"))
            self.doubts.append((self.now_ms + 8_001, sent, refused(RejectReason.NOT_FOUND)))
            return
        outcome = self._obey(sent)
        if fate < 0.2:
            self._answer(sent, Unknown(cause="reply lost"))
            self.doubts.append((self.now_ms + self.chance.randint(200, 4_000), sent, outcome))
            return
        self._answer(sent, outcome)

    def _may_be_repeated(self, first: Journaled) -> bool:
        """Only one for the whole position may stand; reads would have to show it by now."""
        late = self.now_ms >= first.signed_ms + FRESH.visibility_ms
        return first.intent.close_position and first.state is OrderState.UNKNOWN and late

    def _resolve(self) -> None:
        due = [each for each in self.doubts if each[0] <= self.now_ms]
        self.doubts = [each for each in self.doubts if each[0] > self.now_ms]
        for _, sent, outcome in due:
            self._answer(sent, outcome)

    def _answer(self, sent: Journaled, outcome: Outcome) -> None:
        settled = settle(sent, outcome, self.now_ms)
        if outcome == refused(RejectReason.NOT_FOUND):
            settled = replace(sent, state=OrderState.CLOSED, resolved_ms=self.now_ms)
        self.bot.answered(settled, outcome)
        if not isinstance(outcome, Accepted):
            return
        if sent.intent.purpose is Purpose.PLACE_STOP:
            standing = self.stops.get(outcome.exchange_id)
            found = replace(outcome, stop=standing) if standing else outcome
            if standing is not None:
                self.bot.accepted_stop(settled, found, self.now_ms)
        elif sent.intent.purpose is Purpose.CANCEL_STOP:
            self.bot.cancelled_stop(sent.intent, self.now_ms)

    def _obey(self, sent: Journaled) -> Outcome:
        intent = sent.intent
        if intent.purpose is Purpose.CANCEL_STOP:
            return self._cancel(intent)
        if intent.purpose is Purpose.CLOSE:
            if self.position is None:
                return refused(RejectReason.NOTHING_TO_REDUCE)
            self.close()
            return Accepted(exchange_id="c")
        return self._place(sent)

    def _cancel(self, intent: Intent) -> Outcome:
        if intent.target_id not in self.stops:
            return refused(RejectReason.NOT_FOUND)
        del self.stops[intent.target_id]
        seen = self.bot.positions_read
        known = seen is not None and self.changed_ms <= seen.asked_ms - LAG_MS
        if self.position is not None and known and not self.covered():
            self.faults.append("the last covering stop of a held position was cancelled")
        return Accepted(exchange_id=intent.target_id)

    def _place(self, sent: Journaled) -> Outcome:
        intent = sent.intent
        if self.position is None and intent.close_position:
            return refused(RejectReason.WOULD_TRIGGER)
        if intent.close_position and any(s.close_position for s in self.stops.values()):
            return refused(RejectReason.STOP_EXISTS)
        self.made += 1
        made = stop(
            stop_id=f"s{self.made}",
            client_id=sent.client_id,
            trigger_price=intent.trigger_price,
            quantity=intent.quantity,
            close_position=intent.close_position,
            reduce_only=intent.reduce_only,
            created_ms=self.now_ms,
            updated_ms=self.now_ms,
        )
        self.stops[made.stop_id] = made
        return Accepted(exchange_id=made.stop_id, stop=made)

    def covered(self) -> bool:
        held = self.position
        return held is not None and any(covers(s, held, PROTECTION, self.now_ms) for s in self.stops.values())

    def live(self) -> list[Stop]:
        return [s for s in self.stops.values() if s.status is StopStatus.LIVE]
