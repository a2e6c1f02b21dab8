"""`holdfast drill --gauntlet [G02 …]`: the named drills."""

from __future__ import annotations

import msgspec
from rich.console import Console
from rich.table import Table

from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.drill.output import finish
from holdfast.cli.drill.progress import progress
from holdfast.cli.exits import Exit, Failure, say
from holdfast.drills.fleet import every, run_fleet
from holdfast.drills.gauntlet import Outcome, Verdict, row_named, rows, rows_of, run_row
from holdfast.drills.origin import origin
from holdfast.drills.report.page import Report
from holdfast.drills.table import naked
from holdfast.drills.wires import ExchangeName

FINE = (Verdict.HELD, Verdict.EXPECTED)


def run_named(name: str) -> Outcome:
    """One drill by its name; what a worker does."""
    return run_row(row_named(name))


def run_gauntlet(options: DrillOptions) -> int:
    """Run the named rows, or all. Bad use where a name is none."""
    try:
        chosen = rows_of(options.rows, msgspec.convert(options.exchange, ExchangeName))
    except KeyError as unknown:
        known = ", ".join(dict.fromkeys(each.row for each in rows().values()))
        raise Failure(f"drill: expected rows out of {known}, found {unknown}", Exit.BAD_USE) from unknown
    outcomes, failures, differing = [], [], []
    with progress(f"{len(chosen)} drills") as show:
        names = (each.name for each in chosen)
        for done in run_fleet(run_named, names, jobs=options.processes, twice=every(max(1, options.twice))):
            if done.answer is None:
                failures.append(f"{done.task}: {done.failure}")
                say(f"drill error: {failures[-1]}")
                continue
            outcomes.append(done.answer)
            _announce(done.answer)
            if done.again is not None and _digests(done.again) != _digests(done.answer):
                differing.append(done.task)
                say(f"{done.task}: another process under another hash seed went differently")
            show.tell(f"{len(outcomes)} of {len(chosen)} drills")
    ordered = tuple(sorted(outcomes, key=lambda each: each.row.id))
    return _finish(options, ordered, failures, differing)


def _digests(outcome: Outcome) -> tuple[str, str]:
    return outcome.event_digest, outcome.wire_digest


def _announce(outcome: Outcome) -> None:
    if outcome.verdict not in FINE:
        say(f"{outcome.row.name}: {outcome.verdict}: {outcome.why}")


def _finish(
    options: DrillOptions, outcomes: tuple[Outcome, ...], failures: list[str], differing: list[str]
) -> int:
    Console(stderr=True).print(_table(outcomes))
    broken = [each.row.name for each in outcomes if each.verdict not in FINE]
    broken += [name for name in differing if name not in broken]
    if broken:
        verdict, status = f"{len(outcomes)} drills: broken {', '.join(broken)}", Exit.GUARANTEE_VIOLATED
    elif failures:
        verdict, status = f"{len(outcomes)} drills held, {len(failures)} came to no verdict", Exit.FAILED
    else:
        expected = sum(each.verdict is Verdict.EXPECTED for each in outcomes)
        verdict, status = f"{len(outcomes)} drills: all held, {expected} expected to fail", Exit.FINE
    report = Report(
        title="Gauntlet",
        asked=options.asked,
        origin=origin(),
        verdict=verdict,
        held=status is Exit.FINE,
        outcomes=outcomes,
        notes=failures,
    )
    figures = {"drills": [outcome_json(each) for each in outcomes], "drill_errors": failures}
    return finish(options, report, status, figures, verdict)


def outcome_json(outcome: Outcome) -> dict[str, object]:
    return {
        "id": outcome.row.id,
        "exchange": outcome.row.spec.exchange,
        "fault": outcome.row.fault,
        "promise": outcome.row.promise,
        "verdict": outcome.verdict.value,
        "why": outcome.why,
        "needs": outcome.row.needs,
        "naked_s": float(outcome.naked_s),
        "orders_sent": outcome.orders_sent,
        "virtual_s": outcome.virtual_s,
        "cpu_s": round(outcome.cpu_s, 3),
        "event_digest": outcome.event_digest,
        "wire_digest": outcome.wire_digest,
    }


def _table(outcomes: tuple[Outcome, ...]) -> Table:
    table = Table(title="gauntlet", title_justify="left", box=None, expand=True, padding=(0, 2, 0, 0))
    table.add_column("drill", no_wrap=True)
    table.add_column("fault", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("verdict", ratio=1, no_wrap=True, overflow="ellipsis")
    for name in ("naked", "orders"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in outcomes:
        style = "" if each.verdict in FINE else "bold red"
        verdict = f"{each.verdict}: {each.row.needs}" if each.row.needs else each.verdict.value
        cells = (each.row.id, each.row.fault, verdict, naked(each.naked_s), str(each.orders_sent))
        table.add_row(*cells, style=style)
    return table
