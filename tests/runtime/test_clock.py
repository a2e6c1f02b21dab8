"""One clock for several processes: a line over CLOCK_MONOTONIC that may bend but never jumps back."""

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.runtime.clock import RealClock, SharedClock, SteadyClock
from holdfast.runtime.pace import SIZE, BadPaceFile, PaceFile, Segment

MAY = 1_746_057_600_000


@pytest.fixture
def pace(tmp_path):
    made = PaceFile.create(tmp_path / "pace", start_ms=MAY, speed=20.0)
    yield made
    made.close()


def test_real_clock_tells_wall_and_monotonic_milliseconds():
    clock = RealClock()
    before, wall = clock.monotonic_ms(), clock.now_ms()
    assert abs(wall - time.time() * 1000) < 1_000
    assert 0 <= clock.monotonic_ms() - before < 1_000


class Machine:
    """A machine whose clock can be set."""

    def __init__(self):
        self.wall_ms, self.since_boot_ms = MAY, 1_000

    def now_ms(self):
        return self.wall_ms

    def monotonic_ms(self):
        return self.since_boot_ms


def test_steady_clock_goes_on_whatever_is_set_on_the_machine():
    machine = Machine()
    clock = SteadyClock(machine)
    assert clock.now_ms() == MAY
    machine.wall_ms -= 3_600_000
    machine.since_boot_ms += 5
    assert (clock.now_ms(), clock.monotonic_ms()) == (MAY + 5, 1_005)


def test_shared_clock_starts_at_its_epoch_and_runs_scaled(pace):
    clock = SharedClock(pace)
    first_real, first = time.monotonic_ns(), clock.now_ms()
    time.sleep(0.1)
    market_ms, real_ms = clock.now_ms() - first, (time.monotonic_ns() - first_real) / 1e6
    assert 0 <= first - MAY < 20_000
    assert market_ms == pytest.approx(20 * real_ms, rel=0.2)
    assert clock.monotonic_ms() == pytest.approx(clock.now_ms() - MAY, abs=200)


def test_two_processes_read_the_same_time(pace):
    program = (
        "import sys, time; from pathlib import Path\n"
        "from holdfast.runtime.clock import SharedClock; from holdfast.runtime.pace import PaceFile\n"
        "clock = SharedClock(PaceFile.open(Path(sys.argv[1])))\n"
        "print(time.monotonic_ns(), clock.now_ns())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(pace.path)], capture_output=True, text=True, check=True
    )
    real_ns, market_ns = map(int, answer.stdout.split())
    assert pace.segment().market_ns(real_ns) == pytest.approx(market_ns, abs=20_000_000)


@given(speeds=st.lists(st.floats(min_value=0.1, max_value=100), min_size=1, max_size=20))
def test_time_never_runs_backwards_however_speed_changes(tmp_path_factory, speeds):
    pace = PaceFile.create(tmp_path_factory.mktemp("pace") / "p", start_ms=MAY, speed=1.0)
    clock, seen = SharedClock(pace), []
    for speed in speeds:
        seen.append(clock.now_ns())
        pace.set_speed(speed)
        seen.append(clock.now_ns())
    pace.close()
    assert seen == sorted(seen)


@given(
    speed_ppm=st.integers(1, 100_000_000),
    real=st.integers(0, 2**62),
    step=st.integers(0, 10**12),
)
def test_a_segment_is_a_rising_line(speed_ppm, real, step):
    line = Segment(real, MAY * 1_000_000, speed_ppm)
    assert line.market_ns(real) == MAY * 1_000_000
    assert line.market_ns(real + step) >= line.market_ns(real)


def test_a_torn_record_is_refused_not_believed(pace):
    pace._memory[24] ^= 0xFF
    with pytest.raises(BadPaceFile, match="torn"):
        SharedClock(pace).now_ns()


@pytest.mark.parametrize("content", [None, b"", b"x" * SIZE, b"HFPACE01".ljust(SIZE, b"\0")])
def test_what_is_no_pace_file_is_named(tmp_path, content):
    path = tmp_path / "pace"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BadPaceFile, match="expected a"):
        PaceFile.open(path)


def test_beats_of_a_slot_are_read_back_until_it_leaves(pace):
    assert pace.last_beat(1) is None
    pace.beat(1, due_ns=5, late_ns=-3)
    beat = pace.last_beat(1)
    assert beat is not None
    assert (beat.pid, beat.due_ns, beat.late_ns) == (os.getpid(), 5, 0)
    pace.leave(1)
    assert pace.last_beat(1) is None
