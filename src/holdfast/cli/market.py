"""Which market the exchange in a box trades: replayed candles or a generated one, at which time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from holdfast.cli.exits import Exit, Failure
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.market import (
    MINUTE_MS,
    Bar,
    Market,
    SimInstrument,
    generated_market,
    replay_market,
)

DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT", "LAYER/USDT")
BUNDLED_SEED = 7
"""The market of a demo without data: generated, always the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketChoice:
    """What the command line asked for."""

    data: Path | None = None
    seed: int | None = None
    symbols: str | None = None
    start: str | None = None


def parse_symbols(text: str) -> tuple[Symbol, ...]:
    """`BTC/USDT,ETHUSDT` in any spelling, each once. Raises `BadSymbol`, `Failure`."""
    found = tuple(dict.fromkeys(Symbol.parse(part) for part in text.split(",") if part.strip()))
    if not found:
        raise Failure(f"--symbols: expected symbols like BTC/USDT,ETH/USDT, found {text!r}", Exit.BAD_USE)
    return found


def parse_start(text: str) -> int:
    """ISO time (UTC unless it says otherwise) or milliseconds since 1970. Raises `Failure`."""
    if re.fullmatch(r"\d{11,14}", text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        words = f"--start: expected a time like 2025-05-06T07:00 or milliseconds, found {text!r}"
        raise Failure(words, Exit.BAD_USE) from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def load_market(choice: MarketChoice) -> Market:
    """The market asked for, at its own time. Raises `BadMarketData`, `BadSymbol`, `Failure`."""
    if choice.data is not None and choice.seed is not None:
        raise Failure("expected --data or --seed, found both", Exit.BAD_USE)
    symbols = parse_symbols(choice.symbols) if choice.symbols else None
    start_ms = parse_start(choice.start) if choice.start else None
    if choice.data is not None:
        return replay_market(choice.data, symbols, start_ms)
    wanted = symbols or tuple(Symbol.parse(text) for text in DEFAULT_SYMBOLS)
    seed = BUNDLED_SEED if choice.seed is None else choice.seed
    if start_ms is None:
        return generated_market(wanted, seed=seed)
    return generated_market(wanted, start_ms=start_ms, seed=seed)


class ShiftedMarket:
    """A market moved in time by whole minutes, so that its start is the present.

    Clients sign with their own clock, and the exchange refuses what is seconds off: a simulator that
    stands alone has to live in the present.
    """

    def __init__(self, market: Market, start_ms: int) -> None:
        self._market = market
        self._by_ms = (start_ms - market.start_ms) // MINUTE_MS * MINUTE_MS
        self.start_ms = market.start_ms + self._by_ms
        self.end_ms = None if market.end_ms is None else market.end_ms + self._by_ms

    def symbols(self) -> tuple[Symbol, ...]:
        return self._market.symbols()

    def instrument(self, symbol: Symbol) -> SimInstrument:
        return self._market.instrument(symbol)

    def first_ms(self, symbol: Symbol) -> int:
        return self._market.first_ms(symbol) + self._by_ms

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        return self._market.bar(symbol, open_ms - self._by_ms)

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        at_ms, rate = self._market.next_funding(symbol, after_ms - self._by_ms)
        return at_ms + self._by_ms, rate
