"""BingX's trading rules for the market's symbols: finer steps and a small minimum (sheet §3.1)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from holdfast.domain.instrument import Bracket
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.instruments import SimInstrument, decimals_of
from holdfast.simulator.core.market import Bar, Market

NOTIONAL_MIN = Decimal(2)
# Recorded: BTC 4 decimals, ETH 2; the others are as fine as elsewhere.
STEPS = {"BTC": Decimal("0.0001"), "ETH": Decimal("0.01")}
LEVERAGE_MAX = {"BTC": 150, "ETH": 150}


def rules_of(base: SimInstrument) -> SimInstrument:
    """The rules of the same symbol here; ticks are powers of ten."""
    step = STEPS.get(base.symbol.base, base.quantity_step)
    decimals = decimals_of(base.price_step)
    return replace(
        base,
        price_step=Decimal(1).scaleb(-decimals),
        price_decimals=decimals,
        quantity_step=step,
        quantity_min=step,
        quantity_decimals=decimals_of(step),
        notional_min=NOTIONAL_MIN,
        brackets=_brackets(base),
    )


def _brackets(base: SimInstrument) -> tuple[Bracket, ...]:
    """As elsewhere, the first one with this exchange's highest leverage."""
    first, *others = base.brackets
    most = LEVERAGE_MAX.get(base.symbol.base, first.leverage_max)
    return (replace(first, leverage_max=most), *others)


class Listing:
    """A market's prices under this exchange's rules."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self.start_ms, self.end_ms = market.start_ms, market.end_ms

    def symbols(self) -> tuple[Symbol, ...]:
        return self._market.symbols()

    def instrument(self, symbol: Symbol) -> SimInstrument:
        return rules_of(self._market.instrument(symbol))

    def first_ms(self, symbol: Symbol) -> int:
        return self._market.first_ms(symbol)

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        return self._market.bar(symbol, open_ms)

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        return self._market.next_funding(symbol, after_ms)
