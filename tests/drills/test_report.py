"""What people read: the lines around a violation, and a page that needs nothing but itself."""

from __future__ import annotations

import re
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from holdfast.drills.cases import calm
from holdfast.drills.checkers.findings import Violation
from holdfast.drills.checkers.naked import NakedLedger
from holdfast.drills.checkers.useful import Figures
from holdfast.drills.judged import Judged
from holdfast.drills.origin import Origin
from holdfast.drills.probes import Hits
from holdfast.drills.recording import Bar, Entry, Lane, Recording
from holdfast.drills.report.around import LINES_MAX, explained, scene
from holdfast.drills.report.page import Found, Report, page
from holdfast.drills.totals import Totals

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
START_MS = 1_767_225_600_000
AT_MS = START_MS + 600_000
NASTY = "<script>alert('&\"')</script>"


@pytest.fixture
def violation():
    facts = {"client_id": "hf-1", "symbol": BTC}
    return Violation(checker="S2", at_ms=AT_MS, text=f"two entries on {BTC}", facts=facts)


def recording(*entries: Entry) -> Recording:
    """A world of an hour with a price each second."""
    prices = [(START_MS + second * 1_000, Decimal(100) + second % 7) for second in range(3_600)]
    return Recording(
        start_ms=START_MS,
        end_ms=START_MS + 3_600_000,
        entries=list(entries),
        prices={BTC: prices, ETH: prices},
        held={BTC: [(AT_MS - 5_000, Decimal(2)), (AT_MS + 5_000, Decimal(0))]},
        naked=[Bar(since_ms=AT_MS - 5_000, until_ms=AT_MS - 4_000, text="naked", symbol=BTC)],
        lives=[Bar(since_ms=START_MS, until_ms=START_MS + 3_600_000, text="life 1")],
        troubles=[Bar(since_ms=AT_MS - 9_000, until_ms=AT_MS, text="never_answered")],
    )


def entry(offset_ms: int, text: str, **given) -> Entry:
    return Entry(at_ms=AT_MS + offset_ms, lane=given.pop("lane", Lane.HEARD), text=text, **given)


def judged(*violations: Violation) -> Judged:
    return Judged(
        case=calm(7, 1.0),
        violations=violations,
        counts={each.checker: 1 for each in violations},
        naked=NakedLedger(),
        figures=Figures(),
        played=(),
        hits=Hits(),
        weight_peak=0,
        virtual_ms=3_600_000,
        cpu_s=1.0,
    )


def report(**given) -> Report:
    usual = {
        "title": "Drill",
        "asked": f"holdfast drill {NASTY}",
        "origin": Origin(commit="c", lock="l", python="3"),
        "verdict": "one violated",
        "held": False,
    }
    return Report(**{**usual, **given})


# --- the lines around a violation --------------------------------------------------------------------


def test_a_scene_holds_what_is_near_and_what_bears_its_ids(violation) -> None:
    course = recording(
        entry(-500_000, "decided long ago", client_id="hf-1", correlation_id="trade-9"),
        entry(-400_000, "of the same decision", correlation_id="trade-9"),
        entry(-400_000, "long ago, of another", client_id="hf-8"),
        entry(-1_000, "just before", symbol=BTC),
        entry(-1_000, "another symbol", symbol=ETH),
        entry(-30_000, "routine", routine=True),
        entry(-1_000, "routine close by", routine=True),
        entry(2_000, "just after"),
        entry(90_000, "long after"),
    )
    shown = scene(course, violation)
    assert [each.text for each in shown.entries] == [
        "decided long ago",
        "of the same decision",
        "just before",
        "routine close by",
        "just after",
    ]
    assert shown.symbol == BTC
    assert shown.left_out == 2


def test_a_scene_stays_readable_where_much_happens(violation) -> None:
    shown = scene(recording(*(entry(-n * 10, f"line {n}") for n in range(1_000))), violation)
    assert len(shown.entries) == LINES_MAX
    assert shown.entries[-1].text == "line 0"
    assert shown.left_out == 1_000 - LINES_MAX


def test_the_lines_say_when_who_what_and_whose(violation) -> None:
    course = recording(
        entry(-1_234, "enter buy 2", lane=Lane.SENT, symbol=BTC, client_id="hf-1", correlation_id="trade-9"),
        entry(0, "S2: two entries", lane=Lane.VERDICT, symbol=BTC),
    )
    told = list(explained(course, [violation]))
    assert told[0].startswith(f"S2 at {AT_MS}: two entries")
    assert told[2] == "   00:09:58.766     -1.234 s  sent     BTC/USDT  enter buy 2  [hf-1 trade-9]"
    assert told[3].startswith(">> 00:10:00.000")


# --- the page ----------------------------------------------------------------------------------------


class Wellformed(HTMLParser):
    """Every element is closed by its own end, and nothing is fetched or run."""

    VOID = ("meta",)

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs) -> None:
        self.seen.add(tag)
        names = dict(attrs)
        assert not {"src", "href", "onload", "onclick", "style"} & set(names), (tag, names)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag

    @classmethod
    def read(cls, text: str) -> Wellformed:
        parser = cls()
        parser.feed(text)
        parser.close()
        assert parser.open == []
        return parser


def test_the_page_is_whole_and_needs_nothing(violation) -> None:
    course = recording(entry(-1_000, "enter buy 2", lane=Lane.SENT, symbol=BTC))
    found = Found(judged=judged(violation), shown=judged(violation), recording=course, files=("7-S2.json",))
    text = page(report(totals=Totals(worlds=1), found=[found]))
    read = Wellformed.read(text)
    assert {"svg", "polyline", "rect", "table", "style"} <= read.seen
    assert "script" not in read.seen
    assert not re.search(r"https?://|@import|url\(", text)
    assert 'name="viewport"' in text
    assert "--replay 7-S2.json" in text


def test_nothing_that_was_said_becomes_markup(violation) -> None:
    course = recording(entry(-1_000, NASTY, symbol=BTC, client_id=NASTY, lane=Lane.DECIDED))
    course.troubles.append(Bar(since_ms=AT_MS - 1, until_ms=AT_MS, text=NASTY))
    nasty = Violation(checker="S2", at_ms=AT_MS, text=f"{NASTY} on {BTC}", facts={"client_id": NASTY})
    found = Found(judged=judged(nasty), shown=judged(nasty), recording=course, files=(NASTY,))
    text = page(report(verdict=NASTY, notes=[NASTY], found=[found]))
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 8
    Wellformed.read(text)


def test_a_page_without_anything_is_a_page_too() -> None:
    Wellformed.read(page(report(held=True)))


def test_a_violation_without_a_symbol_or_a_course_is_drawn_all_the_same() -> None:
    lone = Violation(checker="L2", at_ms=AT_MS, text="the mode is reduce_only for no stated reason")
    found = Found(judged=judged(lone), shown=judged(lone), recording=Recording())
    Wellformed.read(page(report(found=[found])))
