"""Wire names of BingX's instruments: `BTC-USDT` ↔ `BTC/USDT:USDT`."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.exchanges.names import UNREADABLE, Names, readable


class DashedNames(Names):
    """As `Names`, for an exchange that writes `BTC-USDT`."""

    def __init__(self, listed: Mapping[str, Symbol]) -> None:
        super().__init__(listed)
        self._wire_ids = {symbol: wire_id for wire_id, symbol in listed.items()}
        self._symbols = dict(listed)

    def symbol(self, wire_id: str) -> Symbol:
        """The symbol of a wire id; never fails, and the same id always gives the same symbol."""
        found = self._symbols.get(wire_id)
        return found if found is not None else _guess(wire_id)

    def wire(self, symbol: Symbol) -> str:
        """The wire id of a symbol, listed or not: `symbol(wire(s)) == s`."""
        found = self._wire_ids.get(symbol)
        if found is not None:
            return found
        if symbol.quote == UNREADABLE:
            return bytes.fromhex(symbol.base[1:]).decode("utf-8", "replace")
        return symbol.dashed


def _guess(wire_id: str) -> Symbol:
    try:
        symbol = Symbol.parse(wire_id)
    except BadSymbol:
        return _unreadable(wire_id)
    fits = symbol.dashed == wire_id and symbol.settle == symbol.quote and symbol.quote != UNREADABLE
    return symbol if fits and readable(symbol) else _unreadable(wire_id)


def _unreadable(wire_id: str) -> Symbol:
    code = wire_id.encode("utf-8", "replace").hex().upper()
    return Symbol(f"X{code}", UNREADABLE, UNREADABLE)
