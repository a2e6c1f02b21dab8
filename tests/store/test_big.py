"""However long the journal is: what a start reads is bounded, and a step costs what it always did.

Counted in steps of SQLite's machine, not in seconds: the same on every machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from bench.big import ACCOUNT, EVERY_MS, ROWS_PER_LIFE, SYMBOLS, grow
from sqlalchemy import Connection

from holdfast.domain.intents import Purpose
from holdfast.domain.orders import OrderState
from holdfast.domain.symbol import Symbol
from holdfast.store import audit, books, equity, flags, journal
from holdfast.store.database import Store, open_store
from tests.store.builders import NOW, accepted, fill, journaled, running, trade

DAY_MS = 86_400_000
FEW, MANY = 1_000, 20_000
EVERY = 10
"""Steps between two looks of the counter."""
ON = Symbol.parse("S3/USDT")
Work = Callable[[Connection], object]


def grown(path: Path, lives: int) -> Store:
    store = open_store(path)
    store.write(running)
    grow(store, lives, NOW - (lives + 1) * EVERY_MS)
    return store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Store]:
    folder = tmp_path_factory.mktemp("big")
    few, many = (grown(folder / f"{lives}.db", lives) for lives in (FEW, MANY))
    return few, many


def steps(store: Store, work: Work) -> int:
    """Of SQLite's machine, for *work* in a transaction."""
    seen = count()

    def counted(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.set_progress_handler(lambda: next(seen) and 0, EVERY)
        try:
            work(connection)
        finally:
            driver.set_progress_handler(None, 0)

    store.write(counted)
    return next(seen) * EVERY


def at_start(connection: Connection) -> None:
    """What `StoreMemory.recall` asks."""
    journal.forget_unsent(connection, ACCOUNT, NOW)
    books.trades(connection, account_id=ACCOUNT, since_ms=NOW - DAY_MS)
    equity.latest(connection, ACCOUNT)
    flags.get_flag(connection, "liquidating", ACCOUNT)
    books.open_trades(connection, ACCOUNT)
    books.to_correct(connection, ACCOUNT)
    journal.unbooked_entries(connection, ACCOUNT)


def one_life(name: str) -> Work:
    """What one entry writes, from its journal to its end."""

    def write(connection: Connection) -> None:
        entry = journaled(name, account_id=ACCOUNT, symbol=ON)
        journal.write_ahead(connection, entry, at_ms=NOW)
        journal.record_outcome(connection, entry.client_id, accepted(client_id=name, symbol=ON), NOW)
        opened = books.open_trade(connection, trade(account_id=ACCOUNT, symbol=ON, entry_client_id=name))
        stop = journaled(f"{name}-s", account_id=ACCOUNT, symbol=ON, purpose=Purpose.PLACE_STOP)
        journal.write_ahead(connection, stop, at_ms=NOW)
        books.add_fills(connection, ACCOUNT, (fill(name, symbol=ON),), NOW)
        books.fills_of(connection, ACCOUNT, ON, since_ms=NOW)
        books.results(connection, ACCOUNT, after_id=0, limit=100)
        audit.append(connection, "TEST", "", {}, NOW, account_id=ACCOUNT)
        books.close_trade(
            connection, opened.id, exit_reason="signal", exit_cause="bot", exit_price=None, at_ms=NOW
        )

    return write


def test_a_step_costs_the_same_however_long_the_journal_is(stores: tuple[Store, Store]) -> None:
    few, many = (steps(store, one_life("x")) for store in stores)
    assert many < 1.5 * few, (few, many)


def test_a_start_reads_each_row_at_most_a_few_times(stores: tuple[Store, Store]) -> None:
    few, many = (steps(store, at_start) for store in stores)
    assert many < 100 * MANY, (few, many)
    assert many < 1.5 * few * MANY / FEW, (few, many)


def test_the_grown_store_is_what_it_is_taken_for(stores: tuple[Store, Store]) -> None:
    _, many = stores
    tables = ("trades", "intents", "fills", "audit")
    rows = many.read(
        lambda c: [c.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() for name in tables]
    )
    assert sum(rows) >= ROWS_PER_LIFE * MANY
    last = many.read(lambda c: books.trades(c, account_id=ACCOUNT, since_ms=NOW - 3 * EVERY_MS))
    assert len({each.symbol for each in last}) > 1
    assert len(many.read(lambda c: journal.intents_of(c, ACCOUNT, ON))) >= 2 * MANY // SYMBOLS


def test_an_entry_that_was_never_booked_is_found_behind_the_last_life_of_its_symbol(tmp_path: Path) -> None:
    """By its symbol's last life, or by its name where the clock was set; what filled nothing is none."""
    store = grown(tmp_path / "few.db", 50)
    new = Symbol.parse("NEW/USDT")
    cases = {
        "late": (ON, NOW, OrderState.FILLED),
        "early": (ON, NOW - 10 * SYMBOLS * EVERY_MS, OrderState.FILLED),
        "unknown": (ON, NOW, OrderState.UNKNOWN),
        "first": (new, NOW - 5, OrderState.FILLED),
        "alone": (Symbol.parse("ALONE/USDT"), NOW - 3, OrderState.FILLED),
    }

    def write(connection: Connection) -> None:
        for name, (symbol, at_ms, state) in cases.items():
            entry = journaled(name, account_id=ACCOUNT, symbol=symbol)
            row = journal._row(entry) | {"user_id": "", "updated_ms": 0, "lease_epoch": 0}
            row |= {"signed_ms": at_ms, "state": state, "filled": entry.intent.quantity}
            connection.execute(journal.intents.insert().values(row))
        booked = trade(account_id=ACCOUNT, symbol=new, entry_client_id="booked", opened_ms=NOW - 60_000)
        books.open_trade(connection, booked)
        row = journal._row(journaled("booked", account_id=ACCOUNT, symbol=new))
        row |= {"user_id": "", "updated_ms": 0, "lease_epoch": 0, "state": OrderState.FILLED}
        connection.execute(journal.intents.insert().values(row | {"filled": fill().quantity}))

    store.write(write)
    found = store.read(lambda c: journal.unbooked_entries(c, ACCOUNT))
    assert [each.client_id for each in found] == ["first", "alone", "late"]
    store.close()
