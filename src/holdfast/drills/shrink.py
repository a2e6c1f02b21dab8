"""The smallest schedule that still fails: what is left explains the failure.

Delta debugging on the data: first leave troubles out, then end the world sooner, then make each trouble
shorter, rarer and more usual; and around again while that helps. Every candidate is run; the number of
runs is bounded.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import msgspec

from holdfast.drills.kinds import Moment, Number, Span, kinds_at
from holdfast.drills.plan import Schedule, Trouble
from holdfast.drills.wires import BINANCE

TRIES_MAX = 200
FOR_MS_MIN = 100
SHARES = (0.5, 0.75, 0.9)
"""To which part of its length the world is cut, tried in this order."""

Fails = Callable[[Schedule], bool | Awaitable[bool]]


@dataclass(slots=True)
class _Search:
    """The best so far, and what was tried."""

    best: Schedule
    fails: Fails
    tries_max: int
    tries: int = 0
    known: set[bytes] = field(default_factory=set)

    @property
    def over(self) -> bool:
        return self.tries >= self.tries_max

    async def better(self, candidate: Schedule) -> bool:
        """Run a candidate not seen yet; keep it when it fails too."""
        mark = msgspec.json.encode(candidate)
        if self.over or mark in self.known:
            return False
        self.known.add(mark)
        self.tries += 1
        verdict = self.fails(candidate)
        failed = await verdict if inspect.isawaitable(verdict) else verdict
        if failed:
            self.best = candidate
        return failed


@dataclass(frozen=True, slots=True)
class Shrunk:
    schedule: Schedule
    tries: int
    """How many candidates were run."""
    exhausted: bool
    """The tries were used up before nothing helped any more."""


async def shrink(schedule: Schedule, fails: Fails, *, tries_max: int = TRIES_MAX) -> Shrunk:
    """The smallest failing schedule found; *schedule* itself is known to fail and is not run again."""
    search = _Search(schedule, fails, tries_max, known={msgspec.json.encode(schedule)})
    while not search.over:
        before = search.best
        await _fewer(search)
        await _sooner(search)
        await _milder(search)
        if search.best == before:
            break
    return Shrunk(search.best, search.tries, search.over)


# --- fewer -------------------------------------------------------------------------------------------


async def _fewer(search: _Search) -> None:
    """Leave out halves, then quarters … then single troubles (ddmin on complements)."""
    parts = 2
    while search.best.troubles and not search.over:
        count = len(search.best.troubles)
        parts = min(parts, count)
        if await _any_part_out(search, parts):
            parts = max(2, parts - 1)
        elif parts == count:
            return
        else:
            parts = min(count, parts * 2)


async def _any_part_out(search: _Search, parts: int) -> bool:
    troubles = search.best.troubles
    edges = [len(troubles) * part // parts for part in range(parts + 1)]
    for begin, end in pairwise(edges):
        without = msgspec.structs.replace(search.best, troubles=troubles[:begin] + troubles[end:])
        if await search.better(without):
            return True
    return False


# --- sooner ------------------------------------------------------------------------------------------


async def _sooner(search: _Search) -> None:
    """End the world as soon as it still fails; what would begin later goes."""
    while not search.over:
        length_ms = search.best.length_ms
        for share in SHARES:
            if await search.better(_cut(search.best, int(length_ms * share))):
                break
        else:
            return


def _cut(schedule: Schedule, length_ms: int) -> Schedule:
    length_ms = max(length_ms, 1)
    left = tuple(each for each in schedule.troubles if each.at_ms < length_ms)
    return msgspec.structs.replace(schedule, length_ms=length_ms, troubles=left)


# --- milder ------------------------------------------------------------------------------------------


async def _milder(search: _Search) -> None:
    """Each trouble by itself: no waiting, shorter, rarer, with usual numbers."""
    place = 0
    while place < len(search.best.troubles) and not search.over:
        if not await _one_milder(search, place):
            place += 1


async def _one_milder(search: _Search, place: int) -> bool:
    for milder in mildings(search.best.troubles[place], search.best.exchange):
        troubles = (*search.best.troubles[:place], milder, *search.best.troubles[place + 1 :])
        if await search.better(msgspec.structs.replace(search.best, troubles=troubles)):
            return True
    return False


def mildings(trouble: Trouble, exchange: str = BINANCE) -> Iterator[Trouble]:
    """What a trouble can become, the simplest first."""
    kind = kinds_at(exchange)[trouble.kind]
    change = msgspec.structs.replace
    if trouble.on not in (Moment.NOW, kind.on):
        yield change(trouble, on=kind.on)
    if kind.words and trouble.word != kind.words[0]:
        yield change(trouble, word=kind.words[0])
    if trouble.for_ms > FOR_MS_MIN:
        yield change(trouble, for_ms=max(FOR_MS_MIN, trouble.for_ms // 2))
    for name, span in kind.numbers.items():
        for value in _plainer(name, span, trouble.numbers[name]):
            yield change(trouble, numbers={**trouble.numbers, name: value})


def _plainer(name: str, span: Span, value: Number) -> Iterator[Number]:
    """A rate is lowered; how often is brought to once; any other number to its usual value."""
    if name == "probability":
        lower = max(span.low, float(f"{value / 2:.3g}"))
        if lower < value:
            yield lower
    elif name == "times":
        if value != 1 and span.low <= 1:
            yield 1
    elif value != span.usual:
        yield span.usual
