"""Protection first: what has to happen so that each position has exactly one covering stop (rule 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import msgspec

from holdfast.decisions.evidence import gone
from holdfast.decisions.facts import Attempt, Facts, Tracked
from holdfast.decisions.policy import Protection
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Accepted, Intent, Priority, Purpose, Rejected, RejectReason, Unavailable
from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Direction, Stop, StopKind, StopStatus

HUNDRED = Decimal(100)
MISSING_AFTER_MS = 2_000
"""A stop on its way is no alarm; one that is not there by now is, and nothing new is opened (G07)."""
READ_PATIENCE_MS = 1_000
"""So long a position waits at a start for the first read of its stops."""
RULES_PATIENCE_MS = 2_000
"""So long a stop that broke a trading rule waits for the rules to be read again."""
ACTING = (StopStatus.TRIGGERING, StopStatus.TRIGGERED)
ABSURD_RATIO = Decimal("0.1")
"""A mark price further through a stop than this is believed when the exchange says so too."""
CUSHION = Decimal(2)
"""A stop that has to be nearer because of liquidation is placed at so many margins from it."""


class Covered(msgspec.Struct, frozen=True):
    """A stop in the exchange's book covers the position. *superfluous* ones are to be cancelled.

    *confirm_ms*: others stand beside it, but no read has shown it yet; one asked then will (rule 4).
    """

    stop: Stop
    superfluous: tuple[Stop, ...] = ()
    confirm_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something is under way or must pause until *until_ms*; *census* asks for a fresh read of the stops."""

    why: str
    until_ms: int
    census: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Send this stop now; *beside* stops already cover, so it is a replacement, not a rescue."""

    intent: Intent
    beside: bool = False


@dataclass(frozen=True, slots=True)
class CloseNow:
    """No stop can stand in time: leave the position."""

    reason: str


Verdict = Covered | Waiting | Place | CloseNow


def words(verdict: Verdict) -> str:
    """For people: what is being done about a position that has no covering stop."""
    match verdict:
        case Waiting(why=why):
            return why
        case CloseNow(reason=reason):
            return f"{reason}; closing"
        case Place():
            return "one is being placed"
        case Covered():
            return "it has one"


def covers(stop: Stop, position: Position, protection: Protection, now_ms: int) -> bool:
    """Whether the stop protects the whole position: market, right side, big enough, live, in time."""
    size_ok = stop.close_position or (stop.only_reduces and stop.quantity >= abs(position.quantity))
    return (
        stop.kind is StopKind.STOP
        and stop.market
        and stop.symbol == position.symbol
        and stop.position_side is position.side
        and stop.side is position.direction.closing
        and size_ok
        and _alive(stop, protection, now_ms)
        and _nearer_than_liquidation(stop.trigger_price, position, protection)
    )


def _alive(stop: Stop, protection: Protection, now_ms: int) -> bool:
    acting = stop.status in ACTING and not stuck(stop, protection, now_ms)
    return acting or stop.status is StopStatus.LIVE


def stuck(stop: Stop, protection: Protection, now_ms: int) -> bool:
    """It was set off and nothing comes of it: it protects nothing, and cannot be cancelled either (G32)."""
    return stop.status in ACTING and now_ms - stop.updated_ms > protection.trigger_stuck_ms


def _nearer_than_liquidation(trigger: Decimal, position: Position, protection: Protection) -> bool:
    bound = liquidation_bound(position, protection)
    if bound is None:
        return True
    return trigger >= bound if position.direction is Direction.LONG else trigger <= bound


def liquidation_bound(position: Position, protection: Protection, cushion: Decimal = ONE) -> Decimal | None:
    """The farthest price a stop may stand at and still act before liquidation; None without one.

    *cushion* times the margin: the liquidation price moves with the account, and a stop placed at the
    very bound would cease to cover with its next move.
    """
    if position.liquidation_price <= 0 or position.entry_price <= 0:
        return None
    gap = position.entry_price - position.liquidation_price
    if gap * position.direction.sign <= 0:
        return None
    return position.liquidation_price + gap * protection.liquidation_margin_ratio * cushion


class Goal(msgspec.Struct, frozen=True):
    """Where the stop should stand. *firm* False: that is only a proposal, any covering stop will do."""

    price: Decimal
    firm: bool


def goal(
    position: Position,
    tracked: Tracked | None,
    mark: Decimal | None,
    instrument: Instrument | None,
    protection: Protection,
    *,
    leaving: bool = False,
) -> Goal:
    """The journal's price, else the policy's distance from entry.

    A position that was adopted may be past the policy's distance already; then the distance is
    counted from the mark price, for a stop that fires at once protects nobody. The same holds for any
    price once the position is being left (*leaving*).
    """
    share = protection.default_stop_pct / HUNDRED
    sign = position.direction.sign
    told = tracked.stop_price if tracked is not None else None
    wanted = told if told is not None else position.entry_price * (ONE - sign * share)
    if (told is None or leaving) and mark is not None and (mark - wanted) * sign <= 0:
        wanted = mark * (ONE - sign * share)
    bound = liquidation_bound(position, protection, CUSHION)
    clamped = bound is not None and (wanted - bound) * sign < 0
    if bound is not None and clamped:
        wanted = bound
    if instrument is not None:
        wanted = instrument.price_up(wanted) if sign > 0 else instrument.price_down(wanted)
    return Goal(wanted, firm=told is not None and not clamped)


def stop_intent(position: Position, trigger: Decimal, *, whole: bool, reason: str) -> Intent:
    return Intent(
        purpose=Purpose.PLACE_STOP,
        symbol=position.symbol,
        side=position.direction.closing,
        position_side=position.side,
        quantity=ZERO if whole else abs(position.quantity),
        trigger_price=trigger,
        close_position=whole,
        reduce_only=not whole,
        priority=Priority.PROTECT,
        reason=reason,
    )


def protect(key: PositionKey, facts: Facts, *, leaving: bool = False) -> Verdict:
    """The verdict for one believed position (architecture rule 7, R2.10, G05–G08, G13, G14, G24, G32).

    *leaving*: the position is being closed and the exchange refuses that; then the deadline has done
    its work and any stop that can stand is better than none (G09).
    """
    position = facts.positions[key]
    wanted = goal(
        position,
        facts.tracked.get(key),
        facts.price_of(position),
        facts.instruments.get(key.symbol),
        facts.protection,
        leaving=leaving,
    )
    stops = facts.stops_of(key)
    covering = tuple(s for s in stops if covers(s, position, facts.protection, facts.now_ms))
    if covering:
        return _settled(position, wanted, stops, covering, facts)
    return _rescue(key, position, wanted.price, facts, leaving=leaving)


def _settled(
    position: Position, wanted: Goal, stops: tuple[Stop, ...], covering: tuple[Stop, ...], facts: Facts
) -> Verdict:
    """At least one covers: keep the one that stands where it should, or move it without a gap."""
    right = [s for s in covering if not wanted.firm or s.trigger_price == wanted.price]
    if right or not facts.two_stops_may_stand or not facts.whole_stops:
        return _only(_best(right or covering), stops, facts)
    if facts.placing(position.key) or _resting(facts.attempts.get(position.key, ()), facts):
        return Covered(_best(covering))
    forms = {stop.close_position for stop in stops if stop.kind is StopKind.STOP}
    if len(forms) > 1:
        # Both forms stand and neither is at the goal: make room for the new one.
        return _only(_best(covering), stops, facts)
    whole = not forms.pop()
    return Place(stop_intent(position, wanted.price, whole=whole, reason="move stop"), beside=True)


def _best(covering: Sequence[Stop]) -> Stop:
    """The one to rely on: not yet acting (an acting one may hang, G32), and the newest of those."""
    return max(covering, key=lambda s: (s.status is StopStatus.LIVE, s.created_ms, s.stop_id))


def _only(keep: Stop, stops: tuple[Stop, ...], facts: Facts) -> Covered:
    """Keep that one and let the others go: only beside a live stop that a read of the book has shown."""
    spare = tuple(s for s in stops if _replaceable(s, keep))
    if not spare or keep.status is not StopStatus.LIVE:
        return Covered(keep)
    shown_ms = keep.created_ms + facts.freshness.visibility_ms
    if facts.stops_read_ms.get(keep.symbol, 0) < shown_ms:
        return Covered(keep, confirm_ms=shown_ms)
    return Covered(keep, spare)


def _replaceable(stop: Stop, keep: Stop) -> bool:
    """Stops of the position beside the kept one; those already acting are left to their work."""
    return stop.stop_id != keep.stop_id and stop.kind is StopKind.STOP and stop.status is StopStatus.LIVE


def _resting(attempts: tuple[Attempt, ...], facts: Facts) -> bool:
    """A stop was sent just now: moving it (again) is not urgent, and a refused move must not be hammered."""
    placed = [a for a in attempts if a.purpose is Purpose.PLACE_STOP]
    return bool(placed) and facts.now_ms - placed[-1].at_ms < facts.protection.retry_max_ms


def _rescue(key: PositionKey, position: Position, wanted: Decimal, facts: Facts, *, leaving: bool) -> Verdict:
    """Nothing covers: place a stop, by another form if the first is refused, or leave in time."""
    since = facts.naked_since.get(key, facts.now_ms)
    deadline = since + facts.protection.protect_deadline_ms
    if facts.now_ms >= deadline and not leaving:
        return CloseNow("no stop stands at the protect deadline")
    tries = (a for a in facts.attempts.get(key, ()) if a.purpose is Purpose.PLACE_STOP)
    # What was refused while another stop covered says nothing about now; what was accepted and is gone does.
    placed = tuple(a for a in tries if a.at_ms >= since or isinstance(a.outcome, Accepted))
    mark = facts.fresh_mark(key.symbol)
    through = mark is not None and (mark - wanted) * position.direction.sign <= 0
    if mark is not None and through and (_near(mark, wanted) or _exchange_could_say(key, placed, facts)):
        return CloseNow("the price is already through the stop")
    if facts.placing(key):
        soon = placed[-1].at_ms + facts.protection.retry_ms if through and placed else deadline
        return Waiting("a stop is being placed", min(soon, deadline))
    if key.symbol not in facts.stops_read_ms and facts.now_ms < since + READ_PATIENCE_MS:
        # A bot that just started: most likely the stop stands, and a second one would be placed.
        return Waiting("the stops have not been read yet", min(since + READ_PATIENCE_MS, deadline))
    verdict = _next_rung(position, wanted, placed, deadline, facts, leaving=leaving)
    if isinstance(verdict, Waiting):
        # A pause may be longer than what is left: the deadline brings the next step then.
        return replace(verdict, until_ms=min(verdict.until_ms, deadline))
    return verdict


def _near(mark: Decimal, stop: Decimal) -> bool:
    """Not so far through the stop that the price itself is in doubt."""
    return abs(mark - stop) <= stop * ABSURD_RATIO


def _exchange_could_say(key: PositionKey, placed: tuple[Attempt, ...], facts: Facts) -> bool:
    """An absurd price alone closes nothing (G28): the exchange refuses a stop that the true one is through
    (-2021). Only where it had time to, and took none, the price decides all the same (G08)."""
    acting = any(s.status in ACTING for s in facts.stops_of(key))
    asked = (a for a in placed if not isinstance(a.outcome, Accepted))
    return acting or any(facts.now_ms >= a.at_ms + facts.protection.retry_ms for a in asked)


# What a refusal of a stop means for the next rung of the ladder.
_LEAVE = {
    RejectReason.WOULD_TRIGGER: "the exchange says that the stop would trigger at once",
    RejectReason.WRONG_ENDPOINT: "the exchange does not take stops at this endpoint",
    RejectReason.PERMISSION: "the key may not place stops",
}


def _next_rung(
    position: Position,
    wanted: Decimal,
    placed: tuple[Attempt, ...],
    deadline_ms: int,
    facts: Facts,
    *,
    leaving: bool,
) -> Verdict:
    if not placed:
        return Place(stop_intent(position, wanted, whole=facts.whole_stops, reason="protect"))
    last, refused = placed[-1], _refused_forms(placed, facts)
    match last.outcome:
        case Rejected(reason=reason) if reason in _LEAVE and not leaving:
            return CloseNow(_LEAVE[reason])
        case Rejected(reason=RejectReason.STOP_EXISTS) if _unseen(position, last, facts):
            return Waiting("a stop is said to exist: looking for it", deadline_ms, census=True)
        case Rejected(reason=RejectReason.FILTER) if _rules_in_doubt(last, facts):
            return Waiting(
                "the trading rules may have changed: reading them again", last.at_ms + RULES_PATIENCE_MS
            )
        case Rejected() if len(refused) == 2 and not leaving:
            return CloseNow("both forms of stop were refused")
    return _again(position, wanted, placed, refused, facts)


def _again(
    position: Position, wanted: Decimal, placed: tuple[Attempt, ...], refused: set[bool], facts: Facts
) -> Verdict:
    last, pause = placed[-1], _pause(placed, refused, facts)
    if facts.now_ms < last.at_ms + pause:
        return Waiting("pausing before the stop is tried again", last.at_ms + pause)
    whole = _next_form(last, refused, facts)
    return Place(stop_intent(position, wanted, whole=whole, reason="protect again"))


def _rules_in_doubt(last: Attempt, facts: Facts) -> bool:
    """A tick or a minimum may have changed in flight: refused by rules that were not read since (G31)."""
    return facts.rules_read_ms <= last.at_ms and facts.now_ms < last.at_ms + RULES_PATIENCE_MS


def _refused_forms(placed: tuple[Attempt, ...], facts: Facts) -> set[bool]:
    """Which forms the exchange said no to; a request that was lost on its way (NOT_FOUND) was not refused,
    and what broke a rule by rules that were read again since says nothing about the new ones."""
    return {a.whole for a in placed if isinstance(a.outcome, Rejected) and not _outdated(a, a.outcome, facts)}


def _outdated(attempt: Attempt, refusal: Rejected, facts: Facts) -> bool:
    return refusal.reason is RejectReason.NOT_FOUND or _by_old_rules(attempt, refusal, facts)


def _by_old_rules(attempt: Attempt, refusal: Rejected, facts: Facts) -> bool:
    return refusal.reason is RejectReason.FILTER and attempt.at_ms < facts.rules_read_ms


def _pause(placed: tuple[Attempt, ...], refused: set[bool], facts: Facts) -> int:
    """Milliseconds from the last try to the next: none before the other form, or if one just vanished."""
    last = placed[-1]
    if isinstance(last.outcome, Accepted):
        # It is gone again, or never covered (the position grew): at once, but not for ever at once.
        vanished = sum(isinstance(a.outcome, Accepted) for a in placed) if facts.whole_stops else 1
        return backoff(vanished - 1, facts.protection) if vanished > 1 else 0
    if isinstance(last.outcome, Rejected) and _by_old_rules(last, last.outcome, facts) and len(placed) < 3:
        return 0  # the rules are new: at once, though not for ever at once
    if isinstance(last.outcome, Rejected) and len(refused) == 1 and facts.whole_stops:
        return 0
    return pause_after(last, len(placed), facts.protection)


def _next_form(last: Attempt, refused: set[bool], facts: Facts) -> bool:
    """Whether to try the form that closes the whole position next."""
    if not facts.whole_stops:
        return False
    if len(refused) == 1:
        return True not in refused
    said_no = isinstance(last.outcome, Rejected) and not _by_old_rules(last, last.outcome, facts)
    return not last.whole if said_no else last.whole


def _unseen(position: Position, last: Attempt, facts: Facts) -> bool:
    """Whether no complete read of the stops was asked for since the refusal."""
    return facts.stops_read_ms.get(position.symbol, 0) <= last.at_ms


def pause_after(last: Attempt, tries: int, protection: Protection) -> int:
    """Milliseconds from the last of so many tries in vain to the next.

    What we held back ourselves was no try: it may go when the hold ends, and not a moment earlier.
    """
    if isinstance(last.outcome, Unavailable) and last.outcome.held:
        return max(protection.retry_ms, last.outcome.retry_after_ms)
    return backoff(tries, protection)


def backoff(tries: int, protection: Protection) -> int:
    """Milliseconds to pause after that many tries: doubling, bounded."""
    return min(protection.retry_ms << min(max(0, tries - 1), 16), protection.retry_max_ms)


def orphans(facts: Facts) -> tuple[Stop, ...]:
    """Stops of ours that protect nothing, on evidence that their position is really gone (rule 4).

    The evidence has to be later than the stop: the exchange's own event, or two reads of the positions;
    and the last read has to be fresh, for a stop may come to cover what was opened since.
    """
    last = facts.positions_read
    if last is None or last.age_ms(facts.now_ms) > 2 * facts.freshness.positions_ms:
        return ()
    entering = (j.intent for j in facts.intents if j.intent.purpose is Purpose.ENTER)
    waiting = {PositionKey(intent.symbol, intent.position_side) for intent in entering}
    needed = waiting | facts.positions.keys() | facts.tracked.keys()
    return tuple(
        stop
        for stop in sorted(facts.stops.values(), key=lambda s: s.stop_id)
        if (key := PositionKey(stop.symbol, stop.position_side)) not in needed
        and stop.client_id in facts.our_ids
        and stop.status is StopStatus.LIVE
        and gone(key, stop.created_ms, facts) is not None
    )
