"""Every row of the gauntlet, in virtual time."""

from __future__ import annotations

import pytest

from holdfast.drills.gauntlet import Verdict, rows, run_row


@pytest.mark.parametrize("name", rows())
def test_the_row_holds(name: str) -> None:
    outcome = run_row(rows()[name])
    assert outcome.verdict in (Verdict.HELD, Verdict.EXPECTED), outcome.why
