"""The disk port in a drill: files that fail, and that lose at a power cut what was not synced."""

from __future__ import annotations

import errno
import io
import os
import random
from pathlib import Path
from typing import IO

from holdfast.runtime.disk import SYSTEM_DISK
from holdfast.store import audit
from holdfast.store.audit_file import verify_file
from holdfast.store.database import open_store
from holdfast.store.home import Home

FULL, READ_ONLY = errno.ENOSPC, errno.EROFS
ROOM_BYTES = 4096
"""So much at most still fits on a disk that has just become full."""


class DrillDisk:
    """`runtime.disk.Disk` over real files, for all lives of a world's bot."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._error = 0
        self._room = 0
        self._lengths: dict[Path, int] = {}
        """Of appended files: the bytes that outlive a power cut."""
        self._before: dict[Path, bytes | None] = {}
        """Of replaced files: what stood there when they were last synced; None = nothing."""
        self.hurt = False
        """A write failed, or something was lost."""

    def fail(self, error: int) -> None:
        """From now on every write fails so, `FULL` or `READ_ONLY`; 0: it works again."""
        if error and not self._error:
            self._room = self._chance.randrange(ROOM_BYTES)
        self._error = error

    def cut_power(self) -> None:
        """What was not synced is lost: of appended files a part of their end, at any byte, of replaced ones
        the change, or all but the beginning of what came in."""
        self.hurt = True
        for path, length in self._lengths.items():
            if path.exists():
                os.truncate(path, self._chance.randint(min(length, path.stat().st_size), path.stat().st_size))
        for path, before in self._before.items():
            if path.exists():
                self._lose(path, before)
        self._lengths.clear()
        self._before.clear()

    def _lose(self, path: Path, before: bytes | None) -> None:
        now = path.read_bytes()
        torn = now[: self._chance.randint(0, len(now))]
        left = self._chance.choice((before, now, torn))
        if left is None:
            path.unlink()
        else:
            path.write_bytes(left)

    # --- the port ------------------------------------------------------------------------------------

    def append(self, path: Path) -> IO[bytes]:
        self._refuse(READ_ONLY)
        file = _File(path, self)
        self._lengths.setdefault(path, file.tell())
        return io.BufferedWriter(file)

    def replace(self, path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
        self._refuse(FULL, READ_ONLY)
        if durable:
            self._before.pop(path, None)
        elif path not in self._before:
            self._before[path] = path.read_bytes() if path.exists() else None
        # A flush costs real time, and what outlives is kept by us.
        SYSTEM_DISK.replace(path, data, mode=mode, durable=False)

    def truncate(self, path: Path, size: int) -> None:
        self._refuse(READ_ONLY)
        SYSTEM_DISK.truncate(path, size)

    def rename(self, path: Path, to: Path) -> None:
        self._refuse(READ_ONLY)
        SYSTEM_DISK.rename(path, to)
        if path in self._lengths:
            self._lengths[to] = self._lengths.pop(path)

    def room(self, wanted: int) -> int:
        """How many of *wanted* bytes can be written; raises when none can."""
        self._refuse(READ_ONLY)
        if not self._error:
            return wanted
        fits = min(wanted, self._room)
        self._room -= fits
        if wanted and not fits:
            self._refuse(FULL)
        return fits

    def _refuse(self, *errors: int) -> None:
        """Raise what stands, if it is one of these."""
        if self._error in errors:
            self.hurt = True
            raise OSError(self._error, os.strerror(self._error))


class _File(io.FileIO):
    """Takes what its disk has room for."""

    def __init__(self, path: Path, disk: DrillDisk) -> None:
        super().__init__(path, "ab")
        self._disk = disk
        self.seek(0, io.SEEK_END)

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        return super().write(view[: self._disk.room(view.nbytes)]) or 0


def audit_file_fault(home: Home) -> str:
    """After the bot's end in order: why its audit file is not the whole chain of the store; "" = it is."""
    store = open_store(home.database)
    try:
        found = verify_file(home.audit, expected_head=store.read(audit.head))
    finally:
        store.close()
    return "" if found.ok else f"line {found.first_bad}: {found.reason}"
