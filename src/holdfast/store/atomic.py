"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from holdfast.store.errors import StoreError


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Replace *path* by *data* in one step: a reader sees the old file or the new one, whole.

    *durable* also makes it outlast a power cut before this returns. Raises `StoreError`; the old
    file is untouched then.
    """
    try:
        _replace(path, data, mode, durable)
    except OSError as error:
        raise StoreError(f"file {path}: expected to write it, found: {error.strerror}") from error


def _replace(path: Path, data: bytes, mode: int, durable: bool) -> None:
    # One per process: whoever writes files of ours writes one after the other.
    name = f"{path.parent}/.{path.name}.{os.getpid()}.new"
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* (a new or renamed file) outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
