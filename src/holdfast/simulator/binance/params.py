"""What a client sent, read with Binance's complaints."""

from __future__ import annotations

import re

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.simulator.binance import errors
from holdfast.simulator.wire import params
from holdfast.simulator.wire.errors import WireError

_SYMBOL = re.compile(r"^[A-Z0-9]{1,40}$")


class Params(params.Params):
    """The parameters of one request. A name in the query wins over the same name in the body."""

    # Clients disagree on the case of these names (sheet §2); the exchange takes both.
    spellings = {"orderidlist": "orderIdList", "origclientorderidlist": "origClientOrderIdList"}

    def missing(self, name: str) -> WireError:
        return errors.missing(name)

    def illegal(self, name: str, legal: str) -> WireError:
        return errors.illegal(name, legal)

    def bad_limit(self) -> WireError:
        return errors.not_valid("limit")

    def read_symbol(self, text: str) -> Symbol:
        return wire_symbol(text)


def wire_symbol(text: str) -> Symbol:
    """`BTCUSDT` as a symbol; unreadable text is an invalid symbol like any other."""
    try:
        if not _SYMBOL.match(text):
            raise BadSymbol(text)
        return Symbol.parse(text)
    except BadSymbol as error:
        raise WireError(-1121, "Invalid symbol.") from error
