"""What may be traded on Bitget, from the list of contracts."""

from __future__ import annotations

from decimal import Decimal

from holdfast.domain.instrument import Instrument
from holdfast.domain.symbol import Symbol
from holdfast.exchanges.bitget import decode, wire
from holdfast.exchanges.bitget.requests import COIN
from holdfast.exchanges.decoding import BadAnswer, amount, amount_or_zero, price
from holdfast.exchanges.hub import Markets
from holdfast.exchanges.names import Names, readable

PERPETUAL = "perpetual"
NORMAL = "normal"
NO_MAXIMUM = Decimal(10) ** 12
"""Where the list names no largest order."""


def markets(body: bytes) -> Markets:
    """The perpetual contracts of the list; raises `BadAnswer`.

    Their margin ladders are not read: that takes one request for each (sheet §3.1).
    """
    rows = decode.rows(decode.CONTRACTS, body, _instrument)
    if rows.bad and not rows.values:
        raise BadAnswer(f"expected instruments, found {rows.bad} rows and none readable")
    listed = dict(rows.values)
    names = Names({wire_id: instrument.symbol for wire_id, instrument in listed.items()})
    return Markets({item.symbol: item for item in listed.values()}, names, rows.bad)


def _instrument(row: wire.ContractRow) -> tuple[str, Instrument] | None:
    symbol = Symbol(row.baseCoin, row.quoteCoin, COIN)
    if row.symbolType != PERPETUAL or COIN not in row.supportMarginCoins or not readable(symbol):
        return None
    largest = amount_or_zero(row.maxOrderQty) or NO_MAXIMUM
    return row.symbol, Instrument(
        symbol=symbol,
        price_step=price(row.priceEndStep).scaleb(-row.pricePlace),
        quantity_step=price(row.sizeMultiplier),
        quantity_min=amount(row.minTradeNum),
        quantity_max=largest,
        market_quantity_max=amount_or_zero(row.maxMarketOrderQty) or largest,
        notional_min=amount_or_zero(row.minTradeUSDT),
        tradable=row.symbolStatus == NORMAL,
    )
