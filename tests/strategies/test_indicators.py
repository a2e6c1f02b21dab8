from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.strategies import indicators
from tests.strategies.markets import arrays, bars, flat_then_trend, walk, zigzag

CANDLES = arrays(bars(walk(200, seed=3)), 200)


@given(st.integers(20, 199), st.integers(2, 20))
@settings(max_examples=30)
def test_channel_is_of_the_bars_before_only(at: int, size: int) -> None:
    top, bottom = indicators.channel_top(CANDLES, size), indicators.channel_bottom(CANDLES, size)
    assert top[at] == max(CANDLES.high[at - size : at])
    assert bottom[at] == min(CANDLES.low[at - size : at])


def test_indicators_are_no_numbers_until_warm() -> None:
    for values in (
        indicators.adx(CANDLES, 14),
        indicators.atr(CANDLES, 14),
        indicators.channel_top(CANDLES, 9),
    ):
        assert len(values) == len(CANDLES)
        assert np.isnan(values[0])
        assert np.isfinite(values[-1])


def test_adx_tells_trend_from_range() -> None:
    trend = arrays(bars(flat_then_trend(150, 50, 0.001)), 200)
    sideways = arrays(bars(zigzag(200)), 200)
    assert indicators.adx(trend, 14)[-1] > 50
    assert indicators.adx(sideways, 14)[-1] < 20
    assert indicators.plus_di(trend, 14)[-1] > 3 * indicators.minus_di(trend, 14)[-1]


def test_atr_is_the_typical_range() -> None:
    even = arrays(bars([100.0] * 60, wick=0.001), 60)
    assert indicators.atr(even, 14)[-1] == pytest.approx(0.2)


def test_efficiency_is_one_for_a_straight_line() -> None:
    straight = arrays(bars([100 + n / 10 for n in range(40)]), 40)
    assert indicators.efficiency(straight, 20) == pytest.approx(1)
    assert indicators.efficiency(arrays(bars(zigzag(40)), 40), 20) == pytest.approx(0)
    assert indicators.efficiency(arrays(bars([100.0] * 40), 40), 20) == 0


@pytest.mark.parametrize(("held", "bars_held"), [([1, 0, 1, 1], 2), ([1, 1], 2), ([0, 1, 0], 0), ([], 0)])
def test_bars_since_counts_the_unbroken_end(held: list[int], bars_held: int) -> None:
    assert indicators.bars_since(np.array(held, dtype=bool)) == bars_held
