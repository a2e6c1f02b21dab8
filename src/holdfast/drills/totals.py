"""What many worlds come to together: violations, naked time, usefulness, which troubles mattered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.drills.cases import Case
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.naked import NakedFigures, NakedLedger
from holdfast.drills.checkers.useful import Figures
from holdfast.drills.fleet import Done
from holdfast.drills.judged import DIGEST, Judged
from holdfast.drills.kinds import KINDS
from holdfast.drills.plan import Played
from holdfast.drills.probes import Hits

ENTRIES_PER_2H_MIN = 1.0
"""Where nothing goes wrong."""
USABLE_SHARE_MIN, EXPOSED_SHARE_MIN = 0.7, 0.5
FLOOR_WORLDS_MIN = 10
"""Fewer say nothing about a floor."""


@dataclass(slots=True)
class Tally:
    """One kind of trouble: *planned*, *began*, how often it struck, and in how many worlds it did."""

    planned: int = 0
    began: int = 0
    hits: int = 0
    worlds: int = 0


@dataclass(slots=True, kw_only=True)
class Totals:
    """Grows with each world that is done."""

    worlds: int = 0
    failures: list[str] = field(default_factory=list)
    """Drill errors: worlds without a verdict."""
    violated: int = 0
    """Worlds in which something was violated."""
    violations: Counter[str] = field(default_factory=Counter)
    """By checker."""
    compared: int = 0
    """Worlds run twice, in another process under another hash seed."""
    naked: NakedLedger = field(default_factory=NakedLedger)
    figures: Figures = field(default_factory=lambda: Figures(worlds=0))
    kinds: dict[str, Tally] = field(default_factory=dict)
    hits: Hits = field(default_factory=Hits)
    weight_peak: int = 0
    virtual_ms: int = 0
    cpu_s: float = 0.0

    def add(self, done: Done[Case, Judged]) -> Judged | None:
        """Count one world; its verdict, with a violation more where its second run differs."""
        judged = compared(done)
        if judged is None:
            self.failures.append(f"seed {done.task.seed}: {done.failure}")
            return None
        self.worlds += 1
        self.compared += done.again is not None
        self.violated += not judged.held
        self.violations.update(judged.counts)
        self.naked.merge(judged.naked)
        self.figures.merge(judged.figures)
        self.weight_peak = max(self.weight_peak, judged.weight_peak)
        self.virtual_ms += judged.virtual_ms
        self.cpu_s += judged.cpu_s
        self.hits.merge(judged.hits)
        self._tally(judged.played)
        return judged

    def _tally(self, played: tuple[Played, ...]) -> None:
        for each in played:
            tally = self.kinds.setdefault(each.trouble.kind, Tally())
            tally.planned += 1
            tally.began += each.began_ms >= 0
            tally.hits += each.hits
        for kind in {each.trouble.kind for each in played if each.hits}:
            self.kinds[kind].worlds += 1

    def missing(self) -> list[str]:
        """Probes that no world hit, and kinds of trouble that never struck."""
        probes = [f"never: {name}" for name in self.hits.never()]
        struck = {name for name, tally in self.kinds.items() if tally.hits}
        return probes + [f"never struck: {name}" for name in KINDS if name not in struck]

    @property
    def hours(self) -> float:
        return self.virtual_ms / 3_600_000

    @property
    def speed(self) -> float:
        """Simulated seconds per CPU second."""
        return self.virtual_ms / 1000 / self.cpu_s if self.cpu_s else 0.0

    def floors(self, *, calm: bool) -> list[str]:
        """Where the bot was of too little use: halting violates nothing, and helps nobody."""
        figures = self.figures
        if self.worlds < FLOOR_WORLDS_MIN:
            return []
        usable = figures.usable_share if figures.usable_share is not None else 0.0
        found = {
            f"{figures.entries_per_2h:.2f} entries in 2 h, expected {ENTRIES_PER_2H_MIN:g}": (
                figures.entries_per_2h < ENTRIES_PER_2H_MIN
            ),
            f"{usable:.0%} of healthy minutes usable, expected {USABLE_SHARE_MIN:.0%}": usable
            < USABLE_SHARE_MIN,
            f"{figures.exposed_share:.0%} of worlds exposed to a trouble, expected {EXPOSED_SHARE_MIN:.0%}": (
                not calm and figures.exposed_share < EXPOSED_SHARE_MIN
            ),
        }
        return [text for text, below in found.items() if below]

    def to_json(self) -> dict[str, Any]:
        figures = self.figures
        return {
            "worlds": self.worlds,
            "simulated_hours": round(self.hours, 3),
            "cpu_s": round(self.cpu_s, 3),
            "speed": round(self.speed, 1),
            "drill_errors": self.failures,
            "worlds_violated": self.violated,
            "violations": dict(sorted(self.violations.items())),
            "run_twice": self.compared,
            "entries": figures.entries,
            "entries_per_2h": round(figures.entries_per_2h, 2),
            "healthy_minutes": figures.healthy_minutes,
            "usable_share": _rounded(figures.usable_share),
            "unusable": dict(sorted(figures.unusable.items())),
            "exposed_share": _rounded(figures.exposed_share),
            "weight_peak": self.weight_peak,
            "probes": dict(self.hits.times),
            "naked": {row.kind: _naked(row.avoidable, row.unavoidable) for row in self.naked.rows()},
            "kinds": {
                name: {
                    "planned": tally.planned,
                    "began": tally.began,
                    "hits": tally.hits,
                    "worlds": tally.worlds,
                }
                for name, tally in sorted(self.kinds.items())
            },
        }


def compared(done: Done[Case, Judged]) -> Judged | None:
    """The first run's verdict; a second one that went differently is a violation of its own."""
    first, second = done.answer, done.again
    if first is None or second is None or first.digests == second.digests:
        return first
    differing = [
        name
        for name, one, two in zip(("events", "wire"), first.digests, second.digests, strict=True)
        if one != two
    ]
    violation = Violation(
        checker=DIGEST,
        at_ms=first.case.spec.start_ms + first.virtual_ms,
        text=f"another process under another hash seed went differently: {' and '.join(differing)}",
        facts={"first": " ".join(first.digests), "second": " ".join(second.digests)},
    )
    return replace(
        first,
        violations=(*first.violations, violation),
        counts={**first.counts, DIGEST: 1},
    )


def _rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def _naked(avoidable: NakedFigures, unavoidable: NakedFigures) -> Mapping[str, Mapping[str, int]]:
    return {
        name: {"count": it.count, "median_ms": it.median_ms, "p99_ms": it.p99_ms, "max_ms": it.max_ms}
        for name, it in (("avoidable", avoidable), ("unavoidable", unavoidable))
    }
