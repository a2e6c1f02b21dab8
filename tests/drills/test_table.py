"""Generated pages are what their generator says: never edited, never stale."""

from __future__ import annotations

import re

from holdfast.drills.gauntlet import rows
from holdfast.drills.table import CATALOGUE, PAGE, troubles
from holdfast.drills.wires import WIRES

STALE = "stale: run ./dev guarantees"


def test_the_catalogue_is_fresh() -> None:
    assert CATALOGUE.read_text("utf-8") == troubles(), STALE


def test_the_guarantees_name_every_drill_in_order_and_no_other() -> None:
    """What stands in each line is compared where the drill is run: gauntlet/test_rows.py."""
    named = re.findall(r"^\| (G\d\d\S*) \|", PAGE.read_text("utf-8"), re.M)
    assert named == list(rows()) * len(WIRES), STALE
