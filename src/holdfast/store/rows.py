"""Between table rows and frozen values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Insert, RowMapping, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")


def values_of(value: Any) -> dict[str, Any]:
    """A dataclass's own fields by name, one level deep."""
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}


def made_from(kind: type[T], row: RowMapping, **more: Any) -> T:
    """An instance of the dataclass *kind* from the row's columns of the same names, and *more*."""
    names = [each.name for each in dataclasses.fields(kind) if each.name not in more]  # type: ignore[arg-type]
    return kind(**{name: row[name] for name in names}, **more)


def insert_if_absent(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert *row* unless a unique key of it is taken; True when it was inserted."""
    # Without the option an INSERT's count is not kept on PostgreSQL.
    statement = _insert_if_absent(connection.dialect.name, table)
    done = connection.execute(statement, dict(row), execution_options={"preserve_rowcount": True})
    return done.rowcount == 1


@cache
def _insert_if_absent(dialect: str, table: Table) -> Insert:
    """Made once: building a wide statement costs more than running it."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert *row*, or overwrite all its columns where the primary key exists."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    keys = [column.name for column in table.primary_key.columns]
    rest = {name: value for name, value in row.items() if name not in keys}
    connection.execute(
        dialect.insert(table).values(**row).on_conflict_do_update(index_elements=keys, set_=rest)
    )
