"""The trading loop: candles to strategies to signals, every `check_interval`, paced by the cooldown (R5.1).

It only asks and thinks; what comes of the signals is decided by the supervisor's consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import combinations

import numpy as np

from holdfast.decisions.facts import Tracked
from holdfast.domain.account import Quote
from holdfast.domain.intents import Priority
from holdfast.domain.protocols import Clock
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.engine.events import Inbox, Signals
from holdfast.engine.settings import Trading
from holdfast.exchanges.port import Exchange, ExchangeError
from holdfast.strategies.base import MarketView, OwnPosition, Strategy
from holdfast.strategies.candles import TIMEFRAMES_MS, BadCandles, Candles, Floats, candles_from

CORRELATION_BARS = 60
AT_ONCE = 4
"""Candles of so many symbols are asked for at the same time: observing leaves room for protecting."""


class TradingLoop:
    """Asks the strategies at most every `cooldown_minutes`, looking at the clock every `check_interval`."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        clock: Clock,
        inbox: Inbox,
        trading: Trading,
        symbols: Sequence[Symbol],
        strategies: Sequence[Strategy],
        held: Callable[[], Mapping[Symbol, Tracked]],
        beside: Callable[[], Iterable[Symbol]],
        wanted: Callable[[], bool],
    ) -> None:
        """*held*: the positions in the books, which strategies lead. *beside*: the symbols of whatever is
        open, configured or not; how an entry is correlated with it has to be known."""
        self._exchange = exchange
        self._clock = clock
        self._inbox = inbox
        self._trading = trading
        self._symbols = tuple(symbols)
        self._strategies = tuple(strategies)
        self._held = held
        self._beside = beside
        self._wanted = wanted

    async def run(self) -> None:
        """Endless; errors of the exchange are told as problems of that check, and the next one follows."""
        cooldown_ms = int(self._trading.cooldown_minutes * 60_000)
        last_ms = 0
        while True:
            now = self._clock.now_ms()
            if self._wanted() and now - last_ms >= cooldown_ms:
                last_ms = now
                await self.check()
            await asyncio.sleep(self._trading.check_interval_ms / 1000)

    async def check(self) -> None:
        """Ask every strategy once; what they say goes to the inbox as one event."""
        signals: list[Signal] = []
        problems: list[str] = []
        correlations: dict[frozenset[Symbol], Decimal] = {}
        for timeframe in sorted({s.timeframe for s in self._strategies}):
            using = [s for s in self._strategies if s.timeframe == timeframe]
            bars = max(*(s.warmup_bars for s in using), CORRELATION_BARS)
            led = {*self._symbols, *(pair for strategy in using for pair in strategy.extra_pairs)}
            known, bad = await self._candles(timeframe, bars, led | set(self._beside()))
            problems += bad
            correlations.update(correlations_of(known))
            candles = {symbol: each for symbol, each in known.items() if symbol in led}
            for strategy in using:
                signals += strategy.signals(self._view(strategy, candles))
        quotes, unanswered = await self._quotes(signals)
        problems += unanswered
        self._inbox.put(Signals(tuple(signals), tuple(problems), correlations, quotes))

    async def _quotes(self, signals: Sequence[Signal]) -> tuple[Mapping[Symbol, Quote], list[str]]:
        """Best bid and ask of this moment, where an entry is wished; what is not known refuses it."""
        symbols = sorted({signal.symbol for signal in signals if signal.action is Action.ENTER})
        try:
            return await self._exchange.quotes(symbols, priority=Priority.TRADE), []
        except ExchangeError as error:
            return {}, [f"no best bid and ask: {error}"]

    async def _candles(
        self, timeframe: str, bars: int, wanted: Iterable[Symbol]
    ) -> tuple[dict[Symbol, Candles], list[str]]:
        symbols = sorted(wanted)
        gate = asyncio.Semaphore(AT_ONCE)
        answers = await asyncio.gather(*(self._ask(symbol, timeframe, bars, gate) for symbol in symbols))
        good = {s: a for s, a in zip(symbols, answers, strict=True) if isinstance(a, Candles)}
        bad = [f"{s}: {a}" for s, a in zip(symbols, answers, strict=True) if isinstance(a, str)]
        return good, bad

    async def _ask(self, symbol: Symbol, timeframe: str, bars: int, gate: asyncio.Semaphore) -> Candles | str:
        async with gate:
            try:
                raw = await self._exchange.candles(symbol, timeframe, bars + 1, priority=Priority.OBSERVE)
            except ExchangeError as error:
                return f"no candles: {error}"
        # One of them may be open still; a young market has fewer, and each strategy asks for its own.
        needed = min(bars, max(1, len(raw) - 1))
        # By the exchange's clock a bar is closed: ours may be seconds behind it, for hours.
        exchange_ms = self._clock.now_ms() + self._exchange.clock_offset_ms()
        checked = candles_from(raw, timeframe=timeframe, now_ms=exchange_ms, bars_needed=needed)
        return checked.reason if isinstance(checked, BadCandles) else checked

    def _view(self, strategy: Strategy, candles: Mapping[Symbol, Candles]) -> MarketView:
        enough = {s: c for s, c in candles.items() if len(c) >= strategy.warmup_bars}
        mine = {s: t for s, t in self._held().items() if t.strategy == strategy.name}
        now, bar_ms = self._clock.now_ms(), TIMEFRAMES_MS[strategy.timeframe]
        return MarketView(
            now_ms=now,
            candles=enough,
            positions={symbol: _own(tracked, now, bar_ms) for symbol, tracked in mine.items()},
        )


def _own(tracked: Tracked, now_ms: int, bar_ms: int) -> OwnPosition:
    return OwnPosition(
        symbol=tracked.key.symbol,
        direction=tracked.direction,
        entry_price=float(tracked.entry_price),
        stop_price=None if tracked.stop_price is None else float(tracked.stop_price),
        bars_held=(now_ms - tracked.opened_ms) // bar_ms,
    )


def correlations_of(candles: Mapping[Symbol, Candles]) -> dict[frozenset[Symbol], Decimal]:
    """Of the log returns of each pair over the last bars that both have; 0 where one never moved.

    Symbols of the same length are compared in one go: pair by pair, twenty symbols would keep the
    event loop, and with it a stop, waiting for a tenth of a second.
    """
    result: dict[frozenset[Symbol], Decimal] = {}
    lengths = {symbol: min(len(each), CORRELATION_BARS) for symbol, each in candles.items()}
    usable = sorted(length for length in set(lengths.values()) if length >= CORRELATION_BARS // 2)
    for bars in usable:
        # Every pair is compared over the bars of its shorter symbol.
        symbols = sorted(symbol for symbol, length in lengths.items() if length >= bars)
        table = _correlation_table([candles[symbol].close[-bars:] for symbol in symbols])
        for (i, one), (j, other) in combinations(enumerate(symbols), 2):
            if min(lengths[one], lengths[other]) == bars:
                result[frozenset((one, other))] = Decimal(f"{table[i, j]:.4f}")
    return result


def _correlation_table(closes: Sequence[Floats]) -> Floats:
    returns = np.diff(np.log(np.vstack(closes)), axis=1)
    still = returns.std(axis=1) == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        table = np.atleast_2d(np.corrcoef(returns))
    table[still, :] = table[:, still] = 0.0
    return np.asarray(table, dtype=np.float64)
