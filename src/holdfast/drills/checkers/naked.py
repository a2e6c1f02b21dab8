"""S6 and the naked ledger: how long positions stood without a covering stop, and whose fault that was."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from holdfast.domain.account import PositionKey
from holdfast.domain.symbol import Symbol
from holdfast.drills.checkers import impairments as because
from holdfast.drills.checkers.bounds import Bounds
from holdfast.drills.checkers.findings import Findings
from holdfast.drills.checkers.impairments import Cause, Impairments
from holdfast.drills.checkers.mirror import Mirror, Origin
from holdfast.simulator.core.model import SimAlgo
from holdfast.simulator.core.truth import CoverChange

NO_FAULT = "none"
ALERT_MS = 5_000
"""An operator hears of a protection that fails within this time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NakedSpan:
    """One stretch without cover. *kinds*: the faults at work in it, `none` without any."""

    symbol: Symbol
    since_ms: int
    until_ms: int
    avoidable_ms: int
    kinds: tuple[str, ...]

    @property
    def unavoidable_ms(self) -> int:
        return self.until_ms - self.since_ms - self.avoidable_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class NakedFigures:
    """How long stretches were, in ms; 0 everywhere when there was none."""

    count: int
    median_ms: int
    p99_ms: int
    max_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NakedRow:
    """The stretches of one fault kind."""

    kind: str
    avoidable: NakedFigures
    unavoidable: NakedFigures


@dataclass(slots=True)
class NakedLedger:
    """Every stretch of one world or of many."""

    spans: list[NakedSpan] = field(default_factory=list)

    def merge(self, other: NakedLedger) -> None:
        self.spans += other.spans

    def rows(self) -> tuple[NakedRow, ...]:
        """One row per fault kind and one named `all`; a stretch counts for each kind that was at work."""
        kinds = sorted({kind for span in self.spans for kind in span.kinds})
        chosen = [(kind, [span for span in self.spans if kind in span.kinds]) for kind in kinds]
        return tuple(_row(kind, spans) for kind, spans in [*chosen, ("all", self.spans)])


def _row(kind: str, spans: Iterable[NakedSpan]) -> NakedRow:
    mine = list(spans)
    return NakedRow(
        kind=kind,
        avoidable=_figures([span.avoidable_ms for span in mine if span.avoidable_ms]),
        unavoidable=_figures([span.unavoidable_ms for span in mine if span.unavoidable_ms]),
    )


def _figures(lengths: list[int]) -> NakedFigures:
    ranked = sorted(lengths)
    if not ranked:
        return NakedFigures(count=0, median_ms=0, p99_ms=0, max_ms=0)
    last = len(ranked) - 1
    return NakedFigures(
        count=len(ranked),
        median_ms=ranked[last // 2],
        p99_ms=ranked[-(-last * 99 // 100)],
        max_ms=ranked[-1],
    )


@dataclass(slots=True)
class _Naked:
    """A stretch under way; *judged_ms*: up to when its time is split."""

    since_ms: int
    judged_ms: int
    patience_ms: int = 0
    """Set at the first look: the exchange tells of cover before it tells who moved the position."""
    avoidable_ms: int = 0
    kinds: set[str] = field(default_factory=set)
    tries: deque[int] = field(default_factory=deque)
    hit_ms: int = 0
    """When a try of the bot to protect it first met a fault; 0 = none has."""
    told: bool = False


def stop_cause(symbol: Symbol) -> Cause:
    """The excuse of one symbol's protective request that met a fault."""
    return (because.STOPS, symbol)


def closed_cause(symbol: Symbol) -> Cause:
    """The exchange does not let the symbol be traded: no stop can be placed, nothing closed."""
    return ("closed", symbol)


@dataclass(slots=True)
class NakedChecks:
    """Hears of every change of cover, every protective request and every fault."""

    mirror: Mirror
    bounds: Bounds
    impaired: Impairments
    findings: Findings
    alerted: Callable[[Symbol], bool]
    """Whether the bot has an alert standing that its operator reads as "this symbol is not protected"."""
    ledger: NakedLedger = field(default_factory=NakedLedger)
    _open: dict[PositionKey, _Naked] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)
    """Ids of stops that the bot asked to cancel."""
    _cancelled: dict[Symbol, tuple[int, str]] = field(default_factory=dict)
    """The bot's last cancel of a stop on the symbol: when it worked, and the stop's client id."""
    _meddled_ms: dict[Symbol, int] = field(default_factory=dict)
    """When a stop of the symbol was last cancelled by somebody else."""

    # --- events --------------------------------------------------------------------------------

    def cover_changed(self, change: CoverChange) -> None:
        key = PositionKey(change.symbol, change.side)
        if change.covered is not False:
            self._end(key, change.at_ms)
            return
        self._open.setdefault(key, _Naked(change.at_ms, change.at_ms))
        cancelled = self._cancelled.get(change.symbol)
        if cancelled is not None and cancelled[0] == change.at_ms:
            self._uncovered(key, change.at_ms, cancelled[1])

    def cancel_asked(self, ids: set[str]) -> None:
        """The bot's request to cancel what has one of these *ids* reached the exchange."""
        self._asked |= ids

    def stop_cancelled(self, algo: SimAlgo, stop_id: str) -> bool:
        """True when the bot asked for it (by *stop_id* or its name), False when somebody else did."""
        asked = bool({stop_id, algo.client_id} & self._asked)
        if asked:
            self._cancelled[algo.symbol] = (algo.updated_ms, algo.client_id)
        else:
            self._meddled_ms[algo.symbol] = algo.updated_ms
        return asked

    def tried(self, symbol: Symbol, at_ms: int, faults: tuple[str, ...]) -> None:
        """A protective request (a stop, a close) reached the exchange; *faults*: what it met there."""
        self.advance(at_ms)
        cause = stop_cause(symbol)
        for key, naked in self._open.items():
            if key.symbol == symbol:
                naked.tries.append(at_ms)
                naked.kinds.update(faults)
                naked.hit_ms = naked.hit_ms or (at_ms if faults else 0)
                self._not_hammering(key, naked, at_ms)
        if faults:
            self.impaired.hit(cause, at_ms, self.bounds.tries_pause_ms)
        else:
            self.impaired.relieved(cause, at_ms)

    def fault_fired(self, kind: str) -> None:
        """Any fault at all, for the table by kinds."""
        for naked in self._open.values():
            naked.kinds.add(kind)

    def tick(self, now_ms: int) -> None:
        self.advance(now_ms)
        for key, naked in self._open.items():
            if not naked.patience_ms:
                naked.patience_ms = self.bounds.naked_ms + self._unknown_for_ms(key, naked.since_ms)
            if now_ms - naked.since_ms > naked.patience_ms:
                self._judge(key, naked, now_ms)
            if naked.hit_ms and not naked.told:
                self._expect_alert(key, naked, now_ms)

    def advance(self, now_ms: int) -> None:
        """Split the time up to now; told before every change of what excuses."""
        for key, naked in self._open.items():
            excused = self.impaired.within_ms(self._causes(key), naked.judged_ms, now_ms)
            naked.avoidable_ms += now_ms - naked.judged_ms - excused
            naked.judged_ms = now_ms

    def finish(self, now_ms: int) -> NakedLedger:
        """The world ends: stretches under way are written down as they stand."""
        for key in list(self._open):
            self._end(key, now_ms)
        return self.ledger

    # --- inside --------------------------------------------------------------------------------

    def _causes(self, key: PositionKey) -> tuple[Cause, ...]:
        # What the bot cannot know of it cannot protect: reads excuse while the account's events are lost.
        own = (stop_cause(key.symbol), closed_cause(key.symbol))
        return (because.BOT, because.NETWORK, because.STOPS, because.UNKNOWING, *own)

    def _unknown_for_ms(self, key: PositionKey, since_ms: int) -> int:
        """A position, or the loss of a stop, that came from elsewhere has to be found first."""
        held = self.mirror.position(key)
        own = held.changed_by is Origin.BOT and held.changed_ms == since_ms
        return 0 if own else self.bounds.learn_ms

    def _uncovered(self, key: PositionKey, at_ms: int, client_id: str) -> None:
        """A stop goes only when another one covers; what somebody else did just now could not be known."""
        held = self.mirror.position(key)
        meddled = self._meddled_ms.get(key.symbol, 0)
        if held.changed_by is not Origin.BOT:
            meddled = max(meddled, held.changed_ms)
        if at_ms - meddled > self.bounds.learn_ms:
            text = f"the bot cancelled the last stop that covered its position in {key.symbol}"
            self.findings.add("S6", at_ms, text, stop=client_id, quantity=held.quantity)

    def _end(self, key: PositionKey, at_ms: int) -> None:
        self.advance(at_ms)
        naked = self._open.pop(key, None)
        if naked is None or at_ms == naked.since_ms:
            return
        span = NakedSpan(
            symbol=key.symbol,
            since_ms=naked.since_ms,
            until_ms=at_ms,
            avoidable_ms=naked.avoidable_ms,
            kinds=tuple(sorted(naked.kinds)) or (NO_FAULT,),
        )
        self.ledger.spans.append(span)

    def _judge(self, key: PositionKey, naked: _Naked, now_ms: int) -> None:
        clear_ms = self.impaired.clear_ms(self._causes(key), naked.since_ms, now_ms)
        if clear_ms > naked.patience_ms:
            text = f"{key.symbol} has had no covering stop for {clear_ms} ms in which one could be had"
            self.findings.add("S6", now_ms, text, since_ms=naked.since_ms, tries=len(naked.tries))
            naked.patience_ms *= 2

    def _not_hammering(self, key: PositionKey, naked: _Naked, now_ms: int) -> None:
        """Retries are bounded: an exchange in trouble is not to be hammered, and its budget is finite."""
        tries, bounds = naked.tries, self.bounds
        while tries[0] <= now_ms - bounds.tries_window_ms:
            tries.popleft()
        if len(tries) > bounds.tries_max:
            text = f"{len(tries)} protective requests on {key.symbol} within {bounds.tries_window_ms} ms"
            self.findings.add("S6", now_ms, text, since_ms=naked.since_ms)
            tries.clear()

    def _expect_alert(self, key: PositionKey, naked: _Naked, now_ms: int) -> None:
        """While protection fails, its alert stands."""
        causes = (because.BOT, because.NETWORK)
        if self.impaired.clear_ms(causes, naked.hit_ms, now_ms) <= ALERT_MS:
            return
        naked.told = True
        if not self.alerted(key.symbol):
            text = f"{key.symbol}: protection has failed since {naked.hit_ms} and no alert says so"
            self.findings.add("S6", now_ms, text, since_ms=naked.since_ms)
