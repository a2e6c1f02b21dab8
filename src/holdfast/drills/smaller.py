"""A violation's world made small: the schedule that still breaks the same promise, found by running it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from holdfast.drills.checkers.findings import Violation
from holdfast.drills.judged import DIGEST, Judged, judge
from holdfast.drills.plan import Schedule
from holdfast.drills.shrink import shrink

T = TypeVar("T")
Told = Callable[[int, Judged], None]
"""Told after each run: how many there were, and the smallest failing one so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smaller:
    """*judged* is the smallest that still fails, run to its end; *exhausted*: more tries might find less."""

    judged: Judged
    tries: int
    exhausted: bool


def smaller(
    judged: Judged, checker: str, *, tries_max: int, told: Told = lambda tries, best: None
) -> Smaller:
    """The smallest world found in which *checker* still finds something; *judged* itself is not run again.

    What only a second process shows (`digest`) cannot be made smaller here and stays as it is.
    """
    if checker == DIGEST or tries_max <= 0:
        return Smaller(judged=judged, tries=0, exhausted=False)
    search = _Search(judged, checker, told)
    search.try_out(_until(judged, checker))
    found = _now(
        shrink(search.best.case.schedule, search.try_out, tries_max=max(0, tries_max - search.tries))
    )
    return Smaller(judged=search.best, tries=search.tries, exhausted=found.exhausted)


@dataclass(slots=True)
class _Search:
    best: Judged
    checker: str
    told: Told
    tries: int = 0

    def try_out(self, schedule: Schedule) -> bool:
        """Whether it still fails in the same way."""
        again = judge(self.best.case.under(schedule))
        self.tries += 1
        fails = self.checker in again.counts
        if fails:
            self.best = again
        self.told(self.tries, self.best)
        return fails


def _until(judged: Judged, checker: str) -> Schedule:
    """The same, ended where it failed: most of what came later had no part in it."""
    schedule = judged.case.schedule
    first = next(each for each in judged.violations if each.checker == checker)
    length_ms = max(1, min(schedule.length_ms, _elapsed_ms(judged, first) + 1))
    left = tuple(each for each in schedule.troubles if each.at_ms < length_ms)
    return msgspec.structs.replace(schedule, length_ms=length_ms, troubles=left)


def _elapsed_ms(judged: Judged, violation: Violation) -> int:
    return violation.at_ms - judged.case.spec.start_ms


def _now(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, since what it calls is plain."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError(f"{inspect.getcoroutinestate(work)}: shrinking is not to wait for anything")
