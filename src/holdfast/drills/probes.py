"""What has to happen sometimes, or the worlds are too kind: rare states, recognised from outside.

A probe is a question to a `Story`. Nothing is inserted into the bot: what the exchange was asked and
told, what the bot logged and journaled, and when it died are enough to recognise each of them. A probe
that no world of a soak ever hit fails the soak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.domain.invariant import require
from holdfast.drills.story import (
    Ask,
    Seen,
    Story,
    alert,
    alone,
    cleared,
    either,
    has,
    journal,
    said,
    seen,
    then,
)

SECOND, MINUTE = 1_000, 60_000
CLOCKS_MS = -6_000
"""How far a row by the bot's clock may lie before what caused it."""


@dataclass(frozen=True, slots=True)
class Probe:
    """*ask* finds the moments; *rare*: once in a whole soak is all that may be asked for."""

    name: str
    means: str
    ask: Ask
    rare: bool = False


def _not_final(value: Any) -> bool:
    return value not in (None, "normal")


_naked, _covered = seen("cover", covered=False), seen("cover", covered=True)
_died, _born = seen("died"), seen("born")
_sent = seen("request", asks=has("send"))
_delete_stop = seen("request", asks=has("cancel"))
_answered = said("order.answered")
_cut_short = seen(
    "order", status=("expired", "canceled"), filled=lambda value: value != "0", reduce_only=False
)
_by_hand = alone(seen("algo", status="canceled"), _delete_stop, within_ms=0, from_ms=-2 * SECOND)
_hangs = alone(
    seen("algo", status="triggering"),
    seen("algo", status="triggered"),
    within_ms=2 * SECOND,
    same=("algo_id",),
)
_market_down = said("stream.changed", stream="market", up=False)
_user_down = said("stream.changed", stream="user", up=False)


def _life(name: str) -> Ask:
    return journal("OPERATOR_STATE", new=name)


_UNKNOWN = (
    Probe(
        "entry without an answer",
        "nobody knows whether it was executed",
        journal("ORDER_UNKNOWN", purpose="enter"),
    ),
    Probe("stop without an answer", "it may stand", journal("ORDER_UNKNOWN", purpose="place_stop")),
    Probe("close without an answer", "the position may be gone", journal("ORDER_UNKNOWN", purpose="close")),
    Probe(
        "cancel without an answer",
        "what was cancelled may still stand",
        journal("ORDER_UNKNOWN", purpose=("cancel_stop", "cancel_order")),
    ),
    Probe("unknown resolved as filled", "it had been executed", journal("ORDER_FILLED", before="unknown")),
    Probe(
        "unknown stop found standing",
        "it had been accepted",
        journal("ORDER_PLACED", before="unknown", purpose="place_stop"),
    ),
    Probe(
        "unknown proven dead",
        "past its window and not found",
        said("order.answered", detail=has("proven dead")),
    ),
    Probe(
        "stream told the end before the answer",
        "the answer came to an order that was over",
        alone(
            journal("ORDER_FILLED", before=("sending", "working"), purpose="enter"),
            _answered,
            within_ms=MINUTE,
            same=("client_id",),
            from_ms=CLOCKS_MS,
        ),
    ),
    Probe("entry refused by the exchange", "a definite no", journal("ORDER_REJECTED", purpose="enter")),
    Probe(
        "request expired unanswered", "refused for its time", journal("ORDER_REJECTED", detail=has("-1021"))
    ),
    Probe(
        "second send of an id that had arrived",
        "the exchange says that the id is in use",
        said("order.answered", detail=has("-4116")),
        rare=True,
    ),
    Probe(
        "news contradicted the journal",
        "nothing was changed, the account was read",
        journal("INTENT_CONTRADICTED"),
        rare=True,
    ),
    Probe("answer nobody has mapped", "taken as unknown and reported", alert("ERROR_UNMAPPED")),
)

_PROTECTION = (
    Probe(
        "stop stood within a second",
        "of the first fill",
        then(_naked, _covered, within_ms=SECOND, same=("symbol",)),
    ),
    Probe(
        "position stood naked for over two seconds",
        "by the exchange's own reckoning",
        alone(
            _naked,
            seen("cover", covered=lambda value: value is not False),
            within_ms=2 * SECOND,
            same=("symbol",),
        ),
    ),
    Probe(
        "stop re-made after cancel by hand",
        "somebody else had cancelled it",
        then(_by_hand, _covered, within_ms=MINUTE, same=("symbol",)),
    ),
    Probe("stop lost", "what covered is gone", alert("STOP_LOST")),
    Probe("stop stuck was alarmed", "it triggers and nothing comes of it", alert("STOP_STUCK")),
    Probe("stop missing was alarmed", "nothing covers for two seconds", alert("STOP_MISSING")),
    Probe("stop refused", "by the exchange, for good", journal("ORDER_REJECTED", purpose="place_stop")),
    Probe(
        "protect deadline closed a position",
        "no stop could be placed in time",
        journal("CLOSE_DECIDED", reason=has("protect deadline")),
    ),
    Probe(
        "refused stop closed a position",
        "the exchange said that it would trigger at once, or does not take stops",
        journal("CLOSE_DECIDED", reason=has("the exchange says", "does not take stops", "were refused")),
    ),
    Probe(
        "price ran through a missing stop",
        "closed at market without waiting",
        journal("CLOSE_DECIDED", reason=has("already through the stop")),
    ),
    Probe(
        "partial fill protected",
        "the rest of the entry ended, what was filled is covered",
        then(_cut_short, _covered, within_ms=20 * SECOND, same=("symbol",), from_ms=-SECOND),
    ),
    Probe(
        "stop moved beside the old one",
        "make before break",
        journal("ORDER_CANCELLED", purpose="cancel_stop"),
    ),
    Probe("stop closed a position", "it did its work", journal("EXIT_CORRECTED", exit_cause="stop")),
    Probe("stop hung while triggering", "and covers no more", _hangs),
    Probe(
        "second line of defence acted",
        "the position of a hanging stop was closed or covered anew",
        then(
            _hangs,
            seen("cover", covered=lambda value: value is not False),
            within_ms=MINUTE,
            same=("symbol",),
            from_ms=2 * SECOND,
        ),
    ),
    Probe(
        "stop of a position that is gone was cancelled",
        "no orphan stays",
        journal("INTENT_WRITTEN", purpose="cancel_stop", reason=has("position is gone")),
        rare=True,
    ),
    Probe(
        "cancel lost race to fill",
        "what was to be cancelled had triggered or been filled",
        journal("ORDER_REJECTED", purpose=("cancel_stop", "cancel_order"), detail=has("-2011")),
    ),
)

_BOOKS = (
    Probe(
        "position closed by others",
        "reconciliation found it gone",
        journal("POSITION_CLOSED", exit_reason="EXCHANGE_CLOSED_RECONCILIATION"),
    ),
    Probe("exit by hand in the books", "with its true price", journal("EXIT_CORRECTED", exit_cause="manual")),
    Probe(
        "liquidation in the books", "with its true price", journal("EXIT_CORRECTED", exit_cause="liquidation")
    ),
    Probe("deleveraging in the books", "with its true price", journal("EXIT_CORRECTED", exit_cause="adl")),
    Probe(
        "settlement in the books", "of a delisted symbol", journal("EXIT_CORRECTED", exit_cause="settlement")
    ),
    Probe("unknown position adopted", "opened by somebody else", journal("POSITION_OPENED", adopted=True)),
    Probe("position resized in the books", "by others, or by late fills", journal("POSITION_RESIZED")),
    Probe("funding was charged", "while a position was held", seen("account", reason="FUNDING_FEE")),
    Probe(
        "empty answer did not close the books",
        "positions were said to be none, and none was booked as closed",
        alone(
            seen("request", asks=has("positions"), faults=has("empty_read")),
            journal("POSITION_CLOSED", exit_reason="EXCHANGE_CLOSED_RECONCILIATION"),
            within_ms=3 * SECOND,
            from_ms=CLOCKS_MS,
        ),
    ),
    Probe("the exchange warned of liquidation", "a margin call", alert("MARGIN_CALL")),
)

_RESTART = (
    Probe(
        "restart with open UNKNOWN",
        "a request under way when the process ended",
        journal("ORDER_UNKNOWN", news=has("process ended")),
    ),
    Probe(
        "kill while submit in flight",
        "the order had arrived, its answer never did",
        alone(then(_sent, _died, within_ms=2 * SECOND), _answered, within_ms=2 * SECOND, same=("client_id",)),
    ),
    Probe(
        "restart with a position open",
        "found at the exchange, known from the books",
        journal("SYNCED", positions=bool),
    ),
    Probe("killed twice within a minute", "", then(_died, _died, within_ms=MINUTE, from_ms=1)),
    Probe(
        "died between fill and stop",
        "the position stood naked while nobody lived",
        then(alone(_naked, _covered, within_ms=50, same=("symbol",)), _died, within_ms=2 * SECOND),
    ),
    Probe(
        "position covered after a restart", "by the next life", then(_born, _covered, within_ms=30 * SECOND)
    ),
    Probe("lease taken over", "from a life that never gave it back", journal("LEASE_TAKEN", before=bool)),
)

_STREAMS = (
    Probe(
        "price fallback to REST",
        "the stream fell silent, prices are asked for",
        then(_market_down, seen("request", asks=has("prices")), within_ms=15 * SECOND),
    ),
    Probe(
        "price stream came back by itself",
        "",
        then(_market_down, said("stream.changed", stream="market", up=True), within_ms=10 * MINUTE),
    ),
    Probe(
        "account stream came back by itself",
        "and the account was read anew",
        then(_user_down, said("stream.changed", stream="user", up=True), within_ms=10 * MINUTE),
    ),
    Probe(
        "listen key expired",
        "and a new one was asked for",
        said("stream.changed", cause=has("listen key expired")),
    ),
    Probe(
        "silent stream was noticed",
        "by its own watchdog",
        said("stream.changed", up=False, cause=has("no data", "no answer to ping")),
    ),
    Probe(
        "stream was closed by the exchange",
        "",
        said("stream.changed", up=False, cause=has("closed by the exchange")),
    ),
    Probe("stream could not connect", "", said("stream.changed", cause=has("cannot connect"))),
    Probe(
        "unreadable event made the account be read",
        "it may have been a fill",
        said("stream.changed", up=True, cause=has("could not be read")),
    ),
)

_LIMITS = (
    Probe("rate limit was met", "429", alert("RATE_LIMITED")),
    Probe(
        "ban was obeyed",
        "418, and nothing was sent for five seconds",
        alone(alert("BANNED"), seen("request"), within_ms=5 * SECOND, from_ms=500),
    ),
    Probe(
        "key was refused",
        "told at once",
        either(said("alert.raised", text=has("-2015")), journal("ORDER_REJECTED", detail=has("-2015"))),
    ),
    Probe("read failed", "and was asked again", said("read.failed")),
    Probe(
        "rules changed in flight were learned",
        "refused for its step, then accepted",
        then(
            journal("ORDER_REJECTED", detail=has("-4014", "-1111", "-4164", "-4023", "-4003", "-4004")),
            either(journal("ORDER_PLACED"), journal("ORDER_FILLED")),
            within_ms=2 * MINUTE,
            same=("symbol", "purpose"),
        ),
    ),
    Probe("symbol could not be traded", "halted or delisted", alert("NOT_TRADABLE")),
    Probe("account setting drifted", "changed by hand: entries are refused", alert("ACCOUNT_DRIFT")),
    Probe("close was refused", "and another way was tried", alert("CLOSE_REFUSED")),
)

_OPERATOR = (
    Probe(
        "kill while an order was under way",
        "its answer came after the kill",
        then(_life("killed"), _answered, within_ms=3 * SECOND, from_ms=CLOCKS_MS),
    ),
    Probe(
        "killed with everything closed",
        "liquidation of a killed bot",
        then(_life("killed"), journal("LIQUIDATION_COMPLETE"), within_ms=MINUTE),
    ),
    Probe("stopped and run again", "", then(_life("stopped"), _life("running"), within_ms=20 * MINUTE)),
    Probe(
        "killed and run again",
        "only a person lifts it",
        then(_life("killed"), _life("running"), within_ms=20 * MINUTE),
    ),
    Probe(
        "entry refused by the operator's word",
        "killed or stopped",
        said("decision.refused", text=has("killed", "stopped")),
    ),
    Probe("flatten reached zero", "", journal("LIQUIDATION_COMPLETE")),
    Probe("flatten did not reach zero", "told as such", journal("LIQUIDATION_FAILED"), rare=True),
    Probe("mode stepped down", "by the bot itself", journal("MODE_CHANGED", new=_not_final, by_person=False)),
)

_STORE = (
    Probe("file could not be written", "log, audit file or snapshot", alert("FILES_UNWRITABLE")),
    Probe("files could be written again", "", cleared("FILES_UNWRITABLE")),
    Probe("torn audit file was repaired", "after a power cut", journal("AUDIT_REPAIRED")),
    Probe("store did not take writes", "no new risk is taken", alert("STORE_UNWRITABLE")),
    Probe("store took writes again", "and what waited was written", cleared("STORE_UNWRITABLE")),
    Probe(
        "order in force before it was durable",
        "the disk was slower than the operator",
        alert("ORDER_NOT_DURABLE"),
    ),
    Probe(
        "entry refused for an old price", "", said("decision.refused", text=has("mark_stale", "socket_down"))
    ),
    Probe(
        "entry refused for a nonsense price",
        "",
        said("decision.refused", text=has("mark_insane", "price_outside_collar")),
    ),
    Probe("entry refused for a wrong clock", "", said("decision.refused", text=has("clock"))),
    Probe(
        "entry refused for what is not proven",
        "",
        said(
            "decision.refused",
            text=has("unresolved_intent", "not_synced", "positions_stale", "read_incomplete"),
        ),
    ),
)

_ALL = (*_UNKNOWN, *_PROTECTION, *_BOOKS, *_RESTART, *_STREAMS, *_LIMITS, *_OPERATOR, *_STORE)
PROBES: Mapping[str, Probe] = {probe.name: probe for probe in _ALL}
require(len(PROBES) == len(_ALL), "every probe has a name of its own")


@dataclass(slots=True)
class Hits:
    """How often each probe was hit, and in how many worlds."""

    worlds: int = 0
    times: Counter[str] = field(default_factory=Counter)
    worlds_with: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Hits) -> None:
        """Add what other worlds hit."""
        self.worlds += other.worlds
        self.times.update(other.times)
        self.worlds_with.update(other.worlds_with)

    def never(self, *, rare: bool = False) -> list[str]:
        """Those never hit, in the catalogue's order; rare ones only when asked for."""
        return [name for name, probe in PROBES.items() if not self.times[name] and (rare or not probe.rare)]

    def to_json(self) -> dict[str, Any]:
        """Plain data, every probe named; `read_hits` takes it back."""
        rows = {name: [self.times[name], self.worlds_with[name]] for name in PROBES}
        return {"worlds": self.worlds, "probes": rows}


def read_hits(data: Mapping[str, Any]) -> Hits:
    """What `Hits.to_json` gave, for merging what other processes saw."""
    found = Hits(worlds=int(data["worlds"]))
    for name, (times, worlds) in data["probes"].items():
        found.times[name], found.worlds_with[name] = int(times), int(worlds)
    return found


def hits_of(rows: Iterable[Seen]) -> Hits:
    """What one world hit."""
    story = Story(rows)
    counts = {name: len(probe.ask(story)) for name, probe in PROBES.items()}
    hit = {name: count for name, count in counts.items() if count}
    return Hits(worlds=1, times=Counter(hit), worlds_with=Counter(dict.fromkeys(hit, 1)))
