"""One symbol's prices as they move: the walk, mark and index, the synthetic book, the public tape."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from itertools import takewhile
from typing import NamedTuple

from holdfast.domain.account import Candle
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Side
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.bars import MINUTE_MS, Market
from holdfast.simulator.core.charts import Chart
from holdfast.simulator.core.config import CoreConfig
from holdfast.simulator.core.model import PriceEvent, TradeEvent
from holdfast.simulator.core.path import SECONDS, walk

INDEX_WEIGHT = 0.6
MARK_WEIGHT = 0.3
"""Weights of the newest price, per second: the index follows last within two seconds, the mark within
about eight, smoother. (The real mark is a median of index and moving averages: binance.md §5.)"""
VOLUME_WEIGHT = 0.002
"""Per second: the book's depth follows the traded volume within minutes."""


class Level(NamedTuple):
    price: Decimal
    quantity: Decimal


class _Print(NamedTuple):
    at_ms: int
    trade_id: int
    price: Decimal
    quantity: Decimal
    buyer_is_maker: bool


class Quote:
    """Everything the core knows of a symbol's market. Floats walk; ticks and Decimals leave."""

    def __init__(self, market: Market, symbol: Symbol, config: CoreConfig) -> None:
        self.symbol, self.config = symbol, config
        self.instrument = market.instrument(symbol)
        self.tick = self.instrument.price_step
        self._per_tick = 1 / float(self.tick)
        self._market = market
        self.factor = 1.0
        self._moves: list[list[float]] = []
        self.liquidity = 1.0
        self.book_levels = config.book_levels
        self.frozen = False
        self.spread_ratio = float(config.spread_ratio)
        self._shown: tuple[tuple[object, ...], PriceEvent] | None = None
        self.tape: deque[_Print] = deque(maxlen=1000)
        self._trade_id = 0
        self._unprinted = 0.0
        self.taken = {Side.BUY: ZERO, Side.SELL: ZERO}
        self.chart = Chart(market, symbol, self.tick)
        self.marks = Chart(market, symbol, self.tick)
        self.second_volume = 0.0
        self.average_volume = self._volume_before(market.start_ms)
        self._path: list[float] = []
        self._index = self._mark = market.bar(symbol, market.start_ms).open
        self.last_ticks = self.mark_ticks = 0
        self.last = self.mark = self.index = ZERO
        self.step(market.start_ms)

    def _volume_before(self, start_ms: int) -> float:
        """Volume per second of the hour before the start (or of the first minute, without history)."""
        begin = max(self._market.first_ms(self.symbol), start_ms - 60 * MINUTE_MS)
        opens = range(begin, start_ms, MINUTE_MS) or range(start_ms, start_ms + 1)
        return sum(self._market.bar(self.symbol, at).volume for at in opens) / len(opens) / SECONDS

    # --- the walk ----------------------------------------------------------------------------------

    def step(self, at_ms: int) -> None:
        """Take the price of the second that begins at *at_ms* (every second in turn)."""
        second = at_ms // 1000 % SECONDS
        if second == 0:
            self._open_minute(at_ms)
        if self._moves:
            self._move()
        price = self._path[second] * self.factor
        if not self.frozen:
            self._index += INDEX_WEIGHT * (price - self._index)
            self._mark += MARK_WEIGHT * (price - self._mark)
        before = self.last_ticks
        self._publish(price)
        if second == 0:
            self.chart.begin(self.last_ticks)
            self.marks.begin(self.mark_ticks)
        self.chart.add(self.last_ticks, self.second_volume * (second + 1))
        self.marks.add(self.mark_ticks, 0.0)
        self.average_volume += VOLUME_WEIGHT * (self.second_volume - self.average_volume)
        self.taken[Side.BUY] = self.taken[Side.SELL] = ZERO
        self._print(at_ms, self.last_ticks < before)

    def _open_minute(self, at_ms: int) -> None:
        if self._path:
            self.chart.end()
            self.marks.end()
        bar = self._market.bar(self.symbol, at_ms)
        self._path = walk(bar)
        self.second_volume = bar.volume / SECONDS

    def _publish(self, price: float) -> None:
        per_tick = self._per_tick
        self.last_ticks = round(price * per_tick) or 1
        self.mark_ticks = round(self._mark * per_tick) or 1
        self.last = self.last_ticks * self.tick
        self.mark = self.mark_ticks * self.tick
        self.index = (round(self._index * per_tick) or 1) * self.tick

    def _move(self) -> None:
        for move in self._moves:
            self.factor *= move[0]
            move[1] -= 1
        self._moves = [move for move in self._moves if move[1] > 0]

    def _print(self, at_ms: int, falling: bool) -> None:
        """The second's volume on the tape; less than a step waits for the next second."""
        self._unprinted += self.second_volume
        step = self.instrument.quantity_step
        steps = int(self._unprinted / float(step))
        if steps:
            self._unprinted -= steps * float(step)
            self._trade_id += 1
            self.tape.append(_Print(at_ms, self._trade_id, self.last, steps * step, falling))

    # --- what admin changes ------------------------------------------------------------------------

    def move(self, ratio: Decimal, seconds: int) -> None:
        """Multiply the path by *ratio* over the next *seconds* steps (at least one)."""
        steps = max(1, seconds)
        self._moves.append([float(ratio) ** (1 / steps), steps])

    def set_tick(self, tick: Decimal) -> None:
        self.tick = tick
        self._per_tick = 1 / float(tick)
        self.chart.rescale(tick)
        self.marks.rescale(tick)
        self._publish(self._path[0] * self.factor if not self.last_ticks else float(self.last))

    # --- reading -----------------------------------------------------------------------------------

    @property
    def bid_ticks(self) -> int:
        return max(1, self.last_ticks - self._spread_ticks // 2)

    @property
    def ask_ticks(self) -> int:
        return self.bid_ticks + self._spread_ticks

    @property
    def _spread_ticks(self) -> int:
        return round(self.last_ticks * self.spread_ratio) or 1

    @property
    def bid(self) -> Decimal:
        return self.bid_ticks * self.tick

    @property
    def ask(self) -> Decimal:
        return self.ask_ticks * self.tick

    def event(self, at_ms: int) -> PriceEvent:
        """The prices of this moment; asked for by many, so made once while nothing changes."""
        shown = (at_ms, self.last, self.mark, self.index, self.spread_ratio)
        if self._shown is None or self._shown[0] != shown:
            self._shown = (shown, self._event(at_ms))
        return self._shown[1]

    def _event(self, at_ms: int) -> PriceEvent:
        bid = self.bid_ticks
        return PriceEvent(
            at_ms=at_ms,
            symbol=self.symbol,
            last=self.last,
            mark=self.mark,
            index=self.index,
            bid=bid * self.tick,
            ask=(bid + self._spread_ticks) * self.tick,
        )

    def trades(self, limit: int) -> tuple[TradeEvent, ...]:
        newest = list(self.tape)[-limit:] if limit > 0 else []
        return tuple(self._trade(one) for one in newest)

    def trades_since(self, after_ms: int) -> tuple[TradeEvent, ...]:
        newest = takewhile(lambda one: one.at_ms > after_ms, reversed(self.tape))
        return tuple(self._trade(one) for one in reversed(tuple(newest)))

    def trade_at(self, at_ms: int) -> TradeEvent | None:
        """The print of this very second, if there was one."""
        return self._trade(self.tape[-1]) if self.tape and self.tape[-1].at_ms == at_ms else None

    def _trade(self, one: _Print) -> TradeEvent:
        return TradeEvent(
            at_ms=one.at_ms,
            symbol=self.symbol,
            trade_id=one.trade_id,
            price=one.price,
            quantity=one.quantity,
            buyer_is_maker=one.buyer_is_maker,
        )

    def candles(
        self, interval_ms: int, start_ms: int | None, end_ms: int | None, limit: int, source: str
    ) -> tuple[Candle, ...]:
        chart = self.chart if source == "last" else self.marks
        return chart.select(interval_ms, start_ms, end_ms, limit)

    # --- the synthetic book ------------------------------------------------------------------------

    @property
    def unit(self) -> Decimal:
        """What stands at the best price of each side: a share of the volume per second, in whole steps."""
        step = self.instrument.quantity_step
        share = self.average_volume * float(self.config.taker_share) * self.liquidity
        if share <= 0:
            return ZERO
        return max(1, int(share / float(step))) * step

    def maker_quantity(self) -> Decimal:
        """How much of this second's volume may fill resting orders, per side."""
        step = self.instrument.quantity_step
        share = self.second_volume * float(self.config.maker_share) * self.liquidity
        return int(share / float(step)) * step

    def levels(self, taker: Side) -> Iterator[Level]:
        """What a *taker* meets, best first: level i holds (i + 1) times the unit, less what was taken.

        Orders taken within one second eat into the same book; the next second it is whole again.
        """
        unit = self.unit
        if not unit:
            return
        spacing = round(self.last_ticks * float(self.config.level_ratio)) or 1
        best, sign = (self.ask_ticks, 1) if taker is Side.BUY else (self.bid_ticks, -1)
        gone = self.taken[taker]
        for index in range(self.book_levels):
            ticks = best + sign * index * spacing
            if ticks <= 0:
                return
            size = unit * (index + 1)
            if gone >= size:
                gone -= size
                continue
            yield Level(ticks * self.tick, size - gone)
            gone = ZERO
