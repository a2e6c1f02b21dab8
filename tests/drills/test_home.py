"""What a crash leaves of a database: every commit, nothing tidied up, and at worst a torn end of the log."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from holdfast.drills.home import PREFIX, crash_store, new_home, sweep, template
from holdfast.store.database import Store, open_store
from holdfast.store.home import Home


def wal(home: Home) -> Path:
    return home.database.with_name(home.database.name + "-wal")


def write(store: Store, number: int) -> None:
    query = text("INSERT INTO audit VALUES (:n, 0, 'TEST', '', '{}', '', :hash, '', '')")
    store.write(lambda c: c.execute(query, {"n": number, "hash": f"{number}"}))


def rows(store: Store) -> int:
    return int(store.read(lambda c: c.execute(text("SELECT count(*) FROM audit")).scalar()) or 0)


def test_homes_are_made_from_one_migrated_template_and_vanish() -> None:
    with new_home() as first, new_home() as second:
        assert first.path != second.path
        assert first.database.read_bytes() == template().read_bytes()
        before = template().read_bytes()
        open_store(first.database).close()
        assert template().read_bytes() == before
    assert not first.path.exists()


def test_folders_of_killed_drills_are_swept_away_and_those_of_living_ones_stay() -> None:
    with new_home() as living:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        left = living.path.with_name(f"{PREFIX}{dead.pid}-abc")
        left.mkdir()
        sweep()
        assert not left.exists()
        assert living.database.exists()


@pytest.mark.parametrize("torn", [None, 1, 2, 3, 4, 5])
def test_every_commit_outlives_a_crash_whatever_stands_behind_the_last(torn: int | None) -> None:
    with new_home() as home:
        store = open_store(home.database)
        for number in range(1, 8):
            write(store, number)
        length = wal(home).stat().st_size
        crash_store(home, store, None if torn is None else random.Random(torn))
        assert wal(home).stat().st_size >= length + (torn is not None), "the log was not tidied up"
        again = open_store(home.database)
        assert rows(again) == 7
        write(again, 8)
        again.close()
        last = open_store(home.database)
        assert rows(last) == 8
        last.close()
