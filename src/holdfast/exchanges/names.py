"""Wire names of instruments and ours, both ways, without ever losing one."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.domain.symbol import BadSymbol, Symbol

UNREADABLE = "UNREADABLE"
"""The quote of a symbol whose wire name fits no spelling of ours; its base is the name in hex."""


class Names:
    """`BTCUSDT` ↔ `BTC/USDT:USDT`, as the exchange's own list says.

    An id that the list does not name still gets a symbol, so that a position in it cannot vanish: a
    new listing is read like the others, a delivery contract `BTCUSDT_261225` as
    `BTCUSDT/261225:261225`, and what fits no spelling is kept in hex. Such a symbol has no
    `Instrument`, but it can be written, read back and sent to the exchange again.
    """

    def __init__(self, listed: Mapping[str, Symbol]) -> None:
        self._by_id = dict(listed)
        self._by_symbol = {symbol: wire_id for wire_id, symbol in listed.items()}

    def symbol(self, wire_id: str) -> Symbol:
        """The symbol of a wire id; never fails, and the same id always gives the same symbol."""
        found = self._by_id.get(wire_id)
        return found if found is not None else _guess(wire_id)

    def wire(self, symbol: Symbol) -> str:
        """The wire id of a symbol, listed or not: `symbol(wire(s)) == s`."""
        found = self._by_symbol.get(symbol)
        if found is not None:
            return found
        if symbol.quote == UNREADABLE:
            return bytes.fromhex(symbol.base[1:]).decode("utf-8", "replace")
        if _is_dated(symbol.quote):
            return f"{symbol.base}_{symbol.quote}"
        return symbol.compact


def readable(symbol: Symbol) -> bool:
    """Whether a symbol survives being written and read back (names in other scripts do not)."""
    try:
        return Symbol.parse(str(symbol)) == symbol
    except BadSymbol:
        return False


def _is_dated(quote: str) -> bool:
    return quote.isdigit() or quote == "PERP"


def _guess(wire_id: str) -> Symbol:
    try:
        symbol = Symbol.parse(wire_id)
    except BadSymbol:
        return _unreadable(wire_id)
    dated = _is_dated(symbol.quote) and f"{symbol.base}_{symbol.quote}" == wire_id
    plain = symbol.compact == wire_id and not _is_dated(symbol.quote)
    return symbol if (dated or plain) and readable(symbol) else _unreadable(wire_id)


def _unreadable(wire_id: str) -> Symbol:
    code = wire_id.encode("utf-8", "replace").hex().upper()
    return Symbol(f"X{code}", UNREADABLE, UNREADABLE)
