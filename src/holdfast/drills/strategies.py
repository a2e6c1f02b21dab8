"""Strategies that make a drill trade: one does as told, one is restless by the seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies.base import MarketView, OwnPosition, Strategy
from holdfast.strategies.registry import make_strategy

RESTLESS, SCRIPTED = "restless", "scripted"


@dataclass
class Scripted:
    """Wishes what a drill tells it, as long as it is told so; it outlives the bot's restarts."""

    name: str = SCRIPTED
    timeframe: str = "1m"
    warmup_bars: int = 2
    extra_pairs: tuple[Symbol, ...] = ()
    wishes: dict[Symbol, Direction] = field(default_factory=dict)
    """Symbols to be in, and how."""
    exits: set[Symbol] = field(default_factory=set)
    """Positions to leave."""
    stops: dict[Symbol, Decimal] = field(default_factory=dict)
    """Where stops are wanted now."""
    stop_ratio: Decimal = Decimal("0.01")
    """Distance of the first stop from the price."""

    def signals(self, view: MarketView) -> Sequence[Signal]:
        said = []
        for symbol, direction in sorted(self.wishes.items()):
            if symbol in view.candles and symbol not in view.positions:
                stop = _price(view, symbol) * (1 - direction.sign * self.stop_ratio)
                said.append(_signal(self.name, view, symbol, direction, Action.ENTER, stop))
        for symbol, own in sorted(view.positions.items()):
            if symbol not in view.candles:
                continue  # no price to speak of, just now
            if symbol in self.exits:
                said.append(_signal(self.name, view, symbol, own.direction, Action.EXIT, None))
            elif symbol in self.stops:
                stop = self.stops[symbol]
                said.append(_signal(self.name, view, symbol, own.direction, Action.ADJUST, stop))
        return said


@dataclass(frozen=True)
class Restless:
    """Enters, leaves and moves stops by chance; a function of the seed and the last closed bar."""

    seed: str
    name: str = RESTLESS
    timeframe: str = "1m"
    warmup_bars: int = 2
    extra_pairs: tuple[Symbol, ...] = ()
    enter_chance: float = 0.2
    """Per look and symbol without a position."""
    exit_chance: float = 0.1
    adjust_chance: float = 0.2
    stop_ratios: tuple[float, float] = (0.002, 0.01)

    def signals(self, view: MarketView) -> Sequence[Signal]:
        said = (self._of(view, symbol) for symbol in sorted(view.candles))
        return [signal for signal in said if signal is not None]

    def _of(self, view: MarketView, symbol: Symbol) -> Signal | None:
        chance = random.Random(f"{self.seed}/{symbol}/{view.candles[symbol].closed_ms}")  # noqa: S311
        own = view.positions.get(symbol)
        if own is not None:
            return self._held(view, symbol, own, chance)
        if chance.random() >= self.enter_chance:
            return None
        direction = chance.choice((Direction.LONG, Direction.SHORT))
        return _signal(
            self.name, view, symbol, direction, Action.ENTER, self._stop(view, symbol, direction, chance)
        )

    def _held(
        self, view: MarketView, symbol: Symbol, own: OwnPosition, chance: random.Random
    ) -> Signal | None:
        drawn = chance.random()
        if drawn < self.exit_chance:
            return _signal(self.name, view, symbol, own.direction, Action.EXIT, None)
        if drawn < self.exit_chance + self.adjust_chance:
            stop = self._stop(view, symbol, own.direction, chance)
            return _signal(self.name, view, symbol, own.direction, Action.ADJUST, stop)
        return None

    def _stop(self, view: MarketView, symbol: Symbol, direction: Direction, chance: random.Random) -> Decimal:
        ratio = Decimal(f"{chance.uniform(*self.stop_ratios):.5f}")
        return _price(view, symbol) * (1 - direction.sign * ratio)


def _price(view: MarketView, symbol: Symbol) -> Decimal:
    return Decimal(str(float(view.candles[symbol].close[-1])))


def _signal(
    name: str, view: MarketView, symbol: Symbol, direction: Direction, action: Action, stop: Decimal | None
) -> Signal:
    return Signal(
        strategy=name,
        symbol=symbol,
        action=action,
        direction=direction,
        score=Decimal("0.9"),
        reason="the drill says so",
        created_ms=view.now_ms,
        price=_price(view, symbol),
        stop_price=stop,
        volatility=Decimal("0.001"),
    )


def strategy_maker(scripted: Scripted, seed: int) -> Callable[[str, Mapping[str, object]], Strategy]:
    """As `strategies.registry.make_strategy`, with the drill's own beside the built-in ones."""

    def make(name: str, params: Mapping[str, object]) -> Strategy:
        if name == SCRIPTED:
            return scripted
        if name == RESTLESS:
            return Restless(f"{seed}", **params)  # type: ignore[arg-type]
        return make_strategy(name, params)

    return make
