"""What a benchmark reports: figures with a reference measured in the same run, as a table or as JSON."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


class BenchFailed(Exception):
    """What was to be measured did not happen; the text says what was expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure: *ours* and *reference* in the same *unit*; their ratio is what counts."""

    bench: str
    what: str
    unit: str
    ours: float
    reference: float
    against: str
    """What the reference is."""
    ratio_unit: str = "×"
    samples: int = 0

    @property
    def ratio(self) -> float:
        return self.ours / self.reference if self.reference else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All rows of a run, and what the machine was doing."""

    began: str
    seconds: float
    load_before: tuple[float, float, float]
    load_after: tuple[float, float, float]
    stolen_pct: float | None
    """Of the processor time in that time, taken by the host for others; None = not known here."""
    rows: tuple[Row, ...]

    def as_json(self) -> str:
        rows = [{**asdict(row), "ratio": row.ratio} for row in self.rows]
        return json.dumps({**asdict(self), "machine": machine(), "rows": rows})

    def as_text(self) -> str:
        head = ("benchmark", "what", "ours", "reference", "ratio", "against")
        cells = [head, *(_cells(row) for row in self.rows)]
        widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
        lines = [_line(line, widths) for line in cells]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*lines, "", *self._conditions()])

    def _conditions(self) -> list[str]:
        before, after = (" ".join(f"{value:.2f}" for value in load) for load in self._loads())
        return [
            f"{self.began}, {self.seconds:.0f} s, {machine()}",
            f"load average (1, 5, 15 min) before: {before}; after: {after}{self._stolen()}",
            "a machine that is busy otherwise makes every time longer; ratios suffer least",
        ]

    def _stolen(self) -> str:
        return "" if self.stolen_pct is None else f"; taken by the host for others: {self.stolen_pct:.0f} %"

    def _loads(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.load_before, self.load_after


def machine() -> str:
    """What a figure depends on, without saying which machine it is."""
    return f"{os.cpu_count()} processors, Python {platform.python_version()}, {platform.system()}"


def processor_ticks() -> tuple[int, int] | None:
    """(all, stolen) so far, of all processors; None where the system does not tell."""
    try:
        words = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
        ticks = [int(word) for word in words]
    except (OSError, ValueError):
        return None
    return (sum(ticks), ticks[7]) if len(ticks) == 8 else None


def stolen_pct(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    """Share of the processor time between two looks that the host gave to others, in per cent."""
    if before is None or after is None or after[0] <= before[0]:
        return None
    return 100 * (after[1] - before[1]) / (after[0] - before[0])


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """Nearest rank: with fewer than a hundred samples it is the worst of them."""
    return sorted(values)[min(len(values) - 1, int(0.99 * len(values)))]


def _cells(row: Row) -> tuple[str, ...]:
    ratio = f"{row.ratio:.2f} {row.ratio_unit}"
    against = f"{row.against} (n={row.samples})" if row.samples else row.against
    ours, reference = (f"{_short(value)} {row.unit}" for value in (row.ours, row.reference))
    return (row.bench, row.what, ours, reference, ratio, against)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    right = (2, 3, 4)
    parts = [
        cell.rjust(width) if column in right else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(parts).rstrip()
