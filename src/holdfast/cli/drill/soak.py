"""`holdfast drill --soak`: everything there is, then new seeds until the time is over; one report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from holdfast.cli.drill.findings import announce, look_into
from holdfast.cli.drill.gauntlet import FINE, outcome_json, run_named
from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.drill.output import finish
from holdfast.cli.drill.progress import progress
from holdfast.cli.exits import Exit, say
from holdfast.drills.cases import Case, calm, drawn
from holdfast.drills.crashes import Crashed, crash, shares
from holdfast.drills.fleet import every, run_fleet
from holdfast.drills.gauntlet import Outcome, rows_of
from holdfast.drills.hunt import Hunt, hunt
from holdfast.drills.judged import Judged, judge
from holdfast.drills.origin import origin
from holdfast.drills.plants import PLANTS
from holdfast.drills.report.page import Report
from holdfast.drills.totals import Totals
from holdfast.drills.wires import WIRES

CALM_WORLDS = 10
HUNT_WORLDS, HUNT_HOURS, HUNT_SEED = 100, 1.0, 1
"""A planted bug has to be found within so many worlds."""


@dataclass(slots=True)
class _Soak:
    """What has come of it so far. *wrong*: broken promises; *errors*: drills without a verdict."""

    options: DrillOptions
    totals: Totals = field(default_factory=Totals)
    outcomes: list[Outcome] = field(default_factory=list)
    crashes: list[Crashed] = field(default_factory=list)
    hunts: list[Hunt] = field(default_factory=list)
    broken: list[Judged] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def run_soak(options: DrillOptions) -> int:
    """All parts run, whatever comes of one of them."""
    soak = _Soak(options)
    _gauntlet(soak)
    _crash_points(soak)
    _plants(soak)
    _calm(soak)
    _fresh(soak)
    soak.wrong += soak.totals.floors(calm=False)
    soak.wrong += soak.totals.missing()
    soak.errors += soak.totals.failures
    return _finish(soak)


def _gauntlet(soak: _Soak) -> None:
    with progress("gauntlet") as show:
        names = [each.name for exchange in WIRES.values() for each in rows_of((), exchange.exchange)]
        for done in run_fleet(run_named, names, jobs=soak.options.processes, twice=every(1)):
            if done.answer is None:
                soak.errors.append(f"{done.task}: {done.failure}")
                continue
            soak.outcomes.append(done.answer)
            show.tell(f"gauntlet: {len(soak.outcomes)} drills")
            if done.answer.verdict not in FINE:
                soak.wrong.append(f"{done.task}: {done.answer.verdict}: {done.answer.why}")
            if done.again is None or done.again.event_digest != done.answer.event_digest:
                soak.wrong.append(f"{done.task}: went differently under another hash seed")


def _crash_points(soak: _Soak) -> None:
    with progress("crash points") as show:
        for done in run_fleet(crash, shares(), jobs=soak.options.processes):
            if done.answer is None:
                soak.errors.append(f"{done.task}: {done.failure}")
                continue
            soak.crashes.append(done.answer)
            show.tell(f"crash points: {sum(each.deaths for each in soak.crashes)} deaths")
            if done.answer.why:
                soak.wrong.append(f"{done.task}: {done.answer.why}")


def _plants(soak: _Soak) -> None:
    for name in PLANTS:
        with progress(f"planted: {name}"):
            found = hunt(
                name, seed=HUNT_SEED, worlds=HUNT_WORLDS, hours=HUNT_HOURS, jobs=soak.options.processes
            )
        say(str(found))
        soak.hunts.append(found)
        soak.errors += found.failures
        if found.found is None:
            soak.wrong.append(str(found))


def _calm(soak: _Soak) -> None:
    """Fault-free worlds have a floor of their own."""
    totals = Totals()
    seeds = range(soak.options.seed, soak.options.seed + CALM_WORLDS)
    cases = (
        calm(seed, soak.options.hours, exchange=wire.exchange) for wire in WIRES.values() for seed in seeds
    )
    with progress("calm worlds"):
        for done in run_fleet(judge, cases, jobs=soak.options.processes):
            _heard(soak, totals.add(done))
    soak.wrong += totals.floors(calm=True)
    soak.errors += totals.failures


def _fresh(soak: _Soak) -> None:
    """New seeds each time: the clock chooses the first."""
    options, totals = soak.options, soak.totals
    first = int(time.time())
    until = time.monotonic() + options.minutes * 60
    say(f"fresh seeds from {first} on, {options.hours:g} h each")
    with progress("fresh seeds") as show:
        tasks = _until(first, options.hours, until)
        for done in run_fleet(judge, tasks, jobs=options.processes, twice=every(options.twice)):
            _heard(soak, totals.add(done))
            left = max(0.0, until - time.monotonic()) / 60
            show.tell(f"fresh seeds: {totals.worlds} worlds, {totals.violated} violated, {left:.0f} min left")


def _until(first: int, hours: float, until: float) -> Iterator[Case]:
    """Each seed at each exchange in turn."""
    for seed in count(first):
        for wire in WIRES.values():
            if time.monotonic() >= until:
                return
            yield drawn(seed, hours, exchange=wire.exchange)


def _heard(soak: _Soak, judged: Judged | None) -> None:
    if judged is not None and not judged.held:
        soak.broken.append(judged)
        announce(judged, soak.options)


def _finish(soak: _Soak) -> int:
    found = look_into(soak.broken, soak.options)
    wrong = [*soak.wrong, *(f"seed {each.case.seed}: {each.violations[0]}" for each in soak.broken)]
    for each in (*wrong, *soak.errors):
        say(each)
    planted = sum(each.found is not None for each in soak.hunts)
    deaths = sum(each.deaths for each in soak.crashes)
    figures = soak.totals
    verdict = (
        f"soak: {len(soak.outcomes)} drills of the gauntlet, {deaths} deaths at all crash points,"
        f" {planted} of {len(soak.hunts)} planted bugs found,"
        f" {figures.worlds} fresh worlds ({figures.hours:.0f} h): "
        + (f"{len(wrong)} things wrong" if wrong else "all held")
        + (f", {len(soak.errors)} drill errors" if soak.errors else "")
    )
    report = Report(
        title="Soak",
        asked=soak.options.asked,
        origin=origin(),
        verdict=verdict,
        held=not wrong,
        totals=figures,
        outcomes=tuple(sorted(soak.outcomes, key=lambda each: each.row.name)),
        hunts=tuple(soak.hunts),
        found=found,
        notes=[*wrong, *soak.errors],
    )
    told = {
        **figures.to_json(),
        "drills": [outcome_json(each) for each in report.outcomes],
        "crash_points": {str(each.share): [each.points, each.deaths, each.why] for each in soak.crashes},
        "plants": [str(each) for each in soak.hunts],
        "wrong": wrong,
        "errors": soak.errors,
    }
    status = Exit.GUARANTEE_VIOLATED if wrong else Exit.FAILED if soak.errors else Exit.FINE
    return finish(soak.options, report, status, told, verdict)
