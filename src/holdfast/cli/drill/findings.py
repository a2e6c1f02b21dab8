"""What is done with a violation: one line, its plan as a file, made smaller, run again and looked at."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from holdfast.cli.drill.options import EXCHANGES, DrillOptions
from holdfast.cli.drill.progress import progress
from holdfast.cli.exits import Failure, say
from holdfast.drills import cases
from holdfast.drills.cases import Case, Kept
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.judged import Judged, judge
from holdfast.drills.origin import origin
from holdfast.drills.recording import Recorder, Recording
from holdfast.drills.report.around import explained
from holdfast.drills.report.page import Found
from holdfast.drills.smaller import smaller

EXPLAINED_MAX = 5
"""Worlds that are made smaller and looked at; the others are named."""


def fail_line(judged: Judged, violation: Violation) -> str:
    """The one line that a violation prints; everything to find it again."""
    t_s = max(0, violation.at_ms - judged.case.spec.start_ms) / 1000
    plant = f" plant={judged.case.plant}" if judged.case.plant else ""
    exchange = judged.case.spec.exchange
    where = "" if exchange == EXCHANGES[0] else f" exchange={exchange}"
    return (
        f"SIM-FAIL seed={judged.case.seed} {origin()} t={t_s:.3f} checker={violation.checker}{where}{plant}"
    )


def announce(judged: Judged, options: DrillOptions) -> None:
    """Print the line as soon as a world is judged; beside JSON it goes to standard error."""
    for violation in _first_ones(judged)[:1]:
        stream = sys.stderr if options.json else sys.stdout
        stream.write(fail_line(judged, violation) + "\n")
        stream.flush()
        say(str(violation))


def look_into(judged: Sequence[Judged], options: DrillOptions) -> list[Found]:
    """Keep, shrink and explain: one world for each checker that found something, a few at most."""
    chosen: dict[str, Judged] = {}
    for each in judged:
        chosen.setdefault(_checker(each), each)
    return [_look_into(each, options) for each in list(chosen.values())[:EXPLAINED_MAX]]


def _look_into(judged: Judged, options: DrillOptions) -> Found:
    checker = _checker(judged)
    stem = f"{judged.case.seed}-{checker}"
    written = [_keep(options.out / f"{stem}.json", judged)]
    shown = _made_smaller(judged, checker, options)
    if shown is not judged:
        written.append(_keep(options.out / f"{stem}.min.json", shown))
    recording = Recording()
    if options.explain or options.report is not None:
        shown, recording = recorded(shown.case)
    if options.explain:
        print_explained(shown, recording, options)
    return Found(judged=judged, shown=shown, recording=recording, files=tuple(map(str, written)))


def recorded(case: Case) -> tuple[Judged, Recording]:
    """Run a case and write down its course."""
    recorder = Recorder()
    judged = judge(case, recorder.see)
    return judged, recorder.recording(judged)


def print_explained(judged: Judged, recording: Recording, options: DrillOptions) -> None:
    """The timeline around each checker's first violation; beside JSON on standard error."""
    stream = sys.stderr if options.json else sys.stdout
    for line in explained(recording, _first_ones(judged)):
        stream.write(line + "\n")


def _made_smaller(judged: Judged, checker: str, options: DrillOptions) -> Judged:
    if options.shrink <= 0:
        return judged
    before = len(judged.case.schedule.troubles)
    with progress(f"making seed {judged.case.seed} ({checker}) smaller") as show:

        def told(tries: int, best: Judged) -> None:
            left = len(best.case.schedule.troubles)
            show.tell(f"making seed {judged.case.seed} smaller: run {tries}, {before} → {left} troubles")

        found = smaller(judged, checker, tries_max=options.shrink, told=told)
    left, length_s = len(found.judged.case.schedule.troubles), found.judged.case.schedule.length_ms / 1000
    more = ", more tries might find less" if found.exhausted else ""
    say(f"{before} → {left} troubles in {length_s:g} s, by {found.tries} runs{more}")
    return found.judged


def _keep(path: Path, judged: Judged) -> Path:
    try:
        cases.write(path, Kept(case=judged.case, expected=judged.expected(), origin=origin()))
    except OSError as error:
        raise Failure(f"drill: the plan could not be written: {error}") from error
    say(f"replay: holdfast drill --replay {path} --explain")
    return path


def _checker(judged: Judged) -> str:
    return judged.violations[0].checker


def _first_ones(judged: Judged) -> list[Violation]:
    """The first violation of each checker."""
    first: dict[str, Violation] = {}
    for violation in judged.violations:
        first.setdefault(violation.checker, violation)
    return list(first.values())
