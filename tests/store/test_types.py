"""What goes in comes out, on both databases."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Date, DateTime, Float, Numeric, Time, exc, insert, select, text
from sqlalchemy.types import TypeDecorator

from holdfast.store.books import get_trade, open_trade
from holdfast.store.database import Store
from holdfast.store.errors import StoreError
from holdfast.store.rows import values_of
from holdfast.store.schema import equity_snapshots, metadata
from tests.store.builders import NOW, D, trade

decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(D(10) ** 30), max_value=D(10) ** 30)


def test_no_column_has_a_type_that_loses():
    """SQLAlchemy's Numeric, Float and DateTime change values on SQLite."""
    banned = (Numeric, Float, DateTime, Date, Time)
    columns = [column for table in metadata.tables.values() for column in table.columns]
    bare = [str(column) for column in columns if isinstance(column.type, banned)]
    inside = [
        str(c) for c in columns if isinstance(c.type, TypeDecorator) and isinstance(c.type.impl, banned)
    ]
    assert (bare, inside) == ([], [])
    assert len(columns) > 100


def test_every_row_that_has_an_owner_says_so():
    ownerless = {"meta"}
    for table in metadata.tables.values():
        if table.name not in ownerless:
            assert {"account_id", "user_id"} <= set(table.columns.keys()), table.name


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(decimals, min_size=1, max_size=5), at_ms=st.integers(0, 253_402_300_799_999))
def test_decimals_and_moments_come_back_exactly(store: Store, numbers: list[Decimal], at_ms: int):
    """Any finite amount and any moment of the first ten thousand years."""
    amounts = {"wallet": D(0), "equity": D(0), "available": D(0), "transferred": D(0), "day_start": D(0)}
    owner = {"account_id": "a", "user_id": "", "cause": "test", "currency": "USDT"}
    rows = [{**owner, **amounts, "at_ms": at_ms, "peak": number} for number in numbers]

    def work(connection):
        connection.execute(equity_snapshots.delete())
        connection.execute(insert(equity_snapshots), rows)
        return connection.execute(select(equity_snapshots).order_by(equity_snapshots.c.id)).all()

    back = store.write(work)
    assert [row.peak for row in back] == numbers
    assert {row.at_ms for row in back} == {at_ms}


def test_trailing_zeros_of_an_amount_survive(store: Store):
    made = store.write(lambda c: open_trade(c, trade(quantity=D("0.0100"), entry_price=D("1E+3"))))
    held = store.read(lambda c: get_trade(c, made.id))
    assert (str(held.quantity), str(held.entry_price)) == ("0.0100", "1000")
    assert values_of(held) == values_of(made)


@pytest.mark.parametrize("bad", [1.5, D("NaN"), D("Infinity"), D("1E+500"), "12"])
def test_no_other_thing_passes_as_an_amount(store: Store, bad: object):
    with pytest.raises(exc.StatementError, match="expected a finite Decimal"):
        store.write(lambda c: open_trade(c, trade(entry_price=bad, quantity=D(1))))


@pytest.mark.parametrize("bad", [1.5, True, -1, NOW * 1000, "now"])
def test_no_other_thing_passes_as_a_moment(store: Store, bad: object):
    with pytest.raises(exc.StatementError, match="expected UTC milliseconds"):
        store.write(lambda c: open_trade(c, trade(opened_ms=bad)))


@pytest.mark.parametrize(
    ("column", "value"), [("entry_price", "12,5"), ("side", "sideways"), ("symbol", "BTCUSDT")]
)
def test_a_column_filled_by_hand_with_nonsense_is_named(sqlite_store: Store, column: str, value: str):
    """Other programs can write to the file: what they wrote is input like any other."""
    made = sqlite_store.write(lambda c: open_trade(c, trade()))
    sqlite_store.write(lambda c: c.execute(text(f"UPDATE trades SET {column} = :v"), {"v": value}))
    with pytest.raises(StoreError, match=value):
        sqlite_store.read(lambda c: get_trade(c, made.id))
