"""The step: reconcile → protect → close → tidy → what to read next (architecture rule 3).

Pure: facts in, plan out. Entries are decided beside it (select, size, gate) because they come from
signals; everything that keeps what is held safe is decided here, every few seconds and on every event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from holdfast.decisions import close as closing
from holdfast.decisions import protect as protecting
from holdfast.decisions.facts import Facts
from holdfast.decisions.protect import backoff
from holdfast.decisions.reconcile import Appeared, Doubtful, Drift, Finding, OrphanStop
from holdfast.domain.account import AccountConfig, PositionKey, PositionMode
from holdfast.domain.intents import Intent, Priority, Purpose
from holdfast.domain.orders import Order, PositionSide, Stop
from holdfast.domain.symbol import Symbol


class Read(StrEnum):
    """What can be asked of the exchange."""

    POSITIONS = "positions"
    BALANCE = "balance"
    TRANSFERS = "transfers"
    STOPS = "stops"
    ORDERS = "orders"
    CONFIG = "config"
    CLOCK = "clock"
    MARKS = "marks"
    RULES = "rules"


class Want(msgspec.Struct, frozen=True):
    """A read that is due at *at_ms*; *symbol* None = of the whole account; *urgent* = money waits for it."""

    read: Read
    symbol: Symbol | None
    at_ms: int
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """A position is to be closed, and why; the caller remembers it until it is flat."""

    key: PositionKey
    reason: str


@dataclass(frozen=True, slots=True)
class Concern:
    """Something an operator should know of; *id* names the alert and its runbook."""

    id: str
    severity: str
    symbol: str
    text: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What one step decided."""

    verdicts: dict[PositionKey, protecting.Verdict]
    leaves: tuple[Leave, ...]
    intents: tuple[Intent, ...]
    wants: tuple[Want, ...]
    concerns: tuple[Concern, ...]


def step(facts: Facts, findings: tuple[Finding, ...]) -> Plan:
    """Decide everything that keeps the account safe at this moment.

    *findings* are `reconcile`'s on the same facts, after the books took what could be taken: a position
    that just appeared is protected where its entry said, not at the policy's distance.
    """
    unmanaged = _unmanaged(findings, facts)
    verdicts: dict[PositionKey, protecting.Verdict] = {}
    leaves: list[Leave] = []
    intents: list[Intent] = []
    wants: list[Want] = []
    concerns = [_foreign_position(key) for key in unmanaged] + _stuck_stops(facts) + _dust(facts)
    for key in sorted(facts.positions, key=lambda k: (str(k.symbol), k.side.value)):
        if key in unmanaged:
            continue
        held = _hold(key, facts)
        verdicts[key] = held.verdict
        leaves += held.leaves
        intents += held.intents
        wants += held.wants
        concerns += held.concerns
    intents += _orphan_cancels(findings, facts)
    intents += _entry_cancels(facts)
    wants += _stale_reads(facts, findings) + _doubts(findings, facts)
    return Plan(
        verdicts=verdicts,
        leaves=tuple(leaves),
        intents=tuple(intents),
        wants=tuple(wants),
        concerns=tuple(concerns),
    )


# --- one position --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Held:
    verdict: protecting.Verdict
    leaves: tuple[Leave, ...] = ()
    intents: tuple[Intent, ...] = ()
    wants: tuple[Want, ...] = ()
    concerns: tuple[Concern, ...] = ()


def _hold(key: PositionKey, facts: Facts) -> _Held:
    tracked = facts.tracked.get(key)
    verdict = protecting.protect(key, facts)
    if tracked is not None and tracked.closing_reason and not tracked.hands_off:
        return _leave(key, facts, verdict, tracked.closing_reason)
    match verdict:
        case protecting.CloseNow(reason):
            return _leave(key, facts, verdict, reason, first=True)
        case protecting.Place(intent):
            return _Held(verdict, intents=(intent,))
        case protecting.Waiting(census=census, until_ms=until):
            wants = (Want(Read.STOPS, key.symbol, facts.now_ms, urgent=True),) if census else ()
            # Look again when the pause ends: the deadline is not to be missed by a timer's length.
            return _Held(verdict, wants=(*wants, Want(Read.STOPS, key.symbol, until)))
        case protecting.Covered(stop=stop, superfluous=superfluous, confirm_ms=confirm):
            cancels = (_cancel(spare, facts, "one stop is enough") for spare in superfluous)
            again = confirm if stop.status not in protecting.ACTING else _stuck_ms(stop, facts)
            wants = (Want(Read.STOPS, key.symbol, again),) if again is not None else ()
            return _Held(verdict, intents=tuple(each for each in cancels if each), wants=wants)


def _stuck_ms(stop: Stop, facts: Facts) -> int:
    """When a stop that was set off ceases to count: something has to bring the step of that moment (G32)."""
    return stop.updated_ms + facts.protection.trigger_stuck_ms + 1


def _leave(
    key: PositionKey, facts: Facts, verdict: protecting.Verdict, reason: str, *, first: bool = False
) -> _Held:
    """Closing comes before everything; while the exchange refuses it, a stop is tried as well (G09)."""
    leaves = (Leave(key, reason),) if first else ()
    way = closing.close_position(key, facts, priority=Priority.EMERGENCY, reason=reason)
    if isinstance(way, closing.Send):
        concerns = (_hard_to_close(key, reason, way.rung),) if way.rung else ()
        return _Held(verdict, leaves, way.intents, concerns=concerns)
    # Also when no read is asked for: something has to bring the next step when the pause ends.
    wants = (Want(Read.POSITIONS, None, way.until_ms, urgent=True),)
    again = protecting.protect(key, facts, leaving=True) if way.failed else None
    intents = (again.intent,) if isinstance(again, protecting.Place) and not again.beside else ()
    return _Held(verdict, leaves, intents, wants)


def _hard_to_close(key: PositionKey, reason: str, rung: int) -> Concern:
    text = f"closing {key.name} ({reason}) is being refused; trying another way (rung {rung})"
    return Concern("CLOSE_REFUSED", "critical", key.name, text)


def _unmanaged(findings: tuple[Finding, ...], facts: Facts) -> set[PositionKey]:
    """Positions that are neither ours nor to be adopted (R0.4): never touched, only reported."""
    if facts.protection.adopt_unknown:
        return set()
    return {f.position.key for f in findings if isinstance(f, Appeared) and not f.entry_client_id}


def _foreign_position(key: PositionKey) -> Concern:
    return Concern(
        "FOREIGN_POSITION",
        "warning",
        key.name,
        f"{key.name}: a position that is not ours is left alone",
    )


def _stuck_stops(facts: Facts) -> list[Concern]:
    """Whatever else closes the position, such a stop stays where it is until the exchange lets go of it."""
    return [
        Concern(
            "STOP_STUCK",
            "critical",
            str(stop.symbol),
            f"{stop.symbol}: stop {stop.stop_id} at {stop.trigger_price} hangs in {stop.status}: it protects"
            " nothing and may fire late; have the exchange remove it",
        )
        for stop in sorted(facts.stops.values(), key=lambda each: each.stop_id)
        if protecting.stuck(stop, facts.protection, facts.now_ms)
    ]


def _dust(facts: Facts) -> list[Concern]:
    """What is being left and is too small for any order: only a person or the exchange can close it."""
    leaving = (key for key, tracked in facts.tracked.items() if tracked.closing_reason)
    rests = (facts.positions[key] for key in sorted(leaving, key=str) if key in facts.positions)
    return [
        Concern(
            "DUST",
            "warning",
            rest.key.name,
            f"{rest.key.name}: the rest of {rest.quantity} is smaller than any order may be; it keeps its"
            " stop; close it at the exchange",
        )
        for rest in rests
        if closing.dust(rest, facts)
    ]


# --- tidying -------------------------------------------------------------------------------------


def _cancel(stop: Stop, facts: Facts, reason: str) -> Intent | None:
    if not _may_cancel(stop.stop_id, stop.symbol, Purpose.CANCEL_STOP, facts):
        return None
    return Intent(
        purpose=Purpose.CANCEL_STOP,
        symbol=stop.symbol,
        side=stop.side,
        position_side=stop.position_side,
        target_id=stop.stop_id,
        target_client_id=stop.client_id,
        priority=Priority.PROTECT,
        reason=reason,
    )


def _may_cancel(target_id: str, symbol: Symbol, purpose: Purpose, facts: Facts) -> bool:
    """Not while a cancel of it is under way, and not at once again after one that did not work."""
    tried = facts.cancels.get(target_id)
    if tried is not None and facts.now_ms < tried.at_ms + backoff(tried.count, facts.protection):
        return False
    return all(j.intent.target_id != target_id for j in facts.in_flight(symbol, purpose))


def _orphan_cancels(findings: tuple[Finding, ...], facts: Facts) -> list[Intent]:
    stops = (finding.stop for finding in findings if isinstance(finding, OrphanStop))
    cancels = (_cancel(stop, facts, "its position is gone") for stop in stops)
    return [each for each in cancels if each]


def _entry_cancels(facts: Facts) -> list[Intent]:
    """After a kill or with a shutdown begun, entries of ours that still rest are taken back."""
    if facts.entries_wanted:
        return []
    resting = (o for o in facts.orders.values() if _our_entry(o, facts))
    return [
        Intent(
            purpose=Purpose.CANCEL_ORDER,
            symbol=order.symbol,
            side=order.side,
            position_side=order.position_side,
            target_id=order.order_id,
            target_client_id=order.client_id,
            priority=Priority.PROTECT,
            reason="no new entries are wanted",
        )
        for order in sorted(resting, key=lambda each: each.order_id)
        if _may_cancel(order.order_id, order.symbol, Purpose.CANCEL_ORDER, facts)
    ]


def _our_entry(order: Order, facts: Facts) -> bool:
    return order.client_id in facts.our_ids and not order.only_reduces and not order.status.final


# --- what to read next ---------------------------------------------------------------------------


def _doubts(findings: tuple[Finding, ...], facts: Facts) -> list[Want]:
    """A second, independent read for positions that one read no longer shows."""
    once = any(isinstance(f, Doubtful) and not f.confirmed for f in findings)
    if facts.positions_read is None or not once:
        return []
    return [
        Want(Read.POSITIONS, None, facts.positions_read.asked_ms + facts.freshness.confirm_ms, urgent=True)
    ]


def _stale_reads(facts: Facts, findings: tuple[Finding, ...]) -> list[Want]:
    fresh = facts.freshness
    ours_stand = any(stop.client_id in facts.our_ids for stop in facts.stops.values())
    busy = bool(facts.positions or facts.tracked or facts.intents or ours_stand)
    positions = fresh.positions_ms if busy else fresh.positions_flat_ms
    return [
        Want(Read.POSITIONS, None, _due(facts.positions_read, positions)),
        Want(Read.BALANCE, None, _due(facts.balance, fresh.balance_ms)),
        Want(Read.CONFIG, None, _config_due(facts, findings)),
        *_book_reads(facts),
    ]


def _config_due(facts: Facts, findings: tuple[Finding, ...]) -> int:
    """Entries are refused for a setting of the account: that it is right again should be seen soon. And a
    change that was told without its value is looked up when the reads are sure to show it."""
    fresh, config = facts.freshness, facts.config
    shown_ms = facts.config_told_ms + fresh.visibility_ms
    if config is not None and config.asked_ms < shown_ms:
        return shown_ms
    if config is not None and any(_of_other_mode(key, config.value) for key in facts.positions):
        return _due(config, fresh.confirm_ms)
    adrift = any(isinstance(finding, Drift) for finding in findings)
    return _due(config, fresh.orders_ms if adrift else fresh.config_ms)


def _of_other_mode(key: PositionKey, config: AccountConfig) -> bool:
    """It cannot stand in the mode that we know: somebody changed that (G25)."""
    if config.position_mode is PositionMode.ONE_WAY:
        return key.side is not PositionSide.BOTH
    return key.side is PositionSide.BOTH


def _due(fact: object, period_ms: int) -> int:
    asked = getattr(fact, "asked_ms", None)
    return 0 if asked is None else int(asked) + period_ms


def _book_reads(facts: Facts) -> Iterator[Want]:
    """Orders and stops of each symbol that matters just now."""
    symbols = {key.symbol for key in facts.positions} | {key.symbol for key in facts.tracked}
    for symbol in sorted(symbols):
        yield Want(Read.STOPS, symbol, facts.stops_read_ms.get(symbol, 0) + facts.freshness.orders_ms)
        yield Want(Read.ORDERS, symbol, facts.orders_read_ms.get(symbol, 0) + facts.freshness.orders_ms)
