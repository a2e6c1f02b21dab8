"""Opening the store, and running plain functions over its connections.

`open_store` either gives a store whose schema is this program's, or raises `StoreError` in one
sentence and leaves what it found as it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar, final
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url
from sqlalchemy.pool import QueuePool

from holdfast.store.errors import StoreError, StoreUnwritable, concerns_the_database, explain
from holdfast.store.migrations.revisions import HEAD, current, migrate

T = TypeVar("T")

BUSY_MS = 5000
"""How long a writer waits for another process's lock before it says that the store is locked."""
_MAGIC = b"SQLite format 3\0"


@final
class Store:
    """An open store: one connection that writes, a few that read. Safe to use from several threads.

    All calls block; on the event loop go through `GroupWriter` and the seam for blocking work.
    """

    def __init__(self, writing: Engine, reading: Engine, where: str) -> None:
        self._writing = writing
        self._reading = reading
        self.where = where

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._writing.dialect.name

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run *fn* in one transaction and return its result once that is durable.

        Raises `StoreUnwritable` when the database fails; what *fn* raises itself comes through,
        and then nothing of it is written.
        """
        with self.transaction() as connection:
            return fn(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One durable transaction; errors as `write` says."""
        try:
            with self._writing.connect() as connection, connection.begin():
                yield connection
        except exc.SQLAlchemyError as error:
            if concerns_the_database(error):
                raise StoreUnwritable(explain(error, self.where)) from error
            raise

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run *fn* on one consistent snapshot; it cannot write. Raises `StoreError`."""
        try:
            with self._reading.connect() as connection, connection.begin():
                return fn(connection)
        except exc.SQLAlchemyError as error:
            if concerns_the_database(error):
                raise StoreError(explain(error, self.where)) from error
            raise

    def close(self) -> None:
        """Let go of all connections; the store can be opened again."""
        self._reading.dispose()
        self._writing.dispose()


def open_store(
    url_or_path: str | os.PathLike[str],
    *,
    read_only: bool = False,
    quick_check: bool = True,
    busy_ms: int = BUSY_MS,
) -> Store:
    """Open the store at a SQLite path or a `postgresql://` URL, creating or migrating its schema.

    *read_only* changes nothing and refuses a database that would need a migration; *quick_check*
    reads a SQLite file's pages once for damage. Raises `StoreError`; nothing is written then.
    """
    text = os.fspath(url_or_path)
    if "://" in text:
        return _open_postgresql(text, read_only=read_only, busy_ms=busy_ms)
    return _open_sqlite(
        Path(text).expanduser(), read_only=read_only, quick_check=quick_check, busy_ms=busy_ms
    )


# --- SQLite --------------------------------------------------------------------------------------


def _open_sqlite(path: Path, *, read_only: bool, quick_check: bool, busy_ms: int) -> Store:
    where = str(path)
    _require_usable_file(path, must_exist=read_only)
    if path.exists() and path.stat().st_size:
        _inspect_sqlite(path, quick_check=quick_check, busy_ms=busy_ms)
    mode = "ro" if read_only else "rwc"
    writing = _sqlite_engine(path, "query_only" if read_only else "write", mode, busy_ms)
    reading = _sqlite_engine(path, "query_only", "ro" if read_only else "rw", busy_ms)
    return _ready(Store(writing, reading, where), read_only=read_only)


def _require_usable_file(path: Path, *, must_exist: bool) -> None:
    """Say what is wrong with the place before SQLite says only that it cannot open it."""
    if not path.parent.is_dir():
        raise StoreError(f"database {path}: expected the folder {path.parent} to exist, found none")
    if path.is_dir():
        raise StoreError(f"database {path}: expected a file, found a folder")
    if not path.exists():
        if must_exist:
            raise StoreError(f"database {path}: expected a database, found no file")
        return
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise StoreError(f"database {path}: expected a readable file, found: {error.strerror}") from error
    if start and start != _MAGIC:
        raise StoreError(f"database {path}: expected a SQLite database, found another kind of file")


def _inspect_sqlite(path: Path, *, quick_check: bool, busy_ms: int) -> None:
    """Look at an existing file without being able to change it; raise `StoreError` if it is not ours."""
    engine = _sqlite_engine(path, "query_only", "ro", busy_ms)
    try:
        with engine.connect() as connection, connection.begin():
            current(connection, str(path))
            if quick_check:
                _check_pages(connection, path)
    except exc.SQLAlchemyError as error:
        raise StoreError(explain(error, str(path))) from error
    finally:
        engine.dispose()


def _check_pages(connection: Connection, path: Path) -> None:
    found = " ".join(str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()).split())
    if found != "ok":
        raise StoreError(
            f"database {path}: expected a whole database, found a malformed one (restore a backup): {found}"
        )


def _sqlite_engine(path: Path, kind: str, mode: str, busy_ms: int) -> Engine:
    uri = f"file:{quote(str(path.absolute()))}?mode={mode}"
    writes = kind == "write"

    def connect() -> sqlite3.Connection:
        # isolation_level None: we begin transactions ourselves, or SAVEPOINTs would not hold.
        made = sqlite3.connect(
            uri, uri=True, timeout=busy_ms / 1000, isolation_level=None, check_same_thread=False
        )
        return _with_pragmas(made, writes=writes)

    engine = create_engine(
        "sqlite://", creator=connect, poolclass=QueuePool, pool_size=1 if writes else 4, max_overflow=0
    )
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _with_pragmas(connection: sqlite3.Connection, *, writes: bool) -> sqlite3.Connection:
    pragmas = ("foreign_keys=ON", "synchronous=FULL", "journal_mode=WAL") if writes else ("query_only=ON",)
    try:
        with closing(connection.cursor()) as cursor:
            for pragma in pragmas:
                cursor.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


# --- PostgreSQL ----------------------------------------------------------------------------------


def _open_postgresql(text: str, *, read_only: bool, busy_ms: int) -> Store:
    url = _postgresql_url(text)
    where = url.set(drivername="postgresql").render_as_string(hide_password=True)
    try:
        writing = _postgresql_engine(url, busy_ms, pool_size=1, read_only=read_only)
        reading = _postgresql_engine(url, busy_ms, pool_size=4, read_only=True)
    except ImportError as error:
        raise StoreError(
            f"database {where}: expected the psycopg driver, found none (install holdfast[postgres])"
        ) from error
    return _ready(Store(writing, reading, where), read_only=read_only)


def _postgresql_url(text: str) -> URL:
    try:
        url = make_url(text)
    except (exc.ArgumentError, ValueError) as error:
        raise StoreError("database URL: expected postgresql://user:password@host/name, found none") from error
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise StoreError(
            f"database URL: expected a path or postgresql://…, found {url.get_backend_name()}://…"
        )
    return url.set(drivername="postgresql+psycopg")


def _postgresql_engine(url: URL, busy_ms: int, *, pool_size: int, read_only: bool) -> Engine:
    options = f"-c lock_timeout={busy_ms} -c timezone=UTC -c synchronous_commit=on"
    if read_only:
        options += " -c default_transaction_read_only=on"
    arguments = {"connect_timeout": 5, "options": options, "application_name": "holdfast"}
    return create_engine(
        url,
        connect_args=arguments,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        # A reader sees one moment, not one moment per statement.
        isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
    )


# --- both ----------------------------------------------------------------------------------------


def _ready(store: Store, *, read_only: bool) -> Store:
    try:
        if read_only:
            store.read(lambda connection: _require_current(connection, store.where))
        else:
            store.write(lambda connection: _migrate(connection, store.where))
    except BaseException:
        store.close()
        raise
    return store


def _require_current(connection: Connection, where: str) -> None:
    found = current(connection, where)
    if found != HEAD:
        raise StoreError(
            f"database {where}: expected schema version {HEAD}, found {found or 'an empty database'}"
            " (start the bot once to bring it up to date)"
        )


def _migrate(connection: Connection, where: str) -> None:
    if connection.dialect.name == "postgresql":
        # Two processes that open a fresh database at once take turns.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(4851128)")
    migrate(connection, where)


__all__ = ["BUSY_MS", "Store", "open_store"]
