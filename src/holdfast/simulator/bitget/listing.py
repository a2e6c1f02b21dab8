"""Bitget's trading rules over any market: its own steps, minimums and fees for well-known symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import Bar, Market
from holdfast.simulator.core.instruments import SimInstrument, decimals_of

MAKER_FEE, TAKER_FEE = Decimal("0.0002"), Decimal("0.0006")
NOTIONAL_MIN = Decimal(5)


@dataclass(frozen=True, slots=True)
class _Rules:
    tick: str
    step: str


# As Bitget listed them; the others keep the steps that the market derived.
_KNOWN: Mapping[str, _Rules] = {
    "BTC": _Rules("0.1", "0.0001"),
    "ETH": _Rules("0.01", "0.01"),
    "SOL": _Rules("0.001", "0.1"),
    "BNB": _Rules("0.01", "0.01"),
    "XRP": _Rules("0.0001", "1"),
    "ADA": _Rules("0.0001", "1"),
    "DOGE": _Rules("0.00001", "1"),
    "LTC": _Rules("0.01", "0.1"),
    "LINK": _Rules("0.001", "0.1"),
    "AVAX": _Rules("0.001", "0.1"),
    "DOT": _Rules("0.0001", "0.1"),
    "TRX": _Rules("0.00001", "1"),
    "SUI": _Rules("0.0001", "0.1"),
}


class Listing:
    """A market under Bitget's rules; prices and funding are the market's."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.start_ms, self.end_ms = market.start_ms, market.end_ms

    def symbols(self) -> tuple[Symbol, ...]:
        return self._market.symbols()

    def instrument(self, symbol: Symbol) -> SimInstrument:
        """A fresh copy of the rules."""
        theirs = self._market.instrument(symbol)
        rules = _KNOWN.get(symbol.base)
        tick = Decimal(rules.tick) if rules else theirs.price_step
        step = Decimal(rules.step) if rules else theirs.quantity_step
        return replace(
            theirs,
            price_step=tick,
            price_decimals=decimals_of(tick),
            price_min=max(tick, theirs.price_min),
            quantity_step=step,
            quantity_min=step,
            quantity_decimals=decimals_of(step),
            notional_min=NOTIONAL_MIN,
            maker_fee=MAKER_FEE,
            taker_fee=TAKER_FEE,
        )

    def first_ms(self, symbol: Symbol) -> int:
        return self._market.first_ms(symbol)

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        return self._market.bar(symbol, open_ms)

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        return self._market.next_funding(symbol, after_ms)
