"""What a client sent: query, form or JSON body, read with BingX's complaints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import orjson

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.simulator.bingx.errors import error, invalid, missing
from holdfast.simulator.wire import params
from holdfast.simulator.wire.errors import WireError
from holdfast.simulator.wire.params import texts


class Params(params.Params):
    """The parameters of one request, wherever they stood; a name in the query wins over the body's."""

    # Documents and clients disagree on these (sheet §3.3); the exchange takes both.
    spellings = {
        "clientorderid": "clientOrderId",
        "clientorderidlist": "clientOrderIdList",
        "orderidlist": "orderIdList",
    }

    def __init__(self, pairs: Mapping[str, str]) -> None:
        super().__init__(pairs)
        self.sent = dict(pairs)
        """Under the names that were sent, as they were signed."""

    @classmethod
    def read(cls, raw_query: str, raw_body: str) -> Self:
        if raw_body.lstrip().startswith("{"):
            return cls({**_of_json(raw_body), **dict(params.form_pairs(raw_query))})
        return super().read(raw_query, raw_body)

    def missing(self, name: str) -> WireError:
        return missing(name)

    def illegal(self, name: str, legal: str) -> WireError:
        return invalid(f"{name}: expected {legal}")

    def bad_limit(self) -> WireError:
        return error(109414, "limit is invalid")

    def read_symbol(self, text: str) -> Symbol:
        return wire_symbol(text)


def _of_json(raw_body: str) -> dict[str, str]:
    """A JSON object's members as texts, inner objects as JSON again; what is no object says nothing."""
    try:
        body = orjson.loads(raw_body)
    except orjson.JSONDecodeError:
        return {}
    nested = {
        name: orjson.dumps(value).decode() if isinstance(value, dict | list) else value
        for name, value in (body.items() if isinstance(body, dict) else ())
    }
    return texts(nested)


def wire_symbol(text: str) -> Symbol:
    """`BTC-USDT` as a symbol, in no other spelling."""
    try:
        symbol = Symbol.parse(text)
    except BadSymbol as bad:
        raise error(109425, "symbol not exist") from bad
    if symbol.dashed != text:
        raise error(109425, "symbol not exist")
    return symbol
