"""The clock holds back while somebody lags, and never exceeds what was asked."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.pace import PaceFile
from holdfast.runtime.pacer import PaceLimits, Pacer, next_speed

MAY = 1_746_057_600_000
LIMITS = PaceLimits(ceiling=20.0)


@pytest.fixture
def pace(tmp_path):
    made = PaceFile.create(tmp_path / "pace", start_ms=MAY, speed=1.0)
    yield made
    made.close()


def keep_up(pace, slot, late_ns=0):
    now_ns = pace.segment().market_ns(time.monotonic_ns())
    pace.beat(slot, due_ns=now_ns + 1_000_000_000, late_ns=late_ns)


@given(
    speed=st.floats(0.1, 200),
    late=st.floats(0, 1e9),
    ceiling=st.floats(0.5, 100),
)
def test_speed_never_exceeds_the_ceiling_nor_stops(speed, late, ceiling):
    limits = PaceLimits(ceiling=ceiling)
    assert min(1.0, ceiling) <= next_speed(speed, late, limits) <= ceiling


@given(speed=st.floats(1, 20), late=st.floats(1_500.1, 1e9))
def test_a_late_process_never_makes_the_clock_faster(speed, late):
    assert next_speed(speed, late, LIMITS) <= speed


@pytest.mark.parametrize(
    ("late_ms", "expected"), [(0, 11.0), (750, 11.0), (800, 10.0), (1_500, 10.0), (1_501, 8.0), (4_001, 4.0)]
)
def test_speed_rises_slowly_and_falls_fast(late_ms, expected):
    assert next_speed(10.0, late_ms, LIMITS) == pytest.approx(expected)


def test_a_stalled_process_brings_the_clock_to_its_floor_in_four_turns(pace):
    pace.set_speed(20.0)
    pacer = Pacer(pace, (0,), LIMITS)
    pace.beat(0, due_ns=pace.segment().market_ns(time.monotonic_ns()) - 9_000_000_000, late_ns=0)
    assert [pacer.turn() for _ in range(4)] == pytest.approx([8.0, 3.2, 1.28, 1.0])


def test_the_clock_waits_for_processes_that_still_start(pace):
    pacer = Pacer(pace, (0, 1), LIMITS)
    keep_up(pace, 0)
    assert [pacer.turn() for _ in range(20)] == [1.0] * 20
    for _ in range(200):
        keep_up(pace, 0)
        keep_up(pace, 1)
        speed = pacer.turn()
    assert speed == 20.0


def test_a_lagging_process_slows_everybody(pace):
    pace.set_speed(20.0)
    pacer = Pacer(pace, (0, 1), LIMITS)
    for _ in range(80):
        keep_up(pace, 0)
        keep_up(pace, 1, late_ns=3_000_000_000)
        pacer.turn()
    assert pace.segment().speed == 1.0
    assert pacer.late_market_ms_max >= 3_000


def test_a_silent_process_counts_as_late_and_one_that_left_does_not(pace):
    pacer = Pacer(pace, (0,), LIMITS)
    pace.beat(0, due_ns=pace.segment().market_ns(time.monotonic_ns()) - 2_000_000_000, late_ns=0)
    assert pacer.late_market_ms() >= 2_000
    pace.leave(0)
    assert pacer.late_market_ms() == 0


async def test_effective_speed_is_what_really_passed(pace):
    pace.set_speed(10.0)
    pacer = Pacer(pace, (), PaceLimits(ceiling=10.0))
    pacer.begin()
    running = asyncio.create_task(pacer.run(), name="pacer")
    await asyncio.sleep(0.3)
    running.cancel()
    real_s, market_s = pacer.elapsed()
    assert market_s == pytest.approx(10 * real_s, rel=0.05)
    assert pacer.effective_speed() == pytest.approx(10, rel=0.05)


def test_a_lower_ceiling_holds_at_once(pace):
    pace.set_speed(20.0)
    Pacer(pace, (), LIMITS).hold(4.0)
    assert pace.segment().speed == 4.0
