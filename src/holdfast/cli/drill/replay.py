"""`holdfast drill --replay FILE`: the same world once more, and whether it went the same way."""

from __future__ import annotations

from pathlib import Path

from holdfast.cli.drill.findings import announce, print_explained, recorded
from holdfast.cli.drill.options import DrillOptions
from holdfast.cli.drill.output import finish, verdict_words
from holdfast.cli.exits import Exit, Failure, say
from holdfast.drills import cases
from holdfast.drills.cases import BadCase, Kept
from holdfast.drills.fleet import Done, every, run_fleet
from holdfast.drills.judged import DIGEST, Judged, judge
from holdfast.drills.origin import origin
from holdfast.drills.recording import Recording
from holdfast.drills.report.page import Found, Report
from holdfast.drills.totals import Totals


def run_replay(options: DrillOptions, file: Path) -> int:
    """Run the file's world and hold it against what was written down with it."""
    try:
        kept = cases.read(file)
    except BadCase as error:
        raise Failure(f"drill: {error}", Exit.BAD_USE) from error
    totals = Totals()
    done, recording = _run(kept)
    judged = totals.add(done)
    if judged is None:
        raise Failure(f"drill: {totals.failures[0]}")
    said, same = comparison(kept, judged)
    for line in said:
        say(line)
    if not judged.held:
        announce(judged, options)
        if options.explain:
            print_explained(judged, recording, options)
    status = _status(judged, kept, same)
    report = Report(
        title=f"Replay of {file.name}",
        asked=options.asked,
        origin=origin(),
        verdict=verdict_words(totals, []),
        held=judged.held,
        totals=totals,
        found=[] if judged.held else [Found(judged=judged, shown=judged, recording=recording)],
        notes=said,
    )
    last = f"events={judged.event_digest} wire={judged.wire_digest}"
    return finish(options, report, status, {**totals.to_json(), "digest": last, "same": same}, last)


def _run(kept: Kept) -> tuple[Done[cases.Case, Judged], Recording]:
    """Here, and recorded; what only a second process shows, in two of them as well."""
    judged, recording = recorded(kept.case)
    done = Done(task=kept.case, answer=judged)
    if kept.expected is not None and kept.expected.checker == DIGEST:
        done = next(iter(run_fleet(judge, [kept.case], jobs=1, twice=every(1))))
    return done, recording


def comparison(kept: Kept, judged: Judged) -> tuple[list[str], bool | None]:
    """In words, and whether it went as written down; None = the file does not say how it went."""
    expected, here = kept.expected, origin()
    if expected is None:
        return ["the file does not say what to expect: run, and not compared"], None
    if (expected.event_digest, expected.wire_digest) == judged.digests:
        return ["it went the same way to the last byte"], True
    then = f"events={expected.event_digest} wire={expected.wire_digest}"
    now = f"events={judged.event_digest} wire={judged.wire_digest}"
    said = [f"it went differently: expected {then}, found {now}"]
    if kept.origin is None or kept.origin == here:
        said.append(
            "code and versions are the same as then: a drill that differs from itself is a bug of ours"
        )
    else:
        said.append(
            f"written with {kept.origin} Python {kept.origin.python}, run with {here} Python {here.python}"
        )
    return said, False


def _status(judged: Judged, kept: Kept, same: bool | None) -> Exit:
    if not judged.held:
        return Exit.GUARANTEE_VIOLATED
    return Exit.FAILED if same is False and kept.origin == origin() else Exit.FINE
