"""Opening: a store that works, or one clear sentence and nothing changed."""

from __future__ import annotations

import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from holdfast.store import audit
from holdfast.store.database import Store, open_store
from holdfast.store.errors import StoreError, StoreUnwritable
from holdfast.store.migrations import revisions
from holdfast.store.schema import meta, metadata
from tests.store.builders import NOW


def _event(connection) -> None:
    audit.append(connection, "TEST", "", {}, NOW)


def _refused(target: object, match: str, **options: bool) -> None:
    with pytest.raises(StoreError, match=match) as caught:
        open_store(target, **options)
    assert "\n" not in str(caught.value)


# --- schema --------------------------------------------------------------------------------------


def test_a_new_file_gets_every_table(tmp_path: Path):
    store = open_store(tmp_path / "trading.db")
    tables = store.read(lambda c: set(inspect(c).get_table_names()))
    store.close()
    assert tables == set(metadata.tables) | {"alembic_version"}


def test_several_accounts_of_one_process_open_their_stores_at_once(tmp_path: Path):
    """Each on its own thread; alembic keeps what it migrates in the module."""
    paths = [tmp_path / f"{number}.db" for number in range(6)]
    with ThreadPoolExecutor(len(paths)) as threads:
        stores = list(threads.map(open_store, paths))
    for store in stores:
        assert store.read(lambda c: revisions.current(c, "here")) == revisions.HEAD
        store.close()


def test_the_program_knows_its_newest_migration(sqlite_store: Store):
    script = ScriptDirectory.from_config(sqlite_store.read(revisions.config))
    assert script.get_current_head() == revisions.HEAD
    assert {each.revision for each in script.walk_revisions()} == set(revisions._KNOWN)


def test_migrations_make_exactly_the_tables_of_the_model(store: Store):
    """`alembic check` finds nothing to change: model == migrations."""
    store.write(lambda c: command.check(revisions.config(c)))


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_migrations_go_down_and_up_again(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    target = tmp_path / "t.db" if kind == "sqlite" else request.getfixturevalue("empty_pg_url")
    store = open_store(target)
    store.write(lambda c: command.downgrade(revisions.config(c), "base"))
    assert store.read(lambda c: inspect(c).get_table_names()) == ["alembic_version"]
    store.close()
    again = open_store(target)
    again.write(_event)
    again.write(lambda c: command.check(revisions.config(c)))
    again.close()


def test_a_failed_migration_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The whole upgrade is one transaction: here the disk is full half-way through it."""
    path = tmp_path / "trading.db"
    sqlite3.connect(path).close()
    real = revisions.migrate

    def cramped(connection, where):
        connection.exec_driver_sql("PRAGMA max_page_count=12")
        return real(connection, where)

    monkeypatch.setattr("holdfast.store.database.migrate", cramped)
    _refused(path, "disk or the database's size limit full")
    monkeypatch.undo()
    store = open_store(path)
    store.write(_event)
    store.close()


def test_a_newer_schema_is_refused_and_left_alone(store: Store, target: str):
    store.write(lambda c: c.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    store.close()
    before = Path(target).read_bytes() if store.dialect == "sqlite" else b""
    try:
        _refused(target, f"expected schema version {revisions.HEAD} or older, found 9999")
        if before:
            assert Path(target).read_bytes() == before
    finally:
        store.write(lambda c: c.execute(text(f"UPDATE alembic_version SET version_num = '{revisions.HEAD}'")))


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "other.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE recipes (name TEXT)")
    other.commit()
    other.close()
    before = path.read_bytes()
    _refused(path, "expected a holdfast database, found tables recipes")
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["other.db"]


# --- places that cannot be opened ----------------------------------------------------------------


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path):
    _refused(tmp_path / "no" / "trading.db", "expected the folder .*/no to exist, found none")
    assert os.listdir(tmp_path) == []


def test_a_folder_in_place_of_the_file(tmp_path: Path):
    _refused(tmp_path, "expected a file, found a folder")


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path):
    path = tmp_path / "trading.db"
    path.write_text("not a database at all, but long enough to have a header " * 20)
    before = path.read_bytes()
    _refused(path, "expected a SQLite database, found another kind of file")
    assert path.read_bytes() == before


def test_a_damaged_page_is_found_when_opening(sqlite_path: Path):
    data = bytearray(sqlite_path.read_bytes())
    data[4096 * 3 : 4096 * 12] = b"\xa5" * (4096 * 9)
    sqlite_path.write_bytes(data)
    _refused(sqlite_path, "malformed")
    assert sqlite_path.read_bytes() == bytes(data)


def test_a_truncated_database_is_found_when_opening(sqlite_path: Path):
    data = sqlite_path.read_bytes()[: 4096 * 5]
    sqlite_path.write_bytes(data)
    _refused(sqlite_path, "malformed")
    assert sqlite_path.read_bytes() == data


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(sqlite_path: Path):
    sqlite_path.chmod(0)
    _refused(sqlite_path, "expected a readable file, found: Permission denied")


def test_an_unreachable_server_is_named_without_its_password():
    url = "postgresql://bot:hunter2@127.0.0.1:1/trading"
    with pytest.raises(StoreError, match="expected a reachable server") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://a:secret@b/c", "postgresql://a:secret@b:port/c", "://"])
def test_another_kind_of_url_is_refused_without_repeating_it(url: str):
    with pytest.raises(StoreError, match="database URL: expected") as caught:
        open_store(url)
    assert "secret" not in str(caught.value)


# --- failing while open (gauntlet G26) -----------------------------------------------------------


def test_a_full_disk_says_so_and_loses_nothing_written(sqlite_store: Store):
    def fill(connection):
        connection.exec_driver_sql("PRAGMA max_page_count=1")  # raised to what is used already
        for number in range(500):
            audit.append(connection, "TEST", "", {"filler": "x" * 4000, "number": number}, NOW)

    sqlite_store.write(_event)
    with pytest.raises(StoreUnwritable, match="size limit full"):
        sqlite_store.write(fill)
    assert sqlite_store.read(audit.head)[0] == 1
    assert sqlite_store.read(audit.verify).ok


def test_a_locked_database_says_so_and_works_again_later(sqlite_path: Path, sqlite_store: Store):
    other = sqlite3.connect(sqlite_path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnwritable, match="held by another process"):
        sqlite_store.write(_event)
    other.execute("ROLLBACK")
    other.close()
    sqlite_store.write(_event)
    assert sqlite_store.read(audit.head)[0] == 1


@pytest.mark.postgres
def test_a_lock_on_a_server_is_not_waited_for_forever(pg_url: str):
    one, two = open_store(pg_url, busy_ms=100), open_store(pg_url, busy_ms=100)
    with one.transaction() as connection:
        connection.exec_driver_sql("LOCK TABLE audit IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreUnwritable, match="lock timeout"):
            two.write(_event)
    two.write(_event)
    one.close()
    two.close()


@pytest.mark.postgres
def test_a_lost_connection_says_so_and_comes_back(pg_url: str):
    store = open_store(pg_url)
    end_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"

    def broken(connection):
        other = open_store(pg_url)
        other.write(lambda c: c.exec_driver_sql(end_others + " AND datname = current_database()"))
        other.close()
        _event(connection)

    with pytest.raises(StoreUnwritable):
        store.write(broken)
    store.write(_event)
    assert store.read(audit.head)[0] == 1
    store.close()


def test_a_read_only_database_says_so(sqlite_store: Store):
    def work(connection):
        connection.exec_driver_sql("PRAGMA query_only=ON")
        _event(connection)

    with pytest.raises(StoreUnwritable, match="expected a writable database, found it read-only"):
        sqlite_store.write(work)


def test_a_reader_cannot_write(store: Store):
    with pytest.raises(StoreError):
        store.read(_event)
    assert store.read(audit.head)[0] == 0


def test_a_reader_sees_one_moment_while_others_write(store: Store):
    store.write(_event)

    def twice(connection):
        first = audit.head(connection)
        store.write(_event)
        return first, audit.head(connection)

    first, second = store.read(twice)
    assert first == second
    assert store.read(audit.head)[0] == 2


def test_opening_read_only_changes_nothing(sqlite_path: Path, tmp_path: Path):
    before = sqlite_path.read_bytes()
    store = open_store(sqlite_path, read_only=True)
    with pytest.raises(StoreUnwritable):
        store.write(_event)
    store.close()
    assert sqlite_path.read_bytes() == before
    _refused(tmp_path / "none.db", "expected a database, found no file", read_only=True)
    (tmp_path / "empty.db").touch()
    _refused(
        tmp_path / "empty.db", f"expected schema version {revisions.HEAD}, found an empty", read_only=True
    )


def test_sqlite_flushes_each_commit_to_the_disk(sqlite_store: Store):
    """WAL with synchronous=FULL: an acknowledged commit outlasts a power cut."""
    asked = ("journal_mode", "synchronous", "foreign_keys")
    found = sqlite_store.write(lambda c: [c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked])
    assert found == ["wal", 2, 1]


def test_what_a_function_raises_undoes_what_it_wrote(store: Store):
    def work(connection):
        connection.execute(meta.insert().values(key="k", value="v", updated_ms=NOW))
        raise LookupError("of its own")

    with pytest.raises(LookupError, match="of its own"):
        store.write(work)
    assert store.read(lambda c: c.execute(meta.select()).all()) == []
