"""A strategy plug-in that wishes what a file says, so that a drill decides when the bot enters.

The file is JSON: `{"enter": {"BTC/USDT:USDT": "long"}, "exit": ["ETH/USDT:USDT"]}`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies.base import MarketView

NAME = "tests.gauntlet.scripted:make"


@dataclass(frozen=True)
class Scripted:
    file: Path
    stop_ratio: Decimal
    name: str = NAME
    timeframe: str = "1m"
    warmup_bars: int = 2
    extra_pairs: tuple[Symbol, ...] = ()

    def signals(self, view: MarketView) -> Sequence[Signal]:
        wishes = json.loads(self.file.read_text()) if self.file.exists() else {}
        entries = {Symbol.parse(name): Direction(way) for name, way in wishes.get("enter", {}).items()}
        exits = {Symbol.parse(name) for name in wishes.get("exit", [])}
        said = [
            self._signal(view, symbol, way, Action.ENTER)
            for symbol, way in sorted(entries.items())
            if symbol in view.candles and symbol not in view.positions
        ]
        return said + [
            self._signal(view, symbol, own.direction, Action.EXIT)
            for symbol, own in sorted(view.positions.items())
            if symbol in exits
        ]

    def _signal(self, view: MarketView, symbol: Symbol, way: Direction, action: Action) -> Signal:
        price = Decimal(str(float(view.candles[symbol].close[-1])))
        return Signal(
            strategy=self.name,
            symbol=symbol,
            action=action,
            direction=way,
            score=Decimal("0.9"),
            reason="the drill says so",
            created_ms=view.now_ms,
            price=price,
            stop_price=price * (1 - way.sign * self.stop_ratio),
            volatility=Decimal("0.001"),
        )


def make(file: str, stop_ratio: str = "0.02") -> Scripted:
    return Scripted(Path(file), Decimal(stop_ratio))
