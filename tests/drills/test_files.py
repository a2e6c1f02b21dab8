"""The drill's disk port: it refuses as a disk does, and a power cut takes what was not synced."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from holdfast.drills.files import FULL, READ_ONLY, ROOM_BYTES, DrillDisk, audit_file_fault
from holdfast.drills.home import new_home
from holdfast.store import audit
from holdfast.store.audit_file import AuditFile
from holdfast.store.database import Store, open_store

NOW = 1_746_516_845_678


@pytest.fixture
def disk() -> DrillDisk:
    return DrillDisk(random.Random(4))


def append(disk: DrillDisk, path: Path, data: bytes) -> None:
    with disk.append(path) as file:
        file.write(data)


def tell(store: Store, count: int) -> None:
    for number in range(count):
        store.write(lambda c, n=number: audit.append(c, "TEST", "", {"n": n}, NOW))


def test_a_full_disk_takes_a_part_then_nothing_and_keeps_what_is_there(
    disk: DrillDisk, tmp_path: Path
) -> None:
    path, kept = tmp_path / "log", tmp_path / "snapshot"
    append(disk, path, b"before\n")
    disk.replace(kept, b"old")
    disk.fail(FULL)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        append(disk, path, b"x" * ROOM_BYTES)
    length = path.stat().st_size
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        append(disk, path, b"y")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        disk.replace(kept, b"new")
    assert (path.stat().st_size, kept.read_bytes()) == (length, b"old")
    disk.truncate(path, 7)  # making room needs none
    disk.fail(0)
    append(disk, path, b"after\n")
    assert path.read_bytes() == b"before\nafter\n"


def test_a_read_only_disk_takes_no_change_at_all(disk: DrillDisk, tmp_path: Path) -> None:
    path = tmp_path / "log"
    append(disk, path, b"before\n")
    disk.fail(READ_ONLY)
    changes = (
        lambda: disk.append(path),
        lambda: disk.replace(path, b"new"),
        lambda: disk.truncate(path, 0),
        lambda: disk.rename(path, tmp_path / "other"),
    )
    for change in changes:
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            change()
    assert path.read_bytes() == b"before\n"
    assert disk.hurt


def test_a_power_cut_takes_any_part_of_what_was_not_synced(tmp_path: Path) -> None:
    lengths, contents, synced = set[int](), set[bytes | None](), set[bytes]()
    for seed in range(60):
        disk, folder = DrillDisk(random.Random(seed)), tmp_path / str(seed)
        folder.mkdir()
        log, shown, durable = folder / "log", folder / "shown", folder / "durable"
        append(disk, log, b"12345")
        disk.replace(shown, b"new", durable=False)
        disk.replace(durable, b"kept")
        disk.cut_power()
        assert b"12345".startswith(log.read_bytes())
        lengths.add(log.stat().st_size)
        contents.add(shown.read_bytes() if shown.exists() else None)
        synced.add(durable.read_bytes())
    assert lengths == set(range(6))
    assert contents >= {None, b"new", b"n"}
    assert synced == {b"kept"}


def test_what_outlived_one_power_cut_outlives_the_next(disk: DrillDisk, tmp_path: Path) -> None:
    path, least = tmp_path / "log", 0
    for _ in range(20):
        append(disk, path, b"a line\n")
        disk.cut_power()
        assert path.stat().st_size >= least
        least = path.stat().st_size


@pytest.mark.parametrize("error", [FULL, READ_ONLY])
def test_an_audit_file_that_could_not_be_written_catches_up_without_a_word_of_repair(
    disk: DrillDisk, error: int
) -> None:
    """The half line on a full disk is the writer's own; told as a repair it would be one at each try."""
    with new_home() as home:
        store = open_store(home.database)
        file = AuditFile(home.audit, store, lambda: NOW, disk)
        tell(store, 3)
        assert file.catch_up() == 3
        disk.fail(error)
        tell(store, 40)
        for _ in range(5):
            file.catch_up()
            assert os.strerror(error) in file.problem
        disk.fail(0)
        file.catch_up()
        events = [event.event_type for event in store.read(lambda c: list(audit.events_after(c, 0)))]
        assert (file.problem, events) == ("", ["TEST"] * 43)
        store.close()
        assert audit_file_fault(home) == ""


@pytest.mark.parametrize("seed", range(8))
def test_an_audit_file_torn_by_a_power_cut_is_whole_again(seed: int) -> None:
    disk = DrillDisk(random.Random(seed))
    with new_home() as home:
        store = open_store(home.database)
        tell(store, 5)
        AuditFile(home.audit, store, lambda: NOW, disk).catch_up()
        tell(store, 5)
        AuditFile(home.audit, store, lambda: NOW, disk).catch_up()
        disk.cut_power()
        AuditFile(home.audit, store, lambda: NOW, disk).catch_up()
        store.close()
        assert audit_file_fault(home) == ""
