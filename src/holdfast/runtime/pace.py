"""The pace file: a few bytes of shared memory that tell several processes what time it is.

CLOCK_MONOTONIC is one clock for all processes of a machine, so market time is a line over it: a
*segment* (real base, market base, speed). One process writes segments, all read them. Each process
that follows the clock has a *slot* in which it says how late its timers fire: the writer (see
`pacer.py`) slows the line down while somebody cannot keep up, so that "20 × real time" never turns
into time-outs that the market did not cause.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"HFPACE01"
SIMULATOR_SLOT = 0
BOT_SLOT = 1
"""The first bot's; others have those behind it."""
SLOTS = 4

_HEAD = struct.Struct("<8sQ")
_SEGMENT = struct.Struct("<QQQQQ")
_SLOT = struct.Struct("<QQQQ")
_SEGMENT_AT = _HEAD.size
_SLOTS_AT = _SEGMENT_AT + _SEGMENT.size
SIZE = _SLOTS_AT + SLOTS * _SLOT.size

_PPM = 1_000_000
_SALT = 0x9E3779B97F4A7C15
_READS_MAX = 10_000


class BadPaceFile(ValueError):
    """The file is missing, is no pace file, or its writer died in the middle of a write."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Market time from *real_base_ns* (CLOCK_MONOTONIC) on: a line with *speed_ppm* as its slope."""

    real_base_ns: int
    market_base_ns: int
    speed_ppm: int

    @property
    def speed(self) -> float:
        return self.speed_ppm / _PPM

    def market_ns(self, real_ns: int) -> int:
        """Market time (ns since the Unix epoch) at *real_ns*."""
        return self.market_base_ns + (real_ns - self.real_base_ns) * self.speed_ppm // _PPM


@dataclass(frozen=True, slots=True)
class Beat:
    """A process's last sign of life; all times are market time in ns."""

    pid: int
    due_ns: int
    """When it meant to beat again: past that it is silent."""
    late_ns: int
    """How late its timers fire."""


class PaceFile:
    """One open pace file. Reading takes about a microsecond; nothing here blocks."""

    def __init__(self, path: Path, memory: mmap.mmap) -> None:
        self.path = path
        self._memory = memory
        self.start_ms: int = _HEAD.unpack_from(memory, 0)[1]

    @classmethod
    def create(cls, path: Path, *, start_ms: int, speed: float) -> PaceFile:
        """Make the file; market time starts now at *start_ms* (UTC epoch)."""
        with path.open("xb") as file:
            file.write(_HEAD.pack(MAGIC, start_ms).ljust(SIZE, b"\0"))
        pace = cls.open(path, started=False)
        pace.write_segment(Segment(time.monotonic_ns(), start_ms * 1_000_000, round(speed * _PPM)))
        return pace

    @classmethod
    def open(cls, path: Path, *, started: bool = True) -> PaceFile:
        """Join a clock that another process made. Raises `BadPaceFile`."""
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError as error:
            raise BadPaceFile(f"{path}: expected a pace file, found: {error.strerror}") from error
        try:
            if os.fstat(descriptor).st_size != SIZE:
                raise BadPaceFile(f"{path}: expected a pace file of {SIZE} bytes, found another size")
            memory = mmap.mmap(descriptor, SIZE)
        finally:
            os.close(descriptor)
        if memory[: len(MAGIC)] != MAGIC:
            memory.close()
            raise BadPaceFile(f"{path}: expected a pace file, found something else")
        pace = cls(path, memory)
        if started:
            pace.segment()
        return pace

    def segment(self) -> Segment:
        """The line in force. Raises `BadPaceFile` when no whole record can be read.

        The record is a sequence lock with a check word: a reader that meets a write half done
        (odd sequence, or a check that does not fit, on machines that reorder stores) reads again.
        """
        for _ in range(_READS_MAX):
            sequence, real_ns, market_ns, speed_ppm, check = _SEGMENT.unpack_from(self._memory, _SEGMENT_AT)
            if sequence and not sequence & 1 and check == _check(sequence, real_ns, market_ns, speed_ppm):
                return Segment(real_ns, market_ns, speed_ppm)
        raise BadPaceFile(f"{self.path}: expected a whole time record, found a torn one")

    def write_segment(self, segment: Segment) -> None:
        """Put a new line in force; only one process may write."""
        sequence = _SEGMENT.unpack_from(self._memory, _SEGMENT_AT)[0] | 1
        fields = (segment.real_base_ns, segment.market_base_ns, segment.speed_ppm)
        _SEGMENT.pack_into(self._memory, _SEGMENT_AT, sequence, *fields, 0)
        _SEGMENT.pack_into(self._memory, _SEGMENT_AT, sequence + 1, *fields, _check(sequence + 1, *fields))

    def set_speed(self, speed: float) -> None:
        """Bend the line at this moment; market time itself does not jump."""
        now_ns = time.monotonic_ns()
        self.write_segment(Segment(now_ns, self.segment().market_ns(now_ns), round(speed * _PPM)))

    def beat(self, slot: int, *, due_ns: int, late_ns: int) -> None:
        """Say that this process lives, when it will say so again, and how late its timers fire."""
        fields = (os.getpid(), due_ns, max(0, late_ns))
        _SLOT.pack_into(self._memory, _SLOTS_AT + slot * _SLOT.size, *fields, _check(*fields))

    def leave(self, slot: int) -> None:
        """This process no longer follows the clock: nobody has to wait for it."""
        _SLOT.pack_into(self._memory, _SLOTS_AT + slot * _SLOT.size, 0, 0, 0, 0)

    def last_beat(self, slot: int) -> Beat | None:
        """The slot's last beat; None when nobody is there, or it is being written just now."""
        *fields, check = _SLOT.unpack_from(self._memory, _SLOTS_AT + slot * _SLOT.size)
        return Beat(*fields) if fields[0] and check == _check(*fields) else None

    def close(self) -> None:
        self._memory.close()


def _check(*words: int) -> int:
    result = _SALT
    for word in words:
        result = (result * 31 + word) & 0xFFFF_FFFF_FFFF_FFFF
    return result
