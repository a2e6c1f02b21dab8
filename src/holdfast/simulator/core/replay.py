"""A market that replays candle files."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path

import numpy as np

from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.simulator.core.bars import DAY_MS, MINUTE_MS, BadMarketData, Bar, Market
from holdfast.simulator.core.candles import Values, read_candles, read_funding
from holdfast.simulator.core.instruments import SimInstrument, instrument_for
from holdfast.simulator.core.path import minutes

_FILE = re.compile(r"^([A-Z0-9]+_[A-Z0-9]+_[A-Z0-9]+)-(\d+[mhd])-futures\.feather$")
_UNITS = {"m": 1, "h": 60, "d": 1440}
REPLAY_SHARE_MIN = 0.25
"""At least this share of the data is replayed; history before the start is shortened to keep it."""
DEFAULT_RATE = Decimal("0.0001")


@dataclass
class _Series:
    first_ms: int
    values: Values
    """A row per minute: open, high, low, close, volume."""
    funding: list[tuple[int, Decimal]]
    price_decimals: int

    @property
    def end_ms(self) -> int:
        return self.first_ms + len(self.values) * MINUTE_MS

    @cached_property
    def after(self) -> Bar:
        """The flat bar that repeats when the data is over: last close, mean volume of the last hour."""
        close = float(self.values[-1, 3])
        return Bar(close, close, close, close, float(self.values[-60:, 4].mean()))


class ReplayMarket:
    """Files replayed; after a symbol's data its price stands at the last close, and trading goes on."""

    def __init__(self, series: Mapping[Symbol, _Series], start_ms: int) -> None:
        self._series = dict(series)
        self.start_ms = start_ms
        self.end_ms: int | None = min(one.end_ms for one in self._series.values())

    def symbols(self) -> tuple[Symbol, ...]:
        return tuple(self._series)

    def instrument(self, symbol: Symbol) -> SimInstrument:
        series = self._series[symbol]
        rules = instrument_for(symbol, self.bar(symbol, self.start_ms).open, series.price_decimals)
        rules.onboard_ms = min(rules.onboard_ms, series.first_ms)
        soon_ms, _ = self.next_funding(symbol, self.start_ms)
        rules.funding_interval_hours = self._hours_until(soon_ms, self.next_funding(symbol, soon_ms)[0])
        return rules

    @staticmethod
    def _hours_until(begin_ms: int, end_ms: int) -> int:
        return max(1, round((end_ms - begin_ms) / (60 * MINUTE_MS)))

    def first_ms(self, symbol: Symbol) -> int:
        return self._series[symbol].first_ms

    def bar(self, symbol: Symbol, open_ms: int) -> Bar:
        series = self._series[symbol]
        index = (open_ms - series.first_ms) // MINUTE_MS
        if index < len(series.values):
            return Bar(*series.values[index].tolist())
        return series.after

    def next_funding(self, symbol: Symbol, after_ms: int) -> tuple[int, Decimal]:
        """From the file while it lasts, then (or without a file) the usual rate every eight hours."""
        funding = self._series[symbol].funding
        at = bisect_right(funding, after_ms, key=lambda row: row[0])
        if at < len(funding):
            return funding[at]
        interval = 8 * 60 * MINUTE_MS
        return (after_ms // interval + 1) * interval, DEFAULT_RATE


def replay_market(
    directory: Path,
    symbols: Sequence[Symbol] | None = None,
    start_ms: int | None = None,
    history_ms: int = DAY_MS,
    seed: int = 0,
) -> Market:
    """Replay the candles in *directory*: `BTC_USDT_USDT-1m-futures.feather` (columns date, open, high,
    low, close, volume) and, where present, `BTC_USDT_USDT-8h-funding_rate.feather`.

    *symbols* None = all found. The finest timeframe of a symbol is used; coarser candles than one
    minute are cut into minutes on the same walk. Starts *history_ms* after the first moment all
    symbols have data, sooner when less than a quarter of the data would be left, or at *start_ms*
    (rounded down to a minute). Other files are ignored. A replay takes no chances: *seed* is not
    used. Raises `BadMarketData`.
    """
    del seed
    files = _find(directory)
    wanted = tuple(sorted(files)) if symbols is None else tuple(symbols)
    if not wanted:
        raise BadMarketData(f"{directory}: expected files like BTC_USDT_USDT-1m-futures.feather, found none")
    series = {symbol: _load(directory, symbol, files) for symbol in wanted}
    return ReplayMarket(series, _start(directory, series, start_ms, history_ms))


def _find(directory: Path) -> dict[Symbol, tuple[int, Path]]:
    """The finest candle file of each symbol, with its timeframe in minutes."""
    if not directory.is_dir():
        found = "a file" if directory.exists() else "nothing there"
        raise BadMarketData(f"{directory}: expected a directory of candle files, found {found}")
    finest: dict[Symbol, tuple[int, Path]] = {}
    for path in sorted(directory.iterdir()):
        match = _FILE.match(path.name)
        if match is None:
            continue
        try:
            symbol = Symbol.parse(match[1])
        except BadSymbol:
            continue
        frame = int(match[2][:-1]) * _UNITS[match[2][-1]]
        if frame and (symbol not in finest or frame < finest[symbol][0]):
            finest[symbol] = (frame, path)
    return finest


def _load(directory: Path, symbol: Symbol, files: Mapping[Symbol, tuple[int, Path]]) -> _Series:
    if symbol not in files:
        names = ", ".join(str(known) for known in sorted(files)) or "no candle files"
        raise BadMarketData(
            f"{directory}: expected {symbol.filename}-1m-futures.feather for {symbol}, found {names}"
        )
    frame, path = files[symbol]
    candles = read_candles(path, frame * MINUTE_MS)
    values = candles.values
    if frame > 1:
        values = np.array([part for row in values.tolist() for part in minutes(Bar(*row), frame)])
    rates = directory / f"{symbol.filename}-8h-funding_rate.feather"
    funding = read_funding(rates) if rates.exists() else []
    return _Series(candles.first_ms, values, funding, candles.price_decimals)


def _start(directory: Path, series: Mapping[Symbol, _Series], start_ms: int | None, history_ms: int) -> int:
    first = max(one.first_ms for one in series.values())
    end = min(one.end_ms for one in series.values())
    if end <= first:
        raise BadMarketData(
            f"{directory}: expected candles of all symbols to overlap in time, found none that "
            f"{', '.join(str(symbol) for symbol in series)} share"
        )
    if start_ms is None:
        history_max = int((end - first) * (1 - REPLAY_SHARE_MIN))
        return (first + min(history_ms, history_max)) // MINUTE_MS * MINUTE_MS
    if not first <= start_ms < end:
        raise BadMarketData(
            f"{directory}: expected a start between {first} and {end} (ms since 1970), found {start_ms}"
        )
    return start_ms // MINUTE_MS * MINUTE_MS
