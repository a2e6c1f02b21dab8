"""Endless seeded markets: trends, clusters of volatility, now and then a jump."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from random import Random

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import DAY_MS, GENERATED_START_MS, MINUTE_MS, Bar, Market
from holdfast.simulator.core.instruments import SimInstrument, base_price, instrument_for

TREND_MINUTES = (45, 300)
TREND_PER_MINUTE = (0.00008, 0.0003)
"""A trend's drift per minute; a flat market has none."""
VOLATILITY = 0.0006
"""Typical move per minute."""
JUMP_CHANCE = 1 / 1200
JUMP_SIZE = (0.004, 0.02)
PULL = 0.00002
"""How strongly the price is drawn back to where it began, so that endless stays plausible."""
QUOTE_PER_MINUTE = 1_500_000.0
FUNDING_MS = 8 * 60 * MINUTE_MS


class _Series:
    """One symbol's minutes, made in order and kept."""

    def __init__(self, symbol: Symbol, seed: int) -> None:
        self._rng = Random(f"{seed}:{symbol}")  # noqa: S311 a market, no secret
        self._anchor = math.log(base_price(symbol) or 10 ** self._rng.uniform(-1, 2))
        self._price = self._anchor
        self._calm = math.log(VOLATILITY)
        self._volatility = self._calm
        self._drift = 0.0
        self._trend_left = 0
        self.bars: list[Bar] = []

    def bar(self, index: int) -> Bar:
        while len(self.bars) <= index:
            self.bars.append(self._next())
        return self.bars[index]

    def _next(self) -> Bar:
        rng = self._rng
        sigma = self._minute_sigma()
        move = self._minute_drift() + sigma * rng.gauss(0, 1) - PULL * (self._price - self._anchor)
        if rng.random() < JUMP_CHANCE:
            move += rng.choice((-1, 1)) * rng.uniform(*JUMP_SIZE)
        opened = self._price
        self._price = opened + move
        high = max(opened, self._price) + abs(rng.gauss(0, 0.5)) * sigma
        low = min(opened, self._price) - abs(rng.gauss(0, 0.5)) * sigma
        volume = QUOTE_PER_MINUTE * math.exp(rng.gauss(0, 0.4)) * (1 + abs(move) / VOLATILITY)
        quoted = math.exp(opened)
        return Bar(quoted, math.exp(high), math.exp(low), math.exp(self._price), volume / quoted)

    def _minute_sigma(self) -> float:
        """Volatility wanders around its calm level: high follows high."""
        self._volatility += 0.02 * (self._calm - self._volatility) + 0.09 * self._rng.gauss(0, 1)
        return math.exp(self._volatility)

    def _minute_drift(self) -> float:
        if self._trend_left == 0:
            self._trend_left = self._rng.randint(*TREND_MINUTES)
            self._drift = self._rng.choice((-1, 0, 1)) * self._rng.uniform(*TREND_PER_MINUTE)
        self._trend_left -= 1
        return self._drift


class GeneratedMarket:
    """A function of seed and symbol: which symbols are asked for together does not matter."""

    def __init__(self, symbols: Sequence[Symbol], start_ms: int, history_ms: int, seed: int) -> None:
        self.start_ms = start_ms // MINUTE_MS * MINUTE_MS
        self.end_ms: int | None = None
        self._history = max(0, history_ms // MINUTE_MS)
        self._seed = seed
        self._series = {symbol: _Series(symbol, seed) for symbol in symbols}

    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(self._series)

    def instrument(self, symbol: Symbol) -> SimInstrument:
        return instrument_for(symbol, self.bar(symbol, self.start_ms).open)

    def first_ms(self, symbol: Symbol) -> int:
        return self.start_ms - self._history * MINUTE_MS

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        return self._series[symbol].bar(self._history + (open_ms - self.start_ms) // MINUTE_MS)

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        at_ms = (after_ms // FUNDING_MS + 1) * FUNDING_MS
        chance = Random(f"{self._seed}:{symbol}:funding:{at_ms}")  # noqa: S311
        return at_ms, Decimal(round(chance.uniform(-0.00005, 0.00015) * 10**8)).scaleb(-8)


def generated_market(
    symbols: Sequence[Symbol],
    start_ms: int = GENERATED_START_MS,
    history_ms: int = DAY_MS,
    seed: int = 0,
) -> Market:
    """Endless markets made from *seed*; well-known symbols begin near their usual prices."""
    return GeneratedMarket(symbols, start_ms, history_ms, seed)
