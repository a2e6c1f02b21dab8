"""The disk port: how files of our own are written, so that in a drill their writes can fail and be lost.

Reading needs none: what is there can be read. The database has means of its own to fail and to crash.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO, Protocol


class Disk(Protocol):
    """All calls block and raise `OSError`."""

    def append(self, path: Path) -> IO[bytes]:
        """The file open at its end, made if it is missing; what is written is durable some time later."""
        ...

    def replace(self, path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
        """Put *data* in the file's place in one step: a reader sees the old one or the new one, whole.

        *durable* also makes it outlast a power cut before this returns. The old file is untouched when
        this raises.
        """
        ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut it off behind *size* bytes."""
        ...

    def rename(self, path: Path, to: Path) -> None: ...


class SystemDisk:
    """The operating system's own."""

    def append(self, path: Path) -> IO[bytes]:
        return path.open("ab")

    def replace(self, path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
        # One per process: whoever writes files of ours writes one after the other.
        name = f"{path.parent}/.{path.name}.{os.getpid()}.new"
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            try:
                _write_all(handle, data)
                os.fchmod(handle, mode)
                if durable:
                    os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            raise
        if durable:
            sync_folder(path.parent)

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def rename(self, path: Path, to: Path) -> None:
        path.rename(to)


SYSTEM_DISK = SystemDisk()


def _write_all(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* (a new or renamed file) outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
