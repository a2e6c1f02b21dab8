"""A strategy that wishes to hold every symbol: the bot then makes one entry per look at its signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies.base import MarketView

NAME = "bench.wishes:make"
STOP_RATIO = Decimal("0.03")
"""Far enough that no stop is triggered while the benchmark runs."""


@dataclass(frozen=True)
class Everything:
    """Enters whatever it does not hold; never exits."""

    name: str = NAME
    timeframe: str = "1m"
    warmup_bars: int = 2
    extra_pairs: tuple[Symbol, ...] = ()

    def signals(self, view: MarketView) -> Sequence[Signal]:
        return [self._enter(view, symbol) for symbol in sorted(view.candles) if symbol not in view.positions]

    def _enter(self, view: MarketView, symbol: Symbol) -> Signal:
        price = Decimal(str(float(view.candles[symbol].close[-1])))
        return Signal(
            strategy=self.name,
            symbol=symbol,
            action=Action.ENTER,
            direction=Direction.LONG,
            score=Decimal("0.9"),
            reason="the benchmark says so",
            created_ms=view.now_ms,
            price=price,
            stop_price=price * (1 - STOP_RATIO),
            volatility=Decimal("0.001"),
        )


def make() -> Everything:
    return Everything()
