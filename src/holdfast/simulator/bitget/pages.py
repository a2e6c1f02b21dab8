"""Lists over REST: newest first, cut to a page, with the id to go on from (bitget.md §3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from holdfast.simulator.bitget.params import Params
from holdfast.simulator.bitget.switches import Switches
from holdfast.simulator.wire.figures import Row

T = TypeVar("T")
PAGE_MAX = 100


def page(
    params: Params, found: Iterable[T], number: Callable[[T], int], at_ms: Callable[[T], int]
) -> list[T]:
    """Those of *found* that `startTime`, `endTime`, `idLessThan` and `limit` leave, newest first."""
    start, end = params.integer("startTime", 0), params.integer_or_none("endTime")
    below = params.integer_or_none("idLessThan")
    chosen = [
        one
        for one in found
        if at_ms(one) >= start
        and (end is None or at_ms(one) <= end)
        and (below is None or number(one) < below)
    ]
    chosen.sort(key=number, reverse=True)
    return chosen[: params.limit(PAGE_MAX, PAGE_MAX)]


def listed(switches: Switches, name: str, rows: Sequence[Row], last: object) -> Row:
    """A page of *rows*; *last* is the id of its last one, None of none."""
    empty: list[Row] | None = None if switches.null_lists else []
    return {name: list(rows) or empty, "endId": None if last is None else str(last)}
