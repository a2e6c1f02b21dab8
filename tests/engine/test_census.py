"""When all stops and orders are read: in turn, after a gap at once, and in a storm of gaps not each time."""

from __future__ import annotations

import pytest

from holdfast.decisions.step import Read, Want
from holdfast.engine.census import AFTER_GAP_MS, census_wants
from tests.decisions.examples import NOW_MS
from tests.decisions.holdings import FRESH
from tests.engine.parts import state


@pytest.mark.parametrize(
    ("read_ms", "gap_ms", "at_ms", "urgent"),
    [
        (NOW_MS, 0, NOW_MS + FRESH.census_ms, False),
        (NOW_MS, NOW_MS - 1, NOW_MS + FRESH.census_ms, False),
        (NOW_MS - 60_000, NOW_MS, NOW_MS, True),
        (NOW_MS - 1_000, NOW_MS, NOW_MS - 1_000 + AFTER_GAP_MS, True),
    ],
)
def test_census_is_due(read_ms: int, gap_ms: int, at_ms: int, urgent: bool) -> None:
    """Eleven gaps in a minute brought the weight of twenty-two: seed 40016 of half an hour (S11)."""
    bot = state()
    bot.census_ms = bot.orders_census_ms = read_ms
    assert list(census_wants(bot, FRESH, gap_ms)) == [
        Want(Read.STOPS, None, at_ms, urgent=urgent),
        Want(Read.ORDERS, None, at_ms, urgent=urgent),
    ]
