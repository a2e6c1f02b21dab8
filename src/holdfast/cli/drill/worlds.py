"""`holdfast drill --worlds N --hours H --seed S`: worlds by their seeds, one here or many over processes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import partial

import msgspec

from holdfast.cli.drill.findings import announce, fail_line, look_into
from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.drill.output import counted, finish, verdict_words
from holdfast.cli.drill.progress import Progress, progress
from holdfast.cli.exits import Exit, say
from holdfast.drills.cases import Case, calm, drawn
from holdfast.drills.fleet import Done, every, run_fleet
from holdfast.drills.judged import Judged, judge
from holdfast.drills.origin import origin
from holdfast.drills.report.page import Report
from holdfast.drills.totals import Totals
from holdfast.drills.wires import ExchangeName


def run_worlds(options: DrillOptions) -> int:
    """Run them all, whatever happens in one of them."""
    totals, digests = Totals(), hashlib.blake2b(digest_size=16)
    broken: list[Judged] = []
    judged_by_seed: dict[int, tuple[str, str]] = {}
    wanted = options.worlds or 1
    with progress(f"{counted(wanted, 'world')} of {options.hours:g} h from seed {options.seed}") as show:
        for done in _done(options):
            judged = totals.add(done)
            if judged is None:
                say(f"drill error: {totals.failures[-1]}")
                continue
            judged_by_seed[judged.case.seed] = judged.digests
            if not judged.held:
                broken.append(judged)
                announce(judged, options)
            _tell(show, totals, wanted)
    found = look_into(sorted(broken, key=lambda each: each.case.seed), options)
    for _, pair in sorted(judged_by_seed.items()):
        digests.update(" ".join(pair).encode())
    floors = totals.floors(calm=options.calm)
    for floor in floors:
        say(f"below the floor: {floor}")
    status = _status(totals, floors)
    report = Report(
        title="Drill",
        asked=options.asked,
        origin=origin(),
        verdict=verdict_words(totals, floors),
        held=status is Exit.FINE,
        totals=totals,
        found=found,
        notes=floors,
    )
    last = _digest_line(judged_by_seed, digests.hexdigest())
    fails = [fail_line(each, each.violations[0]) for each in broken]
    return finish(options, report, status, {**totals.to_json(), "fails": fails, "digest": last}, last)


def _done(options: DrillOptions) -> Iterator[Done[Case, Judged]]:
    """One world runs here, under whatever hash seed we were started with; many in processes of their own."""
    make = partial(
        calm if options.calm else drawn,
        hours=options.hours,
        exchange=msgspec.convert(options.exchange, ExchangeName),
        plant=options.plant,
    )
    if options.worlds is None:
        case = make(options.seed)
        return iter([Done(task=case, answer=judge(case))])
    cases = map(make, range(options.seed, options.seed + options.worlds))
    return run_fleet(judge, cases, jobs=options.processes, twice=every(max(1, options.twice)))


def _tell(show: Progress, totals: Totals, wanted: int) -> None:
    show.tell(
        f"{totals.worlds} of {wanted} worlds, {totals.hours:.1f} h simulated, {totals.speed:,.0f} × real time"
        f" per processor, {totals.violated} violated"
    )


def _status(totals: Totals, floors: list[str]) -> Exit:
    if totals.violated or floors:
        return Exit.GUARANTEE_VIOLATED
    return Exit.FAILED if totals.failures else Exit.FINE


def _digest_line(judged: dict[int, tuple[str, str]], of_all: str) -> str:
    """One world: its two digests. Many: one digest over all of them."""
    if len(judged) == 1:
        events, wire = next(iter(judged.values()))
        return f"events={events} wire={wire}"
    return f"worlds={len(judged)} digest={of_all}"


def list_plants() -> int:
    """The planted bugs by name."""
    from holdfast.drills.plants import PLANTS

    for plant in PLANTS.values():
        sys.stdout.write(f"{plant.name:<22} {plant.found_by:<7} {plant.text}\n")
    return Exit.FINE
