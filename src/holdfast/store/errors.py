"""What goes wrong with the store, said in one sentence: where, what was expected, what was found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import exc


class StoreError(Exception):
    """The store cannot be used as asked. The text is one sentence meant for the operator."""


class StoreUnwritable(StoreError):
    """Nothing is known to have been made durable: no new risk may be taken on it (gauntlet G26)."""


class UnknownIntent(StoreError):
    """The journal holds no intent with that client id."""


class WriteRefusal(StrEnum):
    """Why the journal did not take an intent."""

    KILLED = "killed"
    STOPPED = "stopped"
    HALTED = "halted"
    REDUCE_ONLY = "reduce_only"
    UNRESOLVED_INTENT = "unresolved_intent"
    LEASE_LOST = "lease_lost"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"


class JournalRefused(Exception):
    """The intent was not written and must not be sent. *reasons* holds every one that applies."""

    def __init__(self, client_id: str, reasons: Iterable[WriteRefusal]) -> None:
        self.client_id = client_id
        self.reasons = tuple(reasons)
        super().__init__(f"intent {client_id} was not journaled: {', '.join(self.reasons)}")


# By prefix of SQLite's extended error names; the first match wins.
_SQLITE_WORDS = (
    ("SQLITE_FULL", "expected room for another page, found the disk or the database's size limit full"),
    ("SQLITE_BUSY", "expected to get the lock, found it held by another process"),
    ("SQLITE_LOCKED", "expected to get the lock, found it held by another connection"),
    ("SQLITE_READONLY", "expected a writable database, found it read-only"),
    ("SQLITE_NOTADB", "expected a SQLite database, found another kind of file"),
    ("SQLITE_CORRUPT", "expected a whole database, found a malformed one (restore a backup)"),
    (
        "SQLITE_CANTOPEN",
        "expected a database that can be opened, found none (missing folder or no permission)",
    ),
    ("SQLITE_IOERR", "expected the disk to work, found an input/output error"),
    ("SQLITE_PERM", "expected permission to use the database, found none"),
    ("SQLITE_AUTH", "expected permission to use the database, found none"),
)
_UNREACHABLE = ("connection refused", "could not translate", "no such file", "timeout", "does not exist")


def explain(error: BaseException, where: str) -> str:
    """One sentence for a database *error* at *where* (a path, or a URL without its password)."""
    cause = _first_cause(error)
    if isinstance(cause, sqlite3.Error):
        return f"database {where}: {_sqlite_words(cause)}"
    text = " ".join(str(cause).split())
    if any(words in text.lower() for words in _UNREACHABLE):
        return f"database {where}: expected a reachable server and database, found: {text}"
    return f"database {where}: expected it to answer, found: {text or type(cause).__name__}"


def _first_cause(error: BaseException) -> BaseException:
    """The driver's own error.

    When the disk is full SQLite rolls back by itself, and then the end of the savepoint fails too.
    """
    cause: BaseException = error
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        cause = error.orig
    before = cause.__context__
    while "no such savepoint" in str(cause) and before is not None:
        cause, before = before, before.__context__
    return cause.orig if isinstance(cause, exc.DBAPIError) and cause.orig is not None else cause


def _sqlite_words(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "")
    for prefix, words in _SQLITE_WORDS:
        if name.startswith(prefix):
            return words
    return f"expected SQLite to obey, found: {' '.join(str(error).split())}"


def concerns_the_database(error: BaseException) -> bool:
    """The database itself failed (disk, lock, connection), not the one statement that met it.

    After such an error the whole transaction is void: SQLite rolls back by itself when the disk is
    full, and a lost connection leaves nothing to commit.
    """
    if isinstance(error, exc.IntegrityError | exc.DataError | exc.ProgrammingError):
        return False
    return isinstance(error, exc.DBAPIError | exc.TimeoutError | exc.PendingRollbackError)
