"""Where a bot may die: before and after each effect, and at each step of its tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from holdfast.drills.blocking import DrillBlocking
from holdfast.drills.loop import SimLoop
from holdfast.drills.network import Link, Network


class PointKind(StrEnum):
    STEP = "step"
    """A task step of the bot is about to run."""
    BEFORE_BYTES = "before_bytes"
    AFTER_BYTES = "after_bytes"
    BEFORE_WORK = "before_work"
    """Blocking work (a commit, a file that is replaced) is about to be done."""
    AFTER_WORK = "after_work"


@dataclass(frozen=True, slots=True)
class Point:
    """One moment at which the bot may be killed. *number* counts those of its kind, over all lives."""

    kind: PointKind
    number: int
    what: str
    """The task's name, the link's kind and first bytes, or the work's name: for people."""


AtPoint = Callable[[Point], None]


class Points:
    """Numbers the points of one world and shows each to *at_point*, which may kill the bot there."""

    def __init__(self, at_point: AtPoint) -> None:
        self.counts: Counter[PointKind] = Counter()
        self._at_point = at_point

    def watch_steps(self, loop: SimLoop) -> None:
        loop.before_step = lambda _, task: self._reach(PointKind.STEP, task)

    def watch_network(self, network: Network) -> None:
        network.before_bytes = lambda link, data: self._reach(PointKind.BEFORE_BYTES, _shown(link, data))
        network.after_bytes = lambda link, data: self._reach(PointKind.AFTER_BYTES, _shown(link, data))

    def watch_work(self, blocking: DrillBlocking) -> None:
        blocking.before_work = lambda work: self._reach(PointKind.BEFORE_WORK, work)
        blocking.after_work = lambda work: self._reach(PointKind.AFTER_WORK, work)

    def _reach(self, kind: PointKind, what: str) -> None:
        self.counts[kind] += 1
        self._at_point(Point(kind, self.counts[kind], what))


def _shown(link: Link, data: bytes) -> str:
    """The request's first line without its parameters, which carry a signature."""
    if link.kind != "rest":
        return str(link.kind)
    words = data[:200].split(b" ", 2)
    return b" ".join(words[:2]).split(b"?")[0].decode("ascii", "replace")
