"""Every row of the gauntlet, in virtual time: at Binance, and every fourth at one of the others by turns.

All of them at all three run in `./dev soak` and `./dev guarantees`.
"""

from __future__ import annotations

import re

import pytest

from holdfast.drills.gauntlet import Verdict, row_named, rows, rows_of, run_row
from holdfast.drills.gauntlet.elsewhere import ABSENT, NEEDS
from holdfast.drills.table import OTHERS, PAGE
from holdfast.drills.wires import WIRES

FINE = (Verdict.HELD, Verdict.EXPECTED)


def by_turns() -> list[str]:
    """Every fourth row at one exchange, the other way round where it is not there."""
    chosen = []
    for place, row in enumerate(list(rows().values())[::4]):
        first, second = OTHERS if place % 2 else OTHERS[::-1]
        there = next((row.at(each) for each in (first, second) if not row.at(each).absent), None)
        chosen += [there.name] if there is not None else []
    return chosen


@pytest.mark.parametrize("name", rows())
def test_the_row_holds(name: str) -> None:
    outcome = run_row(rows()[name])
    assert outcome.verdict in FINE, outcome.why


@pytest.mark.parametrize("name", by_turns())
def test_the_row_holds_elsewhere(name: str) -> None:
    outcome = run_row(row_named(name))
    assert outcome.verdict in FINE, outcome.why


def test_what_is_said_of_other_exchanges_is_said_of_rows_that_exist() -> None:
    for table in (ABSENT, NEEDS):
        assert not table.keys() - rows().keys()
        assert all(said.keys() <= WIRES.keys() for said in table.values())


def test_a_row_is_not_both_absent_and_awaited() -> None:
    assert not [name for name, at in ABSENT.items() if at.keys() & NEEDS.get(name, {}).keys()]


def test_the_page_says_of_each_exchange_what_is_awaited_there() -> None:
    """Strict expected failures are listed, and a row that does not exist there says why."""
    text = PAGE.read_text("utf-8")
    for exchange in OTHERS:
        part = text.split(f"## At {({'bingx': 'BingX', 'bitget': 'Bitget'})[exchange]}")[1].split("\n## ")[0]
        listed = re.findall(r"^\| (G\d\d\S*) \| expected to fail", part, re.M)
        assert listed == [row.id for row in rows_of((), exchange) if row.needs], "stale: run ./dev guarantees"
