"""A drill as one HTML page: nothing to fetch, nothing scripted, readable on a phone and in the dark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from xml.etree.ElementTree import Element

from holdfast.drills.checkers.findings import Violation
from holdfast.drills.gauntlet import Outcome, Verdict
from holdfast.drills.hunt import Hunt
from holdfast.drills.judged import Judged
from holdfast.drills.kinds import KINDS
from holdfast.drills.origin import Origin
from holdfast.drills.plan import Trouble
from holdfast.drills.probes import PROBES
from holdfast.drills.recording import Entry, Lane, Recording
from holdfast.drills.report.around import Scene, clock_text, scene, span_text
from holdfast.drills.report.markup import Child, document, el, table
from holdfast.drills.report.plot import plot
from holdfast.drills.table import naked
from holdfast.drills.totals import Totals
from holdfast.drills.words import short

SCENES_MAX = 5
"""Of one world: the first violation explains most of those after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A world in which something was violated, as small as it was made, and its course."""

    judged: Judged
    """As it was found."""
    shown: Judged
    """The small one whose course *recording* is."""
    recording: Recording
    files: tuple[str, ...] = ()
    """Where the plans were written."""


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything a page may tell; what is empty is left out."""

    title: str
    asked: str
    """The command."""
    origin: Origin
    verdict: str
    held: bool
    totals: Totals | None = None
    outcomes: tuple[Outcome, ...] = ()
    hunts: tuple[Hunt, ...] = ()
    found: list[Found] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def page(report: Report) -> str:
    """The whole page."""
    told = "held" if report.held else "broken"
    head = (
        el("h1", report.title),
        el("p", report.verdict, class_=f"verdict {told}"),
        el("p", el("code", report.asked)),
        el("p", f"{report.origin}, Python {report.origin.python}", class_="dim"),
        *(el("p", note) for note in report.notes),
    )
    style = files(__package__).joinpath("page.css").read_text("utf-8")
    return document(report.title, style, *head, *_chapters(report))


def _chapters(report: Report) -> Iterator[Element]:
    for number, found in enumerate(report.found, start=1):
        yield _section(f"Violation {number}: seed {found.judged.case.seed}", *_found(found))
    if report.hunts:
        yield _section("Planted bugs", _hunts(report.hunts))
    if report.outcomes:
        yield _section("Gauntlet", _gauntlet(report.outcomes))
    if report.totals is not None and report.totals.worlds:
        yield from _worlds(report.totals)


def _section(title: str, *parts: Child) -> Element:
    return el("section", el("h2", title), *parts)


# --- violations --------------------------------------------------------------------------------------


def _found(found: Found) -> Iterator[Child]:
    yield el("ul", *(el("li", str(each)) for each in found.judged.violations))
    if found.files:
        yield el(
            "p", "Replay it: ", *(el("code", f"holdfast drill --replay {name} ") for name in found.files)
        )
    shown = found.shown
    if shown is not found.judged:
        before, after = len(found.judged.case.schedule.troubles), len(shown.case.schedule.troubles)
        yield el(
            "p", f"Made smaller: {before} troubles before, {after} after. What is shown is the small one."
        )
    yield el("h3", "What goes wrong in it")
    yield _troubles(shown.case.schedule.troubles)
    for violation in _worth_showing(shown):
        yield from _scene(found.recording, scene(found.recording, violation))


def _worth_showing(judged: Judged) -> list[Violation]:
    """The first of each checker."""
    first: dict[str, Violation] = {}
    for violation in judged.violations:
        first.setdefault(violation.checker, violation)
    return list(first.values())[:SCENES_MAX]


def _troubles(troubles: tuple[Trouble, ...]) -> Element:
    if not troubles:
        return el("p", "Nothing: it fails by itself.")
    rows = [
        (
            f"{each.at_ms / 1000:.1f} s",
            f"{each.for_ms / 1000:.1f} s" if each.for_ms else "–",
            each.kind,
            each.target,
            " ".join([each.on.value, each.word, *(f"{n}={v}" for n, v in each.numbers.items())]).strip(),
            KINDS[each.kind].what,
        )
        for each in troubles
    ]
    return table(("from", "for", "kind", "whom", "how", "what it is"), rows)


def _scene(recording: Recording, shown: Scene) -> Iterator[Child]:
    at_ms = shown.violation.at_ms
    yield el("h3", f"{shown.violation.checker} at {clock_text(at_ms)}")
    yield el("p", str(shown.violation))
    yield el("div", plot(recording, shown), class_="scroll")
    rows = [_line(entry, at_ms) for entry in shown.entries]
    head = el("tr", *(el("th", name) for name in ("time", "from it", "who", "symbol", "what", "ids")))
    inner = el("table", el("thead", head), el("tbody", *rows), class_="course")
    yield el("div", inner, class_="scroll")
    if shown.left_out:
        yield el(
            "p", f"{shown.left_out} lines of this time are left out: about other symbols, or farther away."
        )


def _line(entry: Entry, at_ms: int) -> Element:
    ids = " ".join(each for each in (entry.client_id, entry.correlation_id) if each)
    cells = (
        clock_text(entry.at_ms),
        span_text(entry.at_ms - at_ms),
        entry.lane.value,
        short(entry.symbol),
        entry.text,
        ids,
    )
    class_ = entry.lane.value if entry.lane is not Lane.VERDICT else "verdict broken"
    return el("tr", *(el("td", cell) for cell in cells), class_=class_)


# --- rows, plants, worlds ----------------------------------------------------------------------------


def _gauntlet(outcomes: tuple[Outcome, ...]) -> Element:
    rows = [
        (
            each.row.id,
            each.row.fault,
            each.row.promise,
            _verdict(each),
            naked(each.naked_s),
            str(each.orders_sent),
        )
        for each in outcomes
    ]
    return table(("drill", "fault", "promise", "verdict", "naked", "orders"), rows)


def _verdict(outcome: Outcome) -> Element:
    fine = outcome.verdict in (Verdict.HELD, Verdict.EXPECTED)
    why = outcome.why or outcome.row.needs
    return el(
        "span", f"{outcome.verdict}: {why}" if why else outcome.verdict, class_="held" if fine else "broken"
    )


def _hunts(hunts: tuple[Hunt, ...]) -> Element:
    rows = [
        (
            each.plant.name,
            each.plant.text,
            each.plant.found_by,
            el("span", "found", class_="held") if each.found else el("span", "NOT FOUND", class_="broken"),
            str(each.worlds),
            ", ".join(each.others) or "–",
        )
        for each in hunts
    ]
    return table(("plant", "what it is", "to be found by", "", "worlds run", "also seen by"), rows)


def _worlds(totals: Totals) -> Iterator[Element]:
    figures = totals.to_json()
    parts: Mapping[str, object] = {k: v for k, v in figures.items() if not isinstance(v, dict | list)}
    yield _section("Worlds", table(("figure", ""), [(k.replace("_", " "), str(v)) for k, v in parts.items()]))
    if totals.figures.unusable:
        why = [(reason, str(count)) for reason, count in totals.figures.unusable.most_common()]
        yield _section("Why healthy minutes were not usable", table(("reason", "minutes"), why))
    spans = [(row.kind, *_figures(row.avoidable), *_figures(row.unavoidable)) for row in totals.naked.rows()]
    names = ("count", "median", "p99", "max")
    head = ("fault", *(f"avoidable {n}" for n in names), *(f"unavoidable {n}" for n in names))
    yield _section("Naked time, ms", table(head, spans))
    times, worlds = totals.hits.times, totals.hits.worlds_with
    probes = [(name, each.means, str(times[name]), str(worlds[name])) for name, each in PROBES.items()]
    yield _section("What has to happen sometimes", table(("probe", "that is", "times", "in worlds"), probes))
    kinds = [
        (name, KINDS[name].what, str(each.planned), str(each.began), str(each.hits), str(each.worlds))
        for name, each in sorted(totals.kinds.items())
    ]
    head = ("kind", "what it is", "planned", "began", "struck", "in worlds")
    yield _section("Troubles", table(head, kinds))


def _figures(figures: object) -> tuple[str, ...]:
    return tuple(str(getattr(figures, name)) for name in ("count", "median_ms", "p99_ms", "max_ms"))
