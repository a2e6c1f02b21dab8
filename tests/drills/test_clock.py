"""The clocks and the chance of a drill."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.drills.clock import EPOCH_MS, VirtualClock
from holdfast.drills.randomness import Chance, Stream


@dataclass
class Time:
    """What the loop says."""

    s: float = 0.0

    def __call__(self) -> float:
        return self.s


def test_a_clock_follows_the_loop() -> None:
    time = Time()
    clock = VirtualClock(time)
    assert (clock.now_ms(), clock.monotonic_ms()) == (EPOCH_MS, 0)
    time.s = 3600.25
    assert (clock.now_ms(), clock.monotonic_ms()) == (EPOCH_MS + 3_600_250, 3_600_250)
    assert clock.now_s() == EPOCH_MS / 1000 + 3600.25


def test_milliseconds_are_not_lost_by_rounding() -> None:
    time = Time()
    clock = VirtualClock(time)
    for ms in range(0, 100_000_000, 999_983):
        time.s = ms / 1000
        assert (clock.now_ms() - EPOCH_MS, clock.monotonic_ms()) == (ms, ms)


def test_a_stepped_clock_leaves_the_monotonic_one_alone() -> None:
    time = Time(10.0)
    clock = VirtualClock(time)
    clock.step(-5_000)
    assert clock.now_ms() == EPOCH_MS + 5_000
    clock.step(1_500)
    assert (clock.now_ms(), clock.monotonic_ms()) == (EPOCH_MS + 6_500, 10_000)
    clock.correct()
    assert clock.now_ms() == EPOCH_MS + 10_000


def test_drift_grows_and_stays_when_it_ends() -> None:
    time = Time()
    clock = VirtualClock(time)
    clock.drift(200)
    time.s = 1_000.0
    assert clock.skew_ms() == 200
    clock.drift(-100)
    time.s = 3_000.0
    assert clock.skew_ms() == 0
    clock.drift(500)
    time.s = 4_000.0
    clock.drift(0)
    time.s = 9_000.0
    assert clock.skew_ms() == 500


def test_a_draw_in_one_stream_shifts_no_other() -> None:
    one, other = Chance(7), Chance(7)
    one.stream(Stream.FAULTS).random()
    for stream in (Stream.NETWORK, Stream.SCHEDULE, Stream.DISK):
        assert one.stream(stream).random() == other.stream(stream).random()
    assert one.stream(Stream.NETWORK, 1).random() != one.stream(Stream.NETWORK, 2).random()
    assert Chance(8).stream(Stream.IDS).random() != Chance(7).stream(Stream.IDS).random()
