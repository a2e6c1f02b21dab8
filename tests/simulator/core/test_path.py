from hypothesis import given
from hypothesis import strategies as st

from holdfast.simulator.core.bars import Bar
from holdfast.simulator.core.path import minutes, walk

prices = st.floats(0.0001, 100_000, allow_nan=False)


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    opened, close = draw(prices), draw(prices)
    high = max(opened, close) * draw(st.floats(1, 1.5))
    low = min(opened, close) * draw(st.floats(0.5, 1))
    return Bar(opened, high, low, close, draw(st.floats(0, 1e6)))


@given(bars(), st.integers(4, 600))
def test_a_walk_keeps_its_candle(bar: Bar, steps: int) -> None:
    """First and last are open and close, both extremes are hit, and nothing lies beyond them."""
    path = walk(bar, steps)
    assert len(path) == steps
    assert (path[0], path[-1]) == (bar.open, bar.close)
    slack = bar.high * 1e-12
    assert abs(max(path) - bar.high) <= slack
    assert abs(min(path) - bar.low) <= slack


def test_a_rising_candle_visits_its_low_first() -> None:
    path = walk(Bar(100, 110, 90, 105, 1))
    assert path.index(90) < path.index(110)


def test_a_falling_candle_visits_its_high_first() -> None:
    path = walk(Bar(105, 110, 90, 100, 1))
    assert path.index(110) < path.index(90)


@given(bars(), st.sampled_from([3, 5, 15, 60]))
def test_minutes_of_a_longer_candle_rebuild_it(bar: Bar, count: int) -> None:
    parts = minutes(bar, count)
    assert len(parts) == count
    assert (parts[0].open, parts[-1].close) == (bar.open, bar.close)
    assert abs(max(part.high for part in parts) - bar.high) <= bar.high * 1e-12
    assert abs(min(part.low for part in parts) - bar.low) <= bar.high * 1e-12
    assert abs(sum(part.volume for part in parts) - bar.volume) <= 1e-6 * (1 + bar.volume)
