"""Column types that give back exactly what was put in, on SQLite as on PostgreSQL.

SQLAlchemy's own Numeric goes through float on SQLite and changes values; its DateTime loses the
zone there (dependencies.md §5). A test over the metadata bans both, and Float.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Integer, Numeric, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.store.errors import StoreError

DIGITS_MAX = 200
"""Digits left or right of the point: far beyond any price, far below what would hurt a database."""
MILLIS_MAX = 253_402_300_800_000
"""The year 10000: a later time is a mistake of units."""

WordT = TypeVar("WordT", bound=StrEnum)


class ExactDecimal(TypeDecorator[Decimal]):
    """A finite Decimal: TEXT on SQLite, NUMERIC without bounds on PostgreSQL.

    TEXT sorts as text: compare and sum in Python, never in SQL. Binding anything but a finite
    Decimal raises `ValueError` (SQLAlchemy wraps it in `StatementError`).
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Numeric() if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, Decimal) or not value.is_finite() or _digits(value) > DIGITS_MAX:
            raise ValueError(f"expected a finite Decimal of at most {DIGITS_MAX} digits, found {value!r}")
        return value if dialect.name == "postgresql" else format(value, "f")

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or isinstance(value, Decimal):
            return value
        try:
            return Decimal(value)
        except (InvalidOperation, TypeError, ValueError) as error:
            raise StoreError(f"database: expected a decimal number in a column, found {value!r}") from error


def _digits(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(abs(value.adjusted()), abs(exponent) if isinstance(exponent, int) else 0)


class UtcMillis(TypeDecorator[int]):
    """A moment as whole UTC milliseconds since 1970; 0 means "never". Refuses floats and seconds-as-text."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < MILLIS_MAX:
            raise ValueError(f"expected UTC milliseconds as a whole number, found {value!r}")
        return value


class Word(TypeDecorator[WordT], Generic[WordT]):
    """A member of a StrEnum, stored as its word and checked when read."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[WordT]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: WordT | None, dialect: Dialect) -> str | None:
        return None if value is None else self.words(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> WordT | None:
        if value is None:
            return None
        try:
            return self.words(value)
        except ValueError as error:
            expected = ", ".join(self.words)
            raise StoreError(f"database: expected one of {expected} in a column, found {value!r}") from error


class SymbolText(TypeDecorator[Symbol]):
    """A Symbol in its canonical form, `BTC/USDT:USDT`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Symbol | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Symbol | None:
        if value is None:
            return None
        try:
            return _symbol(value)
        except BadSymbol as error:
            raise StoreError(f"database: expected a symbol in a column, found {value!r}") from error


def _symbol(text: str) -> Symbol:
    """The inverse of `str(Symbol)`: unlike `Symbol.parse` it never guesses the settlement currency."""
    pair, _, settle = text.partition(":")
    base, slash, quote = pair.partition("/")
    if not (base and slash and quote):
        raise BadSymbol(text)
    return Symbol(base, quote, settle)


RowId = BigInteger().with_variant(Integer(), "sqlite")
"""Only INTEGER counts up by itself on SQLite."""
