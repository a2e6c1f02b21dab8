"""Which part of a world's course explains a violation, and that part as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from holdfast.drills.checkers.findings import Violation
from holdfast.drills.recording import Entry, Lane, Recording
from holdfast.drills.words import short

BEFORE_MS, AFTER_MS = 60_000, 10_000
ROUTINE_MS = 3_000
"""How near routine has to be to be shown."""
LINES_MAX = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A violation and the lines around it. *symbol* is empty where it concerns none."""

    violation: Violation
    symbol: str
    entries: tuple[Entry, ...]
    left_out: int
    """Lines of the time shown that are routine or about something else."""


def scene(recording: Recording, violation: Violation) -> Scene:
    """What happened in the minute before and shortly after, and all that bears the same ids."""
    symbol = _symbol(recording, violation)
    ids = _ids(recording, violation)
    since_ms, until_ms = violation.at_ms - BEFORE_MS, violation.at_ms + AFTER_MS
    near = [each for each in recording.entries if since_ms <= each.at_ms <= until_ms]
    about = [each for each in near if _concerns(each, symbol, violation.at_ms)]
    kept = _nearest(about, violation.at_ms)
    history = [
        each
        for each in recording.entries
        if not since_ms <= each.at_ms <= until_ms and ids & {each.client_id, each.correlation_id}
    ]
    entries = sorted((*history[-LINES_MAX:], *kept), key=lambda entry: entry.at_ms)
    return Scene(violation=violation, symbol=symbol, entries=tuple(entries), left_out=len(near) - len(kept))


def _symbol(recording: Recording, violation: Violation) -> str:
    said = f"{violation.text} {violation.facts.get('symbol', '')}"
    return next((symbol for symbol in sorted(recording.prices) if symbol in said), "")


def _ids(recording: Recording, violation: Violation) -> set[str]:
    """The ids that it names, and the correlation of whatever bears them."""
    named = {str(value) for value in violation.facts.values()}
    ids = {each.client_id for each in recording.entries if each.client_id in named} - {""}
    return ids | {each.correlation_id for each in recording.entries if each.client_id in ids} - {""}


def _concerns(entry: Entry, symbol: str, at_ms: int) -> bool:
    if entry.routine and abs(entry.at_ms - at_ms) > ROUTINE_MS:
        return False
    return not symbol or entry.symbol in ("", symbol)


def _nearest(entries: list[Entry], at_ms: int) -> list[Entry]:
    """As many as fit, those farthest from the violation left out."""
    ranked = sorted(entries, key=lambda entry: abs(entry.at_ms - at_ms))[:LINES_MAX]
    return sorted(ranked, key=lambda entry: entry.at_ms)


# --- as text -----------------------------------------------------------------------------------------


def clock_text(at_ms: int) -> str:
    """Time of day, to the millisecond."""
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=UTC):%H:%M:%S}.{at_ms % 1000:03d}"


def span_text(ms: int) -> str:
    """A distance in time: `-12.345 s`, `+3.000 s`."""
    return f"{ms / 1000:+.3f} s"


def lines(shown: Scene) -> Iterator[str]:
    """The scene for a terminal: time, distance, whose doing, what, ids."""
    yield str(shown.violation)
    yield ""
    for entry in shown.entries:
        yield _line(entry, shown.violation.at_ms)
    if shown.left_out:
        yield f"({shown.left_out} lines of this time are left out: routine, about other symbols, or too many)"


def _line(entry: Entry, at_ms: int) -> str:
    ids = " ".join(id_ for id_ in (entry.client_id, entry.correlation_id) if id_)
    head = f"{clock_text(entry.at_ms)} {span_text(entry.at_ms - at_ms):>12}  {entry.lane:<8}"
    mark = ">>" if entry.lane is Lane.VERDICT else "  "
    tail = f"  [{ids}]" if ids else ""
    return f"{mark} {head} {short(entry.symbol):<9} {entry.text}{tail}"


def explained(recording: Recording, violations: Iterable[Violation]) -> Iterator[str]:
    """Every violation with what surrounds it."""
    for violation in violations:
        yield from lines(scene(recording, violation))
        yield ""
