"""Files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from holdfast.runtime.disk import SYSTEM_DISK, Disk
from holdfast.store.errors import StoreError


def write_atomic(
    path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True, disk: Disk = SYSTEM_DISK
) -> None:
    """Replace *path* by *data* in one step: a reader sees the old file or the new one, whole.

    *durable* also makes it outlast a power cut before this returns. Raises `StoreError`; the old
    file is untouched then.
    """
    try:
        disk.replace(path, data, mode=mode, durable=durable)
    except OSError as error:
        raise StoreError(f"file {path}: expected to write it, found: {error.strerror}") from error
