"""What may be traded on Binance, from exchangeInfo and leverageBracket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from holdfast.domain.instrument import Bracket, Instrument
from holdfast.domain.numbers import ZERO
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.binance import wire
from holdfast.exchanges.decoding import BadAnswer, Reader, Table, amount, bounded, price
from holdfast.exchanges.hub import Markets
from holdfast.exchanges.names import Names, readable

PERPETUAL = frozenset({"PERPETUAL", "TRADIFI_PERPETUAL"})
TRADING = "TRADING"

_INFO = Reader(wire.ExchangeInfoBody)
_SYMBOLS = Table(wire.SymbolRow)
_BRACKETS = Table(wire.BracketsRow)
_BRACKETS_ONE = Reader(wire.BracketsRow)


def markets(info: bytes, brackets: Mapping[str, tuple[Bracket, ...]]) -> Markets:
    """The perpetual contracts of an exchangeInfo answer; raises `BadAnswer`."""
    rows = _SYMBOLS.read_raw(_INFO.read(info).symbols, _instrument)
    if rows.bad and not rows.values:
        raise BadAnswer(f"expected instruments, found {rows.bad} rows and none readable")
    listed = {
        wire_id: replace(instrument, brackets=brackets.get(wire_id, ()))
        for wire_id, instrument in rows.values
    }
    names = Names({wire_id: instrument.symbol for wire_id, instrument in listed.items()})
    return Markets({item.symbol: item for item in listed.values()}, names, rows.bad)


def _instrument(row: wire.SymbolRow) -> tuple[str, Instrument] | None:
    symbol = Symbol(row.baseAsset, row.quoteAsset, row.marginAsset)
    if row.contractType not in PERPETUAL or not readable(symbol):
        return None
    rules = {rule.filterType: rule for rule in row.filters}
    lot = _rule(rules, "LOT_SIZE")
    market_lot = rules.get("MARKET_LOT_SIZE", lot)
    notional = rules.get("MIN_NOTIONAL")
    return row.symbol, Instrument(
        symbol=symbol,
        price_step=price(_rule(rules, "PRICE_FILTER").tickSize),
        quantity_step=price(lot.stepSize),
        quantity_min=amount(lot.minQty),
        quantity_max=price(lot.maxQty),
        market_quantity_max=price(market_lot.maxQty),
        notional_min=amount(notional.notional) if notional and notional.notional else ZERO,
        tradable=row.status == TRADING,
    )


def _rule(rules: Mapping[str, wire.FilterRow], name: str) -> wire.FilterRow:
    found = rules.get(name)
    if found is None:
        raise BadAnswer(f"expected the filter {name}, found none")
    return found


def brackets(body: bytes) -> dict[str, tuple[Bracket, ...]]:
    """Margin ladders by wire id; the exchange answers with a list, or for one symbol with an object."""
    if body[:1] == b"{":
        name, ladder = _ladder(_BRACKETS_ONE.read(body))
        return {name: ladder}
    return dict(_BRACKETS.read(body, _ladder).values)


def _ladder(row: wire.BracketsRow) -> tuple[str, tuple[Bracket, ...]]:
    steps = (_bracket(step) for step in row.brackets)
    return row.symbol, tuple(sorted(steps, key=lambda step: step.notional_floor))


def _bracket(row: wire.BracketRow) -> Bracket:
    return Bracket(
        notional_floor=bounded(row.notionalFloor),
        notional_cap=bounded(row.notionalCap),
        leverage_max=row.initialLeverage,
        maintenance_ratio=bounded(row.maintMarginRatio),
        maintenance_amount=bounded(row.cum),
    )
