from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.account import Candle
from holdfast.strategies.candles import BadCandles, Candles, candles_from
from tests.strategies.markets import MINUTE_MS, START_MS, bars, walk

GOOD = bars(walk(50, seed=1))
NOW_MS = START_MS + 50 * MINUTE_MS


def door(candles: list[Candle], **changes: Any) -> Candles | BadCandles:
    return candles_from(candles, **{"timeframe": "1m", "now_ms": NOW_MS, "bars_needed": 40, **changes})


def spoiled(index: int, **changes: Any) -> list[Candle]:
    return [replace(bar, **changes) if n == index else bar for n, bar in enumerate(GOOD)]


def test_good_candles_pass_with_exactly_the_needed_bars() -> None:
    made = door(GOOD)
    assert isinstance(made, Candles)
    assert len(made) == 40
    assert made.closed_ms == NOW_MS
    assert made.close[-1] == float(GOOD[-1].close)


def test_a_growing_bar_is_left_out() -> None:
    growing = replace(GOOD[-1], open_ms=NOW_MS, closed=False, close=Decimal("NaN"))
    made = door([*GOOD, growing])
    assert isinstance(made, Candles)
    assert made.closed_ms == NOW_MS


def test_a_bar_said_closed_before_its_end_is_left_out() -> None:
    made = door(GOOD, now_ms=NOW_MS - 1)
    assert isinstance(made, Candles)
    assert made.closed_ms == NOW_MS - MINUTE_MS


@pytest.mark.parametrize(
    ("candles", "words"),
    [
        ([], "expected 40 closed bars, found 0"),
        (GOOD[:30], "found 30"),
        (GOOD[:25] + GOOD[26:], "a gap before bar"),
        ([*GOOD[:25], GOOD[26], GOOD[25], *GOOD[27:]], "a gap before bar"),
        (GOOD[:26] + GOOD[25:], "disorder before bar"),
        (spoiled(30, open_ms=GOOD[30].open_ms + 1), "expected a multiple of 60000 ms"),
        (spoiled(30, close=Decimal("NaN")), "expected finite numbers above 0"),
        (spoiled(30, low=Decimal(0)), "expected finite numbers above 0"),
        (spoiled(30, open=Decimal(-5)), "expected finite numbers above 0"),
        (spoiled(30, high=Decimal("1e999")), "expected finite numbers above 0"),
        (spoiled(30, volume=Decimal("NaN")), "has volume nan"),
        (spoiled(30, volume=Decimal(-1)), "has volume -1"),
        (spoiled(30, high=Decimal(1)), "outside its high and low"),
        (spoiled(30, high=Decimal(400)), "expected at most 50%"),
        (GOOD[:-3], "the last bar closed 180000 ms ago"),
    ],
)
def test_bad_candles_are_turned_away_with_a_reason(candles: list[Candle], words: str) -> None:
    """G28: what, where, expected and found."""
    result = door(candles)
    assert isinstance(result, BadCandles)
    assert words in result.reason


def test_bad_bars_before_the_needed_ones_do_not_matter() -> None:
    assert isinstance(door(spoiled(5, close=Decimal("NaN"))), Candles)


def test_zero_volume_is_a_quiet_minute_not_a_fault() -> None:
    assert isinstance(door(spoiled(30, volume=Decimal(0))), Candles)


numbers = st.sampled_from(["NaN", "Infinity", "-1", "0", "1e-300", "1e300", "100", "99.9"]).map(Decimal)


@given(st.integers(10, 49), st.sampled_from(["open", "high", "low", "close"]), numbers)
def test_no_spoiled_price_ever_breaks_or_passes_the_door(index: int, name: str, value: Decimal) -> None:
    """Whatever passes is finite, positive and within its high and low."""
    made = door(spoiled(index, **{name: value}))
    if isinstance(made, BadCandles):
        assert made.reason
        return
    assert (made.low > 0).all()
    assert (made.low <= made.close).all()
    assert (made.close <= made.high).all()
    assert (made.high < 1e6).all()
