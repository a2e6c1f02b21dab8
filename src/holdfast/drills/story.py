"""What a world showed, as a story that can be asked: rows in the order of time, and rows that follow others.

The questions are small functions put together from smaller ones: `journal("ORDER_FILLED", before="unknown")`
is a question, `then(one, other, within_ms=…)` makes one of two. Nothing here knows a world.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was seen. *at_ms* is true time, of kind `journal` the bot's.

    Kinds: `request` (method, path, faults, client_id, parameters), `order`, `algo`, `account`, `config`,
    `margin_call` (the exchange's events), `cover` (symbol; covered True, False, None = position over),
    `said` (event, life and fields of a line of the bot's log), `journal` (event and details of a link of
    the audit chain), `born`, `died` (life), `began`, `healed` (trouble, target, hits).
    """

    kind: str
    at_ms: int
    fields: Mapping[str, Any]


class Story:
    """Rows by kind, and those of log and journal by their event; in the order of time."""

    def __init__(self, rows: Iterable[Seen]) -> None:
        self._rows: dict[tuple[str, str], list[Seen]] = {}
        for row in sorted(rows, key=lambda each: each.at_ms):
            self._rows.setdefault((row.kind, ""), []).append(row)
            event = row.fields.get("event")
            if event is not None:
                self._rows.setdefault((row.kind, str(event)), []).append(row)

    def of(self, kind: str, event: str = "") -> Sequence[Seen]:
        return self._rows.get((kind, event), ())


Ask = Callable[[Story], Sequence[Seen]]
Wanted = Mapping[str, Any]
"""Field → what it has to be: a value, one of a tuple, or what a function says of it."""


def seen(kind: str, event: str = "", /, **wanted: Any) -> Ask:
    """Rows of a kind whose fields are as wanted."""
    return lambda story: [row for row in story.of(kind, event) if _fits(row, wanted)]


def journal(event: str, /, **wanted: Any) -> Ask:
    return seen("journal", event, **wanted)


def said(event: str, /, **wanted: Any) -> Ask:
    return seen("said", event, **wanted)


def alert(name: str) -> Ask:
    return said("alert.raised", id=name)


def cleared(name: str) -> Ask:
    return said("alert.cleared", id=name)


def has(*words: str) -> Callable[[Any], bool]:
    """A text, or a list, that contains one of the *words*."""
    return lambda value: value is not None and any(word in value for word in words)


def either(*asks: Ask) -> Ask:
    """Rows of any of them, in the order of time."""
    return lambda story: sorted((row for ask in asks for row in ask(story)), key=lambda row: row.at_ms)


def then(first: Ask, second: Ask, *, within_ms: int, same: tuple[str, ...] = (), from_ms: int = 0) -> Ask:
    """Rows of *first* that a row of *second* follows: from *from_ms* to *within_ms* behind it, *same*
    fields alike.

    Where one of them goes by the bot's clock a negative *from_ms* allows for what that clock may be wrong.
    """
    return lambda story: [
        row for row, followed in _pairs(story, first, second, (from_ms, within_ms), same) if followed
    ]


def alone(first: Ask, second: Ask, *, within_ms: int, same: tuple[str, ...] = (), from_ms: int = 0) -> Ask:
    """Rows of *first* that no row of *second* follows."""
    return lambda story: [
        row for row, followed in _pairs(story, first, second, (from_ms, within_ms), same) if not followed
    ]


def _pairs(
    story: Story, first: Ask, second: Ask, span_ms: tuple[int, int], same: tuple[str, ...]
) -> list[tuple[Seen, bool]]:
    rows = first(story)
    others = second(story) if rows else ()
    times = [row.at_ms for row in others]
    return [(row, _followed(row, others, times, span_ms, same)) for row in rows]


def _followed(
    row: Seen,
    others: Sequence[Seen],
    times: Sequence[int],
    span_ms: tuple[int, int],
    same: tuple[str, ...],
) -> bool:
    begin = bisect_left(times, row.at_ms + span_ms[0])
    end = bisect_left(times, row.at_ms + span_ms[1] + 1)
    return any(
        other is not row and all(row.fields.get(name) == other.fields.get(name) for name in same)
        for other in others[begin:end]
    )


def _fits(row: Seen, wanted: Wanted) -> bool:
    return all(_is(row.fields.get(name), value) for name, value in wanted.items())


def _is(found: Any, wanted: Any) -> bool:
    if callable(wanted):
        return bool(wanted(found))
    return found in wanted if isinstance(wanted, tuple) else bool(found == wanted)
