"""Worlds for the core's tests: a market whose every minute is written down, and short ways to trade in it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from holdfast.domain.orders import PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import MINUTE_MS, Bar
from holdfast.simulator.core.engine import Core, CoreConfig
from holdfast.simulator.core.instruments import SimInstrument, instrument_for
from holdfast.simulator.core.model import (
    AlgoRequest,
    AlgoType,
    CoreEvent,
    OrderKind,
    OrderRequest,
    PriceEvent,
    SimAlgo,
    SimOrder,
    SimPosition,
    TradeEvent,
)

FOO = Symbol.parse("FOOUSDT")
BAR = Symbol.parse("BARUSDT")
START_MS = 1_746_489_600_000
"""2025-05-06 00:00 UTC."""
FUNDING_MS = 600_000
"""Written markets are funded every ten minutes."""
ME = "me"
D = Decimal


class WrittenMarket:
    """Minutes as written; the last one repeats. FOO's tick and step are 0.01 at a price of 100."""

    def __init__(
        self,
        bars: Sequence[Bar],
        history: int = 3,
        symbols: Sequence[Symbol] = (FOO,),
        rate: str = "0.0001",
    ) -> None:
        self.start_ms, self.end_ms = START_MS, None
        self._bars, self._history, self._symbols = list(bars), history, tuple(symbols)
        self._rate = D(rate)

    def symbols(self) -> tuple[Symbol, ...]:
        return self._symbols

    def instrument(self, symbol: Symbol) -> SimInstrument:
        return instrument_for(symbol, 100.0)

    def first_ms(self, symbol: Symbol) -> int:
        return self.start_ms - self._history * MINUTE_MS

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        return self._bars[max(0, min((open_ms - self.start_ms) // MINUTE_MS, len(self._bars) - 1))]

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        return (after_ms // FUNDING_MS + 1) * FUNDING_MS, self._rate


def flat(price: float = 100.0, volume: float = 60_000.0) -> Bar:
    """A minute in which nothing moves; by default 1000 a second are traded (250 stand at best)."""
    return Bar(price, price, price, price, volume)


def line(begin: float, end: float, volume: float = 60_000.0) -> Bar:
    """A minute that goes straight from *begin* to *end*."""
    return Bar(begin, max(begin, end), min(begin, end), end, volume)


def core(*bars: Bar, wallet: str = "10000", symbols: Sequence[Symbol] = (FOO,), **config: Any) -> Core:
    """A core over written minutes with the account `me`; the last minute is followed by flat ones."""
    minutes = list(bars) or [flat()]
    minutes.append(flat(minutes[-1].close, minutes[-1].volume))
    made = Core(WrittenMarket(minutes, symbols=symbols), CoreConfig(**config))
    made.open_account(ME, "key", "secret", D(wallet))
    return made


def order(side: Side = Side.BUY, quantity: str = "1", **changes: Any) -> OrderRequest:
    """A market order for one FOO, or with *price* a limit order."""
    fields: dict[str, Any] = {"symbol": FOO, "side": side, "kind": OrderKind.MARKET, "quantity": D(quantity)}
    if "price" in changes:
        changes["price"] = D(changes["price"])
        fields["kind"] = OrderKind.LIMIT
    return OrderRequest(**(fields | changes))


def stop(trigger: str = "95", side: Side = Side.SELL, **changes: Any) -> AlgoRequest:
    """A closePosition stop of a long position, or with *quantity* a reduce-only one."""
    fields: dict[str, Any] = {
        "symbol": FOO,
        "side": side,
        "type": AlgoType.STOP_MARKET,
        "trigger_price": D(trigger),
        "close_position": "quantity" not in changes,
        "reduce_only": "quantity" in changes,
    }
    if "quantity" in changes:
        changes["quantity"] = D(changes["quantity"])
    return AlgoRequest(**(fields | changes))


def buy(world: Core, quantity: str = "1", **changes: Any) -> SimOrder:
    return world.place_order(ME, order(Side.BUY, quantity, **changes))


def sell(world: Core, quantity: str = "1", **changes: Any) -> SimOrder:
    return world.place_order(ME, order(Side.SELL, quantity, **changes))


def protect(world: Core, trigger: str = "95", **changes: Any) -> SimAlgo:
    return world.place_algo(ME, stop(trigger, **changes))


def go(world: Core, seconds: float) -> None:
    world.advance(world.now_ms + round(seconds * 1000))


def position(world: Core, side: PositionSide = PositionSide.BOTH, symbol: Symbol = FOO) -> SimPosition | None:
    return world.view(ME).positions.get((symbol, side))


def held(world: Core, side: PositionSide = PositionSide.BOTH, symbol: Symbol = FOO) -> Decimal:
    found = position(world, side, symbol)
    return found.quantity if found else D(0)


def stored(world: Core, made: SimOrder) -> SimOrder:
    return world.view(ME).orders[made.order_id]


def algo_of(world: Core, made: SimAlgo) -> SimAlgo:
    return world.view(ME).algos[made.algo_id]


class Recorder:
    """Keeps what was told, market news apart."""

    def __init__(self, world: Core) -> None:
        self.told: list[CoreEvent] = []
        self.market: list[PriceEvent | TradeEvent] = []
        world.listen(self._hear)

    def _hear(self, event: CoreEvent) -> None:
        if isinstance(event, PriceEvent | TradeEvent):
            self.market.append(event)
        else:
            self.told.append(event)
