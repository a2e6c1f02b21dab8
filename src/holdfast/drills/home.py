"""A bot's home in a drill: made from a template, left as a crash leaves it.

On memory where there is some: a drill makes thousands of commits, and every one is flushed.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from holdfast.store.database import Store, open_store
from holdfast.store.home import Home

MEMORY = Path("/dev/shm")  # noqa: S108  (folders in it are made with names of their own)
PREFIX = "holdfast-drill-"
WAL_HEADER, FRAME_HEADER = 32, 24


def new_folder() -> Path:
    """A fresh folder, on memory if possible; whoever asks removes it."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_where()))


def _where() -> Path:
    return MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())


def sweep() -> None:
    """Remove the folders of drills that were killed: nobody else would, and they lie in memory."""
    for folder in _where().glob(f"{PREFIX}*-*"):
        pid = folder.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdecimal() and not _lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def new_home() -> Iterator[Home]:
    """A prepared home with an up-to-date, empty database; gone at the end."""
    folder = new_folder()
    try:
        home = Home(folder)
        home.prepare()
        shutil.copyfile(template(), home.database)
        yield home
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@cache
def template() -> Path:
    """A migrated, empty database: migrations run once per process, not once per world."""
    sweep()
    folder = new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "template.db"
    open_store(path).close()
    return path


def crash_store(home: Home, store: Store, torn: random.Random | None) -> None:
    """Leave the database as the death of its process does: every commit is there, nothing was tidied up.

    *torn* also tears the log, as a power cut does: past the last commit stand some bytes of a frame that
    was being written.
    """
    wal = home.database.with_name(home.database.name + "-wal")
    kept = {path: path.read_bytes() for path in (home.database, wal) if path.exists()}
    store.close()  # would have tidied up: what it left is put back
    for path, data in kept.items():
        path.write_bytes(data + _torn_frame(data, torn) if path == wal and torn is not None else data)


def _torn_frame(wal: bytes, chance: random.Random) -> bytes:
    """The beginning of the log's last frame once more, as if it were the next: no check word fits it."""
    page = int.from_bytes(wal[8:12], "big")
    if len(wal) < WAL_HEADER + FRAME_HEADER + page:
        return b""
    frame = wal[-(FRAME_HEADER + page) :]
    return frame[: chance.randrange(1, len(frame))]
