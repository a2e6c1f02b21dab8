"""How to leave a position when the exchange makes it hard (G09, G15–G18, R0.5).

A full close can only reduce, so it may be repeated, but only on a read of the position that is later
than the last try. Each refusal moves to the next rung: the same again after a pause, then without the
orders that stand in the way, then in slices, then as limit orders near the mark, then from the beginning.
It never gives up and never falls silent: after the first rung the caller raises an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from holdfast.decisions.facts import Attempt, Facts
from holdfast.decisions.protect import pause_after
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.instrument import Instrument
from holdfast.domain.intents import Accepted, Intent, Priority, Purpose, Rejected, RejectReason, Unavailable
from holdfast.domain.numbers import ONE, ZERO
from holdfast.domain.orders import Direction, OrderType, PositionSide, TimeInForce

SLICES = 4
PARTS_MAX = 50
"""Orders of one try; what is left is closed by the next."""
DUST_PAUSE_MS = 60_000
"""So long between two tries to close what no order can be for (G18)."""
COLLAR = Decimal("0.02")
"""How far from the mark a limit order of the last rung may go, as a ratio."""


@dataclass(frozen=True, slots=True)
class Send:
    """Close now with these, in this order; *rung* 0 is the plain market order."""

    intents: tuple[Intent, ...]
    rung: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing to send before *until_ms*, when the positions should have been read again.

    *failed*: the last try was refused or not answered, so the position may have to be held for a while.
    """

    why: str
    until_ms: int
    failed: bool = False


def close_position(key: PositionKey, facts: Facts, *, priority: Priority, reason: str) -> Send | Hold:
    """The next step out of a believed position; *reason* goes into order and audit."""
    position = facts.positions[key]
    tries = tuple(a for a in facts.attempts.get(key, ()) if a.purpose is Purpose.CLOSE)
    if tries:
        hold = _must_wait(tries, facts, is_dust=dust(position, facts))
        if hold is not None:
            return hold
    rung = _rung(tries)
    makers = (_market, _market, _unblocked, _slices, _limit)
    # Round and round: a form that is always refused must not keep the others from their turn.
    intents = makers[rung % len(makers)](position, facts, priority, reason)
    return Send(intents, rung)


def dust(position: Position, facts: Facts) -> bool:
    """Less than an order may be for, by the rules as they stand; reduce-only orders bypass the minimum
    notional, but nothing bypasses the step and the smallest quantity (G18)."""
    instrument = facts.instruments.get(position.symbol)
    return instrument is not None and not instrument.quantity_down(abs(position.quantity))


def _must_wait(tries: tuple[Attempt, ...], facts: Facts, *, is_dust: bool) -> Hold | None:
    last, patience = tries[-1], facts.protection.retry_max_ms
    if any(a.outcome is None and facts.now_ms - a.at_ms < patience for a in tries):
        return Hold("a close is under way", last.at_ms + patience)
    match last.outcome:
        case Rejected(reason=RejectReason.FILTER) if is_dust:
            until = last.at_ms + DUST_PAUSE_MS
            return Hold("too small for any order", until, failed=True) if facts.now_ms < until else None
        case Rejected(reason=reason):
            return _after_refusal(tries, facts, unread=reason is RejectReason.NOTHING_TO_REDUCE)
        case Unavailable():
            return _after_refusal(tries, facts, unread=False)
        case Accepted() if not _effective(last):
            return _after_refusal(tries, facts, unread=False)
    return _unless_shown(last, facts)


def _unless_shown(last: Attempt, facts: Facts) -> Hold | None:
    """Accepted or unanswered: it may have worked. Only a later read that still shows the position, asked
    for after the effect must be visible, allows another one."""
    visible = last.at_ms + facts.freshness.visibility_ms
    if _read_after(visible, facts):
        return None
    failed = not isinstance(last.outcome, Accepted)
    return Hold("waiting to see whether the close worked", visible, failed=failed)


def _after_refusal(tries: tuple[Attempt, ...], facts: Facts, *, unread: bool) -> Hold | None:
    """Definitely without effect: the same again after a pause, or (*unread*) after another look."""
    last = tries[-1]
    until = last.at_ms + pause_after(last, len(_failures(tries)), facts.protection)
    if facts.now_ms < until or (unread and not _read_after(last.at_ms, facts)):
        return Hold("a close was refused", until, failed=True)
    return None


def _read_after(at_ms: int, facts: Facts) -> bool:
    read = facts.positions_read
    return read is not None and read.complete and read.asked_ms >= at_ms


def _failures(tries: tuple[Attempt, ...]) -> tuple[tuple[Attempt, ...], ...]:
    """The tries since the last that closed something, newest first; what was sent together counts as one."""
    together: dict[int, tuple[Attempt, ...]] = {}
    for attempt in reversed(tries):
        if _effective(attempt):
            break
        together[attempt.at_ms] = (*together.get(attempt.at_ms, ()), attempt)
    return tuple(together.values())


def _rung(tries: tuple[Attempt, ...]) -> int:
    """How many tries in a row were refused for a reason that the same order again would not cure."""
    return sum(max(_weight(attempt) for attempt in batch) for batch in _failures(tries))


def _effective(attempt: Attempt) -> bool:
    """Taken by the exchange, and not to end without a fill: at market it finds nobody now and then (G28)."""
    if not isinstance(attempt.outcome, Accepted):
        return False
    order = attempt.outcome.order
    return order is None or order.filled > 0 or not order.status.final


def _weight(attempt: Attempt) -> int:
    if isinstance(attempt.outcome, Accepted) and not _effective(attempt):
        return 1
    if not isinstance(attempt.outcome, Rejected):
        return 0
    return 2 if attempt.outcome.reason is RejectReason.REDUCE_BLOCKED else 1


def close_intent(
    position: Position, quantity: Decimal, *, priority: Priority, reason: str, price: Decimal | None = None
) -> Intent:
    """A closing order: reduce-only in one-way mode, by position side in hedge mode (R0.5)."""
    return Intent(
        purpose=Purpose.CLOSE,
        symbol=position.symbol,
        side=position.direction.closing,
        position_side=position.side,
        quantity=quantity,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.GTC if price is None else TimeInForce.IOC,
        price=price,
        reduce_only=position.side is PositionSide.BOTH,
        priority=priority,
        reason=reason,
    )


def _market(position: Position, facts: Facts, priority: Priority, reason: str) -> tuple[Intent, ...]:
    instrument = facts.instruments.get(position.symbol)
    return market_closes(position, abs(position.quantity), instrument, priority=priority, reason=reason)


def market_closes(
    position: Position, quantity: Decimal, instrument: Instrument | None, *, priority: Priority, reason: str
) -> tuple[Intent, ...]:
    """*quantity* in one order, or in as many as the exchange's largest market order makes necessary.

    An odd rest, which a step that became coarser leaves, must not keep the whole from being closed.
    """
    quantity = (instrument.quantity_down(quantity) or quantity) if instrument else quantity
    largest = (
        instrument.market_quantity_max if instrument and instrument.market_quantity_max > 0 else quantity
    )
    intents: list[Intent] = []
    rest = quantity
    while rest > 0 and len(intents) < PARTS_MAX:
        part = min(rest, largest)
        intents.append(close_intent(position, part, priority=priority, reason=reason))
        rest -= part
    return tuple(intents)


def blocking_orders(position: Position, facts: Facts, priority: Priority) -> tuple[Intent, ...]:
    """Cancels for resting orders that can stand in the way of a close: those of the same position (G16)."""
    return tuple(
        Intent(
            purpose=Purpose.CANCEL_ORDER,
            symbol=order.symbol,
            side=order.side,
            position_side=order.position_side,
            target_id=order.order_id,
            target_client_id=order.client_id,
            priority=priority,
            reason="stands in the way of closing",
        )
        for order in sorted(facts.orders.values(), key=lambda each: each.order_id)
        if PositionKey(order.symbol, order.position_side) == position.key and not order.status.final
    )


def _unblocked(position: Position, facts: Facts, priority: Priority, reason: str) -> tuple[Intent, ...]:
    return blocking_orders(position, facts, priority) + _market(position, facts, priority, reason)


def _slices(position: Position, facts: Facts, priority: Priority, reason: str) -> tuple[Intent, ...]:
    """A quarter first: what is too much at once may pass in parts; so may whole steps of an odd amount."""
    instrument = facts.instruments.get(position.symbol)
    whole = abs(position.quantity)
    part = whole / SLICES
    if instrument is not None:
        part = instrument.quantity_down(part) or instrument.quantity_down(whole)
    return (close_intent(position, part or whole, priority=priority, reason=f"{reason} (slice)"),)


def _limit(position: Position, facts: Facts, priority: Priority, reason: str) -> tuple[Intent, ...]:
    """Another type of order: immediate-or-cancel at a price that still is near the mark."""
    price = facts.price_of(position) or position.entry_price
    worst = price * (ONE - position.direction.sign * COLLAR)
    instrument = facts.instruments.get(position.symbol)
    if instrument is not None:
        long = position.direction is Direction.LONG
        worst = instrument.price_up(worst) if long else instrument.price_down(worst)
    if worst <= ZERO:
        return _market(position, facts, priority, reason)
    text = f"{reason} (limit)"
    return (close_intent(position, abs(position.quantity), priority=priority, reason=text, price=worst),)
