"""The books against the exchange, which is the truth; findings only, nothing is sent (R3)."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.decisions.evidence import Evidence, gone, missing
from holdfast.decisions.facts import Facts, Tracked
from holdfast.decisions.protect import orphans
from holdfast.domain.account import Position, PositionKey
from holdfast.domain.intents import Journaled, Purpose
from holdfast.domain.orders import Order, OrderState, Stop


@dataclass(frozen=True, slots=True)
class Appeared:
    """The exchange has a position that the books do not. *entry* is our intent that explains it."""

    position: Position
    entry_client_id: str


@dataclass(frozen=True, slots=True)
class Vanished:
    """The books have a position that the exchange surely no longer has (R3.2)."""

    tracked: Tracked
    evidence: Evidence
    at_ms: int


@dataclass(frozen=True, slots=True)
class Doubtful:
    """The books have it, the reads do not (R3.3).

    *confirmed*: two reads agree. Both may be empty by the same failure, so that closes nothing either: the
    executions are asked, for no position ends without one.
    """

    tracked: Tracked
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Resized:
    tracked: Tracked
    position: Position


@dataclass(frozen=True, slots=True)
class Flipped:
    """The position is on the other side than the books say: two events, a close and an opening.

    *entry_client_id*: our later entry that explains the opening (nobody looked while the other ended).
    """

    tracked: Tracked
    position: Position
    entry_client_id: str = ""


@dataclass(frozen=True, slots=True)
class OrphanStop:
    stop: Stop


@dataclass(frozen=True, slots=True)
class ForeignOrder:
    """A resting order on a symbol of ours that none of our instances sent (R0.4)."""

    order: Order


@dataclass(frozen=True, slots=True)
class Drift:
    """A setting of the account is not what we are configured for (G25)."""

    what: str
    symbol: str
    expected: str
    found: str


Finding = Appeared | Vanished | Doubtful | Resized | Flipped | OrphanStop | ForeignOrder | Drift


def reconcile(facts: Facts) -> tuple[Finding, ...]:
    """Every difference between books and exchange that the evidence allows to name (R3.1–R3.4)."""
    findings: list[Finding] = []
    for key in sorted(facts.positions, key=_by_name):
        findings += _held(facts.positions[key], facts)
    for key in sorted(facts.tracked, key=_by_name):
        if key not in facts.positions:
            findings += _missing(facts.tracked[key], facts)
    findings += [OrphanStop(stop) for stop in orphans(facts)]
    findings += [ForeignOrder(order) for order in _foreign(facts)]
    findings += _drift(facts)
    return tuple(findings)


def _by_name(key: PositionKey) -> tuple[str, str]:
    return str(key.symbol), key.side.value


def _held(position: Position, facts: Facts) -> list[Finding]:
    tracked = facts.tracked.get(position.key)
    if tracked is None:
        return [Appeared(position, _explaining_entry(position, facts))]
    if tracked.direction is not position.direction:
        return [
            Flipped(tracked, position, _explaining_entry(position, facts, after_ms=tracked.entry_signed_ms))
        ]
    if tracked.quantity != abs(position.quantity):
        return [Resized(tracked, position)]
    return []


def _explaining_entry(position: Position, facts: Facts, *, after_ms: int = 0) -> str:
    """The newest entry of ours on that symbol and side; empty when none explains the position."""
    entries = [j for j in facts.intents + facts.recent_entries if j.signed_ms > after_ms]
    ours = [j for j in entries if _can_have_opened(j, position)]
    return max(ours, key=lambda j: j.signed_ms).client_id if ours else ""


def _can_have_opened(journaled: Journaled, position: Position) -> bool:
    """An entry that surely had no effect explains nothing: then somebody else opened the position."""
    intent = journaled.intent
    effective = journaled.open or journaled.filled > 0 or journaled.state is OrderState.FILLED
    return (
        effective
        and intent.purpose is Purpose.ENTER
        and intent.symbol == position.symbol
        and intent.position_side is position.side
        and intent.side is position.direction.opening
    )


def _missing(tracked: Tracked, facts: Facts) -> list[Finding]:
    proof = gone(tracked.key, tracked.opened_ms, facts)
    if proof is not None and proof.evidence is Evidence.TWO_READS:
        return [Doubtful(tracked, confirmed=True)]
    if proof is not None:
        return [Vanished(tracked, proof.evidence, proof.at_ms)]
    return [Doubtful(tracked)] if missing(tracked.key, tracked.opened_ms, facts) else []


def _foreign(facts: Facts) -> list[Order]:
    return [
        order
        for order in sorted(facts.orders.values(), key=lambda each: each.order_id)
        if order.client_id not in facts.our_ids and not order.status.final and not _system(order)
    ]


def _system(order: Order) -> bool:
    """Orders that the exchange itself makes: liquidation, ADL, settlement."""
    return order.client_id.startswith(
        ("autoclose-", "adl_autoclose", "settlement_autoclose-", "delivery_autoclose-")
    )


def _drift(facts: Facts) -> list[Drift]:
    """Settings of the account that are not as configured: the mode of positions and of margin, and leverage
    where a position stands (elsewhere it is simply set back before an entry)."""
    if facts.config is None:
        return []
    config, found = facts.config.value, []
    if config.position_mode is not facts.expected_mode:
        found.append(Drift("position_mode", "", facts.expected_mode.value, config.position_mode.value))
    for symbol in sorted(facts.instruments):
        mode = config.margin_mode.get(symbol, facts.expected_margin)
        if mode is not facts.expected_margin:
            found.append(Drift("margin_mode", str(symbol), facts.expected_margin.value, mode.value))
    for symbol in sorted({key.symbol for key in facts.positions} & facts.leverage.keys()):
        leverage = facts.leverage[symbol]
        if leverage and leverage != facts.expected_leverage:
            found.append(Drift("leverage", str(symbol), str(facts.expected_leverage), str(leverage)))
    return found
