"""How a drill ends: figures for people on standard error, one line or one JSON object on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.exits import Exit, Failure, say
from holdfast.drills.probes import PROBES
from holdfast.drills.report.page import Report, page
from holdfast.drills.totals import Totals

KINDS_SHOWN = 8


def finish(
    options: DrillOptions, report: Report, status: Exit, figures: Mapping[str, object], last: str
) -> Exit:
    """Write the report where one is wanted, tell the verdict, end with one line of data."""
    if options.report is not None:
        try:
            options.report.write_text(page(report), "utf-8")
        except OSError as error:
            raise Failure(f"drill: the report could not be written: {error}") from error
        say(f"report: {options.report}")
    if report.totals is not None and report.totals.worlds:
        Console(stderr=True).print(_table(report.totals))
    say(report.verdict)
    violations = [
        {
            "seed": found.judged.case.seed,
            "plant": found.judged.case.plant,
            "violations": [str(each) for each in found.judged.violations],
            "files": list(found.files),
        }
        for found in report.found
    ]
    told = {"verdict": report.verdict, "held": report.held, **figures, "found": violations}
    sys.stdout.write((json.dumps(told) if options.json else last) + "\n")
    sys.stdout.flush()
    return status


def verdict_words(totals: Totals, floors: list[str]) -> str:
    """One sentence."""
    head = f"{counted(totals.worlds, 'world')}, {totals.hours:.1f} h simulated"
    if totals.violated:
        what = ", ".join(f"{checker} {count}" for checker, count in sorted(totals.violations.items()))
        return f"{head}: {totals.violated} violated ({what})"
    if floors:
        return f"{head}: no violation, but not useful enough: {'; '.join(floors)}"
    if totals.failures:
        return f"{head}: no violation, but {len(totals.failures)} came to no verdict"
    return f"{head}: all held"


def counted(count: int, name: str) -> str:
    """`1 world`, `2 worlds`."""
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _table(totals: Totals) -> Table:
    figures = totals.figures
    share = figures.usable_share
    naked = totals.naked.rows()[-1].avoidable
    table = Table(title="worlds", title_justify="left", show_header=False)
    rows = {
        "simulated": f"{totals.hours:.1f} h, {totals.cpu_s:.0f} CPU seconds, {totals.speed:,.0f} × real time",
        "run twice": f"{totals.compared} under another hash seed",
        "entries": f"{figures.entries}, {figures.entries_per_2h:.1f} in 2 h",
        "healthy minutes": f"{figures.healthy_minutes}"
        + ("" if share is None else f", usable {share:.0%}")
        + "".join(f"\n{count} {why}" for why, count in figures.unusable.most_common(KINDS_SHOWN)),
        "exposed": f"{figures.exposed_share:.0%} of worlds had a position open while a trouble struck",
        "naked, avoidable": f"{naked.count} times, median {naked.median_ms} ms, p99 {naked.p99_ms} ms,"
        f" max {naked.max_ms} ms",
        "troubles": f"{sum(each.began for each in totals.kinds.values())} of {len(totals.kinds)} kinds",
        "probes": f"{len(totals.hits.times)} of {len(PROBES)} hit",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table
