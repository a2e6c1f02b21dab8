"""Circuit breakers: blocks that lift by themselves, and mode steps that only a person takes back (rule 8).

A block stands as soon as its cause does. It lifts when the cause has stayed below its release line
for a while: a value that trembles around a limit does not switch trading on and off. Nothing here
refuses protection or reducing; only the gate for entries reads the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from holdfast.decisions.equity import EquityTrack
from holdfast.decisions.gate import Mode, Refusal
from holdfast.decisions.protect import MISSING_AFTER_MS
from holdfast.domain.account import Mark
from holdfast.domain.intents import Journaled
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import OrderState
from holdfast.domain.symbol import Symbol

_DEPTH: Mapping[Mode, int] = {Mode.NORMAL: 0, Mode.REDUCE_ONLY: 1, Mode.HALTED: 2}


def stricter(one: Mode, other: Mode) -> Mode:
    """The safer of two modes: how a mode steps down by itself, and never up."""
    return max(one, other, key=_DEPTH.__getitem__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """Where breakers trip. All required. The three ages are the same settings as the gate's `Limits`.

    *release_ratio*: a standing block's cause counts as gone only below this share of its limit;
    *settle_ms*: and the block lifts when it was gone for this long.
    """

    positions_age_ms_max: int
    balance_age_ms_max: int
    mark_age_ms_max: int
    clock_uncertainty_ms_max: int
    """Checklist 30: what may remain of the clock difference after correction."""
    socket_down_ms_max: int
    """R1.4: a market stream down for longer pauses entries."""
    error_rate_max_ratio: Decimal
    """R1.5, `ERROR_RATE_THRESHOLD`."""
    error_window_ms: int
    error_sample_min: int
    drawdown_max_ratio: Decimal
    """R1.7, `EQUITY_DRAWDOWN_THRESHOLD`."""
    drawdown_latches: bool
    """Past the threshold step down to REDUCE_ONLY until a person resets; False: alert only."""
    day_loss_max_ratio: Decimal
    """Checklist 13: fall of equity since the day began; steps down to REDUCE_ONLY."""
    entries_per_symbol_max: int
    """Checklist 8: more entries than this on one symbol within the window need a person."""
    entries_window_ms: int
    unknown_age_ms_max: int
    """Checklist 25: an outcome unknown for longer blocks its symbol (the gate blocks it at once)."""
    unknown_count_max: int
    """More unknown outcomes at once step down to REDUCE_ONLY; so does one older than window + grace."""
    unknown_grace_ms: int
    mark_jump_max_ratio: Decimal
    """Checklist 12: a mark that is further from the one before is not believed at once."""
    release_ratio: Decimal
    settle_ms: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One order operation and whether it went wrong, for `error_rate` (R1.5)."""

    at_ms: int
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerFacts:
    """What the breakers look at. Times are wall-clock milliseconds; None = never known."""

    now_ms: int
    positions_asked_ms: int | None
    balance_asked_ms: int | None
    marks: Mapping[Symbol, Mark | None]
    """Every traded symbol; None = no mark yet."""
    marks_before: Mapping[Symbol, Mark]
    """The marks that the verdict before was given on."""
    clock_uncertainty_ms: int | None
    rate_limited_until_ms: int
    """0 = not limited."""
    socket_down_since_ms: int | None
    """None = up."""
    naked_since_ms: int | None
    """Since when a position of ours has had no covering stop (the oldest such time); None = all have."""
    store_writable: bool
    operations: tuple[Operation, ...]
    equity: EquityTrack | None
    entries: Mapping[Symbol, tuple[int, ...]]
    """When entries were sent, per symbol."""
    unresolved: tuple[Journaled, ...]
    """Requests whose outcome is not proven."""
    handover_until_ms: int
    """Until then orders of the instance that had the account before may still take effect (G27)."""
    asking_since_ms: int
    """When this run began: before, nobody could ask what became of them."""


class Block(msgspec.Struct, frozen=True, cache_hash=True):
    """What refuses entries, on one symbol or (None) on all."""

    refusal: Refusal
    symbol: Symbol | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerVerdict:
    """*mode* is the one to step down to (apply with `stricter`), None = no step. *reasons* for people."""

    blocks: frozenset[Refusal] = frozenset()
    """On all symbols."""
    mode: Mode | None = None
    reasons: tuple[str, ...] = ()
    symbol_blocks: Mapping[Symbol, frozenset[Refusal]] = field(default_factory=dict)
    fallen_since_ms: int | None = None
    """Since when reads show equity below what is allowed; None = they do not."""
    last_seen_ms: Mapping[Block, int] = field(default_factory=dict)
    """When the cause of each standing block was seen last: hand the verdict in again next time."""

    def blocks_on(self, symbol: Symbol) -> frozenset[Refusal]:
        return self.blocks | self.symbol_blocks.get(symbol, frozenset())


FALL_PROVEN_MS = 30_000
"""A fall of equity blocks at once, and steps the mode down when it is read so long after all the same: what
went out by a withdrawal is told by then, and was no loss."""


# --- error rate (R1.5) ----------------------------------------------------------------------------


def error_rate(
    operations: tuple[Operation, ...], *, now_ms: int, window_ms: int, sample_min: int
) -> Decimal | None:
    """Failed ÷ all order operations of the window; None while there are fewer than *sample_min*."""
    recent = [each for each in operations if now_ms - each.at_ms <= window_ms]
    if len(recent) < max(1, sample_min):
        return None
    return Decimal(sum(1 for each in recent if each.failed)) / len(recent)


# --- blocks ---------------------------------------------------------------------------------------

Cause = tuple[Block, str]


class _Look(msgspec.Struct, frozen=True):
    """The facts with the limits, and which blocks stand: those are held to the stricter release line."""

    facts: BreakerFacts
    limits: BreakerLimits
    standing: Mapping[Block, int]

    def over(self, block: Block, value: Decimal | int, limit: Decimal | int) -> bool:
        """Above its limit; for a standing block above the release line."""
        line = limit * self.limits.release_ratio if block in self.standing else Decimal(limit)
        return value > line


def _age_causes(look: _Look) -> Iterator[Cause]:
    facts, limits = look.facts, look.limits
    yield from _aged(
        look, Block(Refusal.POSITIONS_STALE), facts.positions_asked_ms, limits.positions_age_ms_max
    )
    yield from _aged(look, Block(Refusal.BALANCE_STALE), facts.balance_asked_ms, limits.balance_age_ms_max)
    for symbol in sorted(facts.marks):
        mark = facts.marks[symbol]
        heard = mark.heard_ms if mark else None
        yield from _aged(look, Block(Refusal.MARK_STALE, symbol), heard, limits.mark_age_ms_max)


def _aged(look: _Look, block: Block, at_ms: int | None, age_ms_max: int) -> Iterator[Cause]:
    if at_ms is None:
        yield block, "never read"
        return
    age_ms = look.facts.now_ms - at_ms
    if age_ms < 0:
        yield block, f"read {-age_ms} ms in the future: the clock was set back"
    elif look.over(block, age_ms, age_ms_max):
        yield block, f"{age_ms} ms old, expected at most {age_ms_max}"


def _mark_causes(look: _Look) -> Iterator[Cause]:
    """Checklist 12: zero, not a number, or a jump from the mark before."""
    for symbol in sorted(look.facts.marks):
        mark, before = look.facts.marks[symbol], look.facts.marks_before.get(symbol)
        block = Block(Refusal.MARK_INSANE, symbol)
        if mark is None:
            continue
        if not _possible(mark.price):
            yield block, f"mark price {mark.price} is impossible"
        elif before is not None and _possible(before.price):
            jump = abs(mark.price - before.price) / before.price
            if jump > look.limits.mark_jump_max_ratio:
                yield block, f"mark price jumped {jump:.2%} from {before.price} to {mark.price}"


def _possible(price: Decimal) -> bool:
    return price.is_finite() and price > 0


def _connection_causes(look: _Look) -> Iterator[Cause]:
    facts, limits = look.facts, look.limits
    skew = Block(Refusal.CLOCK_SKEW)
    if facts.clock_uncertainty_ms is None:
        yield skew, "the exchange's clock has not been measured"
    elif look.over(skew, abs(facts.clock_uncertainty_ms), limits.clock_uncertainty_ms_max):
        yield skew, f"{facts.clock_uncertainty_ms} ms after correction"
    if facts.now_ms < facts.rate_limited_until_ms:
        yield Block(Refusal.RATE_LIMITED), f"for {facts.rate_limited_until_ms - facts.now_ms} ms"
    if facts.socket_down_since_ms is not None:
        down_ms = facts.now_ms - facts.socket_down_since_ms
        socket = Block(Refusal.SOCKET_DOWN)
        # While it is down a standing block stays: a clock set back does not bring the stream back.
        if socket in look.standing or down_ms > limits.socket_down_ms_max:
            yield socket, f"for {down_ms} ms"


def _house_causes(look: _Look) -> Iterator[Cause]:
    facts, limits = look.facts, look.limits
    if not facts.store_writable:
        yield Block(Refusal.STORE_UNWRITABLE), "the last write failed"
    if facts.now_ms < facts.handover_until_ms:
        yield Block(Refusal.TAKEN_OVER), f"for {facts.handover_until_ms - facts.now_ms} ms"
    if facts.naked_since_ms is not None and facts.now_ms - facts.naked_since_ms >= MISSING_AFTER_MS:
        yield Block(Refusal.UNPROTECTED), f"no stop for {facts.now_ms - facts.naked_since_ms} ms"
    errors = Block(Refusal.ERROR_RATE)
    rate = error_rate(
        facts.operations,
        now_ms=facts.now_ms,
        window_ms=limits.error_window_ms,
        sample_min=limits.error_sample_min,
    )
    if rate is not None and look.over(errors, rate, limits.error_rate_max_ratio):
        yield (
            errors,
            f"{rate:.1%} of order operations failed, expected at most {limits.error_rate_max_ratio:.1%}",
        )
    drawdown = facts.equity.drawdown_ratio if facts.equity else ZERO
    if limits.drawdown_latches and look.over(Block(Refusal.DRAWDOWN), drawdown, limits.drawdown_max_ratio):
        yield Block(Refusal.DRAWDOWN), f"{drawdown:.2%} below the peak"
    loss = facts.equity.day_loss_ratio if facts.equity else ZERO
    if loss > limits.day_loss_max_ratio:
        yield Block(Refusal.DRAWDOWN), f"{loss:.2%} below the day's start"


def _symbol_causes(look: _Look) -> Iterator[Cause]:
    facts, limits = look.facts, look.limits
    for symbol in sorted(facts.entries):
        count = _recent_entries(facts.entries[symbol], look)
        if count > limits.entries_per_symbol_max:
            yield Block(Refusal.EXECUTION_THROTTLE, symbol), f"{count} entries within the window"
    for each in facts.unresolved:
        age_ms = facts.now_ms - each.signed_ms
        if _unknown(each) and age_ms > limits.unknown_age_ms_max:
            block = Block(Refusal.UNRESOLVED_INTENT, each.intent.symbol)
            yield block, f"the outcome of {each.client_id} is unknown for {age_ms} ms"


def _unknown(journaled: Journaled) -> bool:
    return journaled.state in (OrderState.UNKNOWN, OrderState.SENDING)


def _recent_entries(times: tuple[int, ...], look: _Look) -> int:
    now_ms, window_ms = look.facts.now_ms, look.limits.entries_window_ms
    return len([at_ms for at_ms in times if now_ms - at_ms <= window_ms])


_CAUSES: tuple[Callable[[_Look], Iterator[Cause]], ...] = (
    _age_causes,
    _mark_causes,
    _connection_causes,
    _house_causes,
    _symbol_causes,
)


# --- modes ----------------------------------------------------------------------------------------


def _falls(look: _Look) -> Iterator[str]:
    """By how much equity is below what is allowed."""
    facts, limits = look.facts, look.limits
    if facts.equity is not None:
        drawdown, loss = facts.equity.drawdown_ratio, facts.equity.day_loss_ratio
        if limits.drawdown_latches and drawdown > limits.drawdown_max_ratio:
            yield f"equity is {drawdown:.2%} below its peak, allowed are {limits.drawdown_max_ratio:.2%}"
        if loss > limits.day_loss_max_ratio:
            yield f"equity fell {loss:.2%} today, allowed are {limits.day_loss_max_ratio:.2%}"


def _fallen_since(asked_ms: int | None, before_ms: int | None) -> int | None:
    """Since which read equity is below what is allowed: now it is."""
    if asked_ms is None or before_ms is None:
        return asked_ms
    return min(before_ms, asked_ms)


def _mode_steps(look: _Look) -> Iterator[str]:
    """Why to step down to REDUCE_ONLY, losses apart; each latches until a person resumes."""
    facts, limits = look.facts, look.limits
    for symbol in sorted(facts.entries):
        count = _recent_entries(facts.entries[symbol], look)
        if count > limits.entries_per_symbol_max:
            yield f"{count} entries on {symbol} in a short time, allowed are {limits.entries_per_symbol_max}"
    yield from _unknown_steps(look)


def _unknown_steps(look: _Look) -> Iterator[str]:
    """Checklist 25. A request in flight is not unknown before the budget of its age is used up; what the
    run before left is none either until there was time to ask for it (a restart changes nothing but time)."""
    now_ms, limits, since_ms = look.facts.now_ms, look.limits, look.facts.asking_since_ms
    just_begun = now_ms <= since_ms + limits.unknown_grace_ms
    unresolved = [each for each in look.facts.unresolved if not (just_begun and each.signed_ms < since_ms)]
    unknown = [
        each
        for each in unresolved
        if each.state is OrderState.UNKNOWN
        or (each.state is OrderState.SENDING and now_ms - each.signed_ms > limits.unknown_age_ms_max)
    ]
    if len(unknown) > limits.unknown_count_max:
        yield f"{len(unknown)} outcomes are unknown at once, allowed are {limits.unknown_count_max}"
    for each in unknown:
        if now_ms > each.expires_ms + limits.unknown_grace_ms:
            yield f"the outcome of {each.client_id} is still unknown after it expired"


# --- the verdict ----------------------------------------------------------------------------------


def assess(facts: BreakerFacts, limits: BreakerLimits, before: BreakerVerdict) -> BreakerVerdict:
    """Which blocks stand now and whether to step down; *before* is the verdict before (at start: empty).

    Blocks come at once and go `settle_ms` after their cause went below the release line.
    """
    look = _Look(facts, limits, before.last_seen_ms)
    causes = [cause for find in _CAUSES for cause in find(look)]
    seen = {block: facts.now_ms for block, _ in causes}
    lingering = {
        block: min(at_ms, facts.now_ms)  # a clock that was set back must not hold a block for ever
        for block, at_ms in before.last_seen_ms.items()
        if block not in seen and facts.now_ms - min(at_ms, facts.now_ms) < limits.settle_ms
    }
    falls, asked_ms = tuple(_falls(look)), facts.balance_asked_ms
    since_ms = _fallen_since(asked_ms, before.fallen_since_ms) if falls else None
    proven = since_ms is not None and asked_ms is not None and asked_ms >= since_ms + FALL_PROVEN_MS
    steps = (*(falls if proven else ()), *_mode_steps(look))
    reasons = [_words(block, why) for block, why in causes]
    reasons += [_words(block, "gone, settling") for block in lingering]
    return BreakerVerdict(
        blocks=frozenset(block.refusal for block in (*seen, *lingering) if block.symbol is None),
        mode=Mode.REDUCE_ONLY if steps else None,
        reasons=(*steps, *reasons),
        symbol_blocks=_by_symbol((*seen, *lingering)),
        fallen_since_ms=since_ms,
        last_seen_ms=seen | lingering,
    )


def _words(block: Block, why: str) -> str:
    where = f" {block.symbol}" if block.symbol else ""
    return f"{block.refusal}{where}: {why}"


def _by_symbol(blocks: tuple[Block, ...]) -> dict[Symbol, frozenset[Refusal]]:
    symbols = sorted({block.symbol for block in blocks if block.symbol is not None})
    return {
        symbol: frozenset(block.refusal for block in blocks if block.symbol == symbol) for symbol in symbols
    }
