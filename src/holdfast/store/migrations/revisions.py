"""Which schema a database has, and how it gets the one this program needs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from holdfast.store.errors import StoreError
from holdfast.store.schema import metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0004"
"""The schema of this program; a test holds it against the newest migration."""
VERSION_TABLE = "alembic_version"
_KNOWN = ("0001", "0002", "0003", "0004")
_ALONE = Lock()
"""Alembic keeps what it migrates in a module: the stores of one process, each on its thread, take turns."""


def current(connection: Connection, where: str) -> str | None:
    """The database's schema version, None when it is empty.

    Raises `StoreError` when it belongs to another program or to a newer version of this one.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if VERSION_TABLE not in tables:
        raise StoreError(f"database {where}: expected a holdfast database, found tables {_few(tables)}")
    versions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    if not versions:
        _require_only_version_table(tables, where)
        return None
    if len(versions) > 1 or versions[0] not in _KNOWN:
        raise StoreError(
            f"database {where}: expected schema version {HEAD} or older, found {_few(versions)}"
            " (written by a newer holdfast: use that version)"
        )
    return str(versions[0])


def _require_only_version_table(tables: Sequence[str], where: str) -> None:
    if set(tables) & set(metadata.tables):
        raise StoreError(f"database {where}: expected a schema version in {VERSION_TABLE}, found none")


def _few(names: Sequence[str]) -> str:
    listed = sorted(str(name) for name in names)
    return ", ".join(listed[:4]) + (" …" if len(listed) > 4 else "")


def migrate(connection: Connection, where: str) -> bool:
    """Bring the schema to HEAD in the caller's transaction; True when something was done.

    Raises `StoreError` as `current` does. Alembic is only loaded when there is work: opening an
    up-to-date store stays fast.
    """
    if current(connection, where) == HEAD:
        return False
    with _ALONE:
        from alembic import command

        command.upgrade(config(connection), HEAD)
    return True


def config(connection: Connection) -> Config:
    """Alembic's configuration for this package's migrations over *connection*."""
    from alembic.config import Config

    # Its default would be whatever standard output was when alembic was first imported.
    made = Config(stdout=sys.stdout)
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made
