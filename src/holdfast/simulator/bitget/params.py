"""What a client sent, in a query or a JSON body, read with Bitget's complaints (bitget.md §3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Self, TypeVar

import orjson

from holdfast.domain.numbers import plain
from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.simulator.bitget import errors
from holdfast.simulator.wire import params
from holdfast.simulator.wire.errors import WireError

T = TypeVar("T")

_SYMBOL = re.compile(r"^[A-Z0-9]{1,40}$")
_CLIENT_ID = re.compile(r"^[\x21-\x7e]{1,64}$")
_YES_NO = {"yes": True, "no": False}
PRODUCT = "USDT-FUTURES"
_OTHERS = ("COIN-FUTURES", "USDC-FUTURES", "SUSDT-FUTURES", "SCOIN-FUTURES", "SUSDC-FUTURES")
PRODUCTS = {word.lower(): word for word in (PRODUCT, *_OTHERS)}


class Params(params.Params):
    """The parameters of one request. Words are read in any case; empty text counts as not sent."""

    @classmethod
    def read(cls, raw_query: str, raw_body: str) -> Self:
        """Merge query and JSON body; a body that is no object contributes nothing."""
        try:
            body = orjson.loads(raw_body) if raw_body else {}
        except orjson.JSONDecodeError:
            body = {}
        pairs = dict(params.form_pairs(raw_query))
        return cls(pairs | _texts(body) if isinstance(body, dict) else pairs)

    # --- complaints --------------------------------------------------------------------------------

    def missing(self, name: str) -> WireError:
        return errors.missing(name)

    def illegal(self, name: str, legal: str) -> WireError:
        return errors.wrong(name)

    def bad_limit(self) -> WireError:
        return errors.wrong("limit")

    def read_symbol(self, text: str) -> Symbol:
        return wire_symbol(text)

    # --- Bitget's own ------------------------------------------------------------------------------

    def choice(self, name: str, table: Mapping[str, T], error: WireError | None = None) -> T:
        """The word's meaning; *error* (400172) when the word is not in the table."""
        word = self.need(name).lower()
        if word not in table:
            raise error or errors.not_verified()
        return table[word]

    def choice_or(self, name: str, table: Mapping[str, T], default: T, error: WireError | None = None) -> T:
        return self.choice(name, table, error) if name in self else default

    def yes(self, name: str) -> bool:
        """`YES` or `NO`; no when not sent."""
        return self.choice_or(name, _YES_NO, default=False, error=errors.wrong(name))

    def client_id(self, name: str = "clientOid") -> str:
        """The client's own id, "" when not sent; at most 64 printable characters."""
        text = self.text(name)
        if text and not _CLIENT_ID.match(text):
            raise errors.bad_client_id()
        return text

    def product(self) -> str:
        """The mandatory productType."""
        return self.choice("productType", PRODUCTS)

    def rows(self, name: str) -> list[Params]:
        """A list of objects."""
        rows = self.list_of(name)
        if not all(isinstance(row, dict) for row in rows):
            raise errors.wrong(name)
        return [Params(_texts(row)) for row in rows if isinstance(row, dict)]

    def beside(self, common: Params, *names: str) -> Params:
        """These, and of *common* those of *names* that are missing here."""
        added = {name: common.text(name) for name in names if name in common}
        return Params(added | self._pairs)


def _texts(row: Mapping[str, object]) -> dict[str, str]:
    """JSON values as a query would have sent them; lists and objects as JSON."""
    return {str(name): _text(value) for name, value in row.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, list | dict | bool):
        return orjson.dumps(value).decode()
    if isinstance(value, float) and abs(value) < 1e20:
        return plain(Decimal(repr(value)))
    return str(value)


def wire_symbol(text: str) -> Symbol:
    """`BTCUSDT`, in either case, as a symbol; what cannot be read does not exist."""
    upper = text.upper()
    try:
        if not _SYMBOL.match(upper):
            raise BadSymbol(text)
        return Symbol.parse(upper)
    except BadSymbol as error:
        raise errors.no_such_symbol(text) from error
