"""What a client sent: names and texts, read with the exchange's own complaints.

Every getter raises `WireError` in the exchange's words; none guesses.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar, Self, TypeVar
from urllib.parse import parse_qsl

import msgspec

from holdfast.domain.numbers import BadNumber, number
from holdfast.domain.symbol import Symbol
from holdfast.simulator.wire.errors import WireError

T = TypeVar("T")

_INTEGER = re.compile(r"^-?[0-9]{1,20}$")
_DECIMAL = re.compile(r"^-?([0-9]{1,20})(\.[0-9]{1,20})?$")
_FLAGS = {"true": True, "false": False}


class Params(ABC):
    """The parameters of one request; a dialect says how it complains and what symbols look like."""

    spellings: ClassVar[Mapping[str, str]] = {}
    """Names that clients write in several ways, by their lower-case form."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = {self.spellings.get(name.lower(), name): value for name, value in pairs.items()}

    @classmethod
    def read(cls, raw_query: str, raw_body: str) -> Self:
        """Merge query and form body, the query wins; a body that is no form contributes nothing."""
        pairs = dict(form_pairs(raw_body))
        pairs.update(form_pairs(raw_query))
        return cls(pairs)

    # --- the dialect's part ------------------------------------------------------------------------

    @abstractmethod
    def missing(self, name: str) -> WireError: ...

    @abstractmethod
    def illegal(self, name: str, legal: str) -> WireError:
        """*legal* is a regular expression."""

    @abstractmethod
    def bad_limit(self) -> WireError: ...

    @abstractmethod
    def read_symbol(self, text: str) -> Symbol:
        """Whether it is listed is for the core to say; unreadable text is like any unlisted symbol."""

    # --- reading -----------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return self._pairs.get(name, "") != ""

    def shown(self) -> dict[str, str]:
        """For the request log: everything but the signature."""
        return {name: value for name, value in self._pairs.items() if name != "signature"}

    def text(self, name: str, default: str = "") -> str:
        return self._pairs.get(name) or default

    def need(self, name: str) -> str:
        if name not in self:
            raise self.missing(name)
        return self._pairs[name]

    def integer(self, name: str, default: int) -> int:
        value = self.integer_or_none(name)
        return default if value is None else value

    def integer_or_none(self, name: str) -> int | None:
        if name not in self:
            return None
        if not _INTEGER.match(self._pairs[name]):
            raise self.illegal(name, "^[0-9]{1,20}$")
        return int(self._pairs[name])

    def need_integer(self, name: str) -> int:
        value = self.integer_or_none(name)
        if value is None:
            raise self.missing(name)
        return value

    def decimal(self, name: str) -> Decimal | None:
        """An exact number, None when not sent; anything but plain digits is illegal here."""
        if name not in self:
            return None
        text = self._pairs[name]
        if not _DECIMAL.match(text):
            raise self.illegal(name, r"^([0-9]{1,20})(\.[0-9]{1,20})?$")
        try:
            return number(text)
        except BadNumber as error:
            raise self.missing(name) from error

    def need_decimal(self, name: str) -> Decimal:
        value = self.decimal(name)
        if value is None:
            raise self.missing(name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """`true` or `false` in any case: Python's spelling appears on the wire, too."""
        if name not in self:
            return default
        value = _FLAGS.get(self._pairs[name].lower())
        if value is None:
            raise self.illegal(name, "^(true|false)$")
        return value

    def choice(self, name: str, table: Mapping[str, T], error: WireError) -> T:
        """The word's meaning; *error* when the word is not in the table."""
        word = self.need(name)
        if word not in table:
            raise error
        return table[word]

    def choice_or(self, name: str, table: Mapping[str, T], default: T, error: WireError) -> T:
        return self.choice(name, table, error) if name in self else default

    def symbol(self, name: str = "symbol") -> Symbol:
        """The instrument's name; whether it is listed is for the core to say."""
        return self.read_symbol(self.need(name))

    def symbol_or_none(self, name: str = "symbol") -> Symbol | None:
        return self.read_symbol(self._pairs[name]) if name in self else None

    def limit(self, default: int, most: int) -> int:
        """How many rows: bad values are refused, values above the maximum are cut to it."""
        value = self.integer("limit", default)
        if value <= 0:
            raise self.bad_limit()
        return min(value, most)

    def list_of(self, name: str) -> list[object]:
        """A JSON list sent as text."""
        try:
            value = msgspec.json.decode(self.need(name).encode())
        except msgspec.DecodeError as error:
            raise self.missing(name) from error
        if not isinstance(value, list):
            raise self.missing(name)
        return value

    def require_all(self, names: Iterable[str]) -> None:
        for name in names:
            self.need(name)


def form_pairs(raw: str) -> list[tuple[str, str]]:
    return parse_qsl(raw, keep_blank_values=True) if raw else []


def texts(row: Mapping[str, object]) -> dict[str, str]:
    """JSON values as a form would have sent them."""
    return {str(name): _text(value) for name, value in row.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    # A small number comes as 1e-05 and means 0.00001.
    return f"{Decimal(repr(value)):f}" if isinstance(value, float) else str(value)
