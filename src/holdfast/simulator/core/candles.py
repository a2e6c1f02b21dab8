"""Reading candle and funding files of freqtrade's feather layout, believing nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather

from holdfast.simulator.core.bars import MINUTE_MS, BadMarketData

COLUMNS = ("date", "open", "high", "low", "close", "volume")
PRICES = COLUMNS[1:5]
GAP_CANDLES_MAX = 5
"""So many candles may be missing in a row; they become flat candles without volume. More are refused."""

Times = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Candles:
    """A file's candles without gaps: candle i opens at `first_ms + i × frame_ms`."""

    first_ms: int
    frame_ms: int
    values: Values
    """One row per candle: open, high, low, close, volume."""
    price_decimals: int
    """How many decimals the file's prices use (at most 8)."""

    @property
    def end_ms(self) -> int:
        return self.first_ms + self.frame_ms * len(self.values)


def read_candles(path: Path, frame_ms: int) -> Candles:
    """All candles of *path*, checked. Raises `BadMarketData` naming file, row, expected and found.

    Refused: missing or unreadable file, missing columns, no rows, NaN, infinite, zero or negative
    prices, negative volume, high below low, open or close outside of them, times out of order,
    doubled or off the timeframe's grid, more than `GAP_CANDLES_MAX` candles missing in a row.
    Tolerated: zero volume, and shorter gaps, which become flat candles.
    """
    columns = _read(path, COLUMNS)
    times = columns["date"].astype(np.int64)
    values = np.column_stack([columns[name].astype(np.float64) for name in COLUMNS[1:]])
    _check_values(path, times, values)
    _check_times(path, times, frame_ms)
    decimals = _decimals(values[:, :4])
    return Candles(int(times[0]), frame_ms, _without_gaps(times, values, frame_ms), decimals)


def read_funding(path: Path) -> list[tuple[int, Decimal]]:
    """Times (whole minutes) and rates of *path*, oldest first. Raises `BadMarketData`."""
    columns = _read(path, ("date", "open"))
    times = columns["date"].astype(np.int64) // MINUTE_MS * MINUTE_MS
    rates = columns["open"].astype(np.float64)
    bad = ~np.isfinite(rates) | (np.abs(rates) >= 1)
    if bad.any():
        row = int(np.argmax(bad))
        raise BadMarketData(
            f"{path}: row {row + 1} ({_when(times[row])}): expected a funding rate between -1 and 1, "
            f"found {rates[row]}"
        )
    _check_order(path, times)
    exact = Decimal("0.00000001")
    pairs = zip(times.tolist(), rates.tolist(), strict=True)
    return [(at_ms, Decimal(repr(rate)).quantize(exact)) for at_ms, rate in pairs]


def _read(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    try:
        table = feather.read_table(path)
    except FileNotFoundError as error:
        raise BadMarketData(f"{path}: expected a feather file, found nothing there") from error
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadMarketData(f"{path}: expected a readable feather file, found: {why}") from error
    missing = [name for name in names if name not in table.schema.names]
    if missing:
        raise BadMarketData(
            f"{path}: expected the columns {', '.join(names)}, "
            f"found {', '.join(table.schema.names) or 'none'}"
        )
    if table.num_rows == 0:
        raise BadMarketData(f"{path}: expected at least one row, found none")
    return {name: _column(path, name, table.column(name)) for name in names}


def _column(path: Path, name: str, column: Any) -> NDArray[Any]:
    if column.null_count:
        row = column.to_pylist().index(None)
        raise BadMarketData(f"{path}: row {row + 1}: expected a value for {name}, found none")
    numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if name == "date":
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ms", tz=column.type.tz), safe=False).cast(pa.int64())
        elif not pa.types.is_integer(column.type):
            raise BadMarketData(f"{path}: expected timestamps in column date, found {column.type}")
    elif not numeric:
        raise BadMarketData(f"{path}: expected numbers in column {name}, found {column.type}")
    values: NDArray[Any] = column.to_numpy()
    return values


def _check_values(path: Path, times: Times, values: Values) -> None:
    prices, volume = values[:, :4], values[:, 4]
    opened, high, low, close = prices.T
    body_low, body_high = np.minimum(opened, close), np.maximum(opened, close)
    rules = (
        (~np.isfinite(values).all(axis=1), "finite numbers"),
        ((prices <= 0).any(axis=1), "prices above zero"),
        (volume < 0, "a volume of zero or more"),
        (high < low, "high not below low"),
        ((low > body_low) | (high < body_high), "open and close between low and high"),
    )
    for bad, expected in rules:
        if bad.any():
            row = int(np.argmax(bad))
            found = ", ".join(
                f"{name} {value:.12g}" for name, value in zip(COLUMNS[1:], values[row], strict=True)
            )
            raise BadMarketData(
                f"{path}: row {row + 1} ({_when(times[row])}): expected {expected}, found {found}"
            )


def _check_order(path: Path, times: Times) -> None:
    steps = np.diff(times)
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        found = "the same time again" if steps[row - 1] == 0 else f"{_when(times[row])} after it"
        raise BadMarketData(
            f"{path}: row {row + 1}: expected a time later than {_when(times[row - 1])}, found {found}"
        )


def _check_times(path: Path, times: Times, frame_ms: int) -> None:
    _check_order(path, times)
    off = times % frame_ms != 0
    if off.any():
        row = int(np.argmax(off))
        raise BadMarketData(
            f"{path}: row {row + 1}: expected a multiple of {frame_ms // MINUTE_MS} min as opening time, "
            f"found {_when(times[row])}"
        )
    missing = np.diff(times) // frame_ms - 1
    if (missing > GAP_CANDLES_MAX).any():
        row = int(np.argmax(missing > GAP_CANDLES_MAX))
        raise BadMarketData(
            f"{path}: row {row + 2}: expected at most {GAP_CANDLES_MAX} candles missing in a row, found "
            f"{missing[row]} missing between {_when(times[row])} and {_when(times[row + 1])}"
        )


def _without_gaps(times: Times, values: Values, frame_ms: int) -> Values:
    """Missing candles become flat ones at the last close, without volume."""
    count = int((times[-1] - times[0]) // frame_ms) + 1
    if count == len(times):
        return values
    places = (times - times[0]) // frame_ms
    known = np.zeros(count, dtype=np.int64)
    known[places] = np.arange(len(times))
    source = np.maximum.accumulate(known)
    full = values[source]
    gaps = np.ones(count, dtype=bool)
    gaps[places] = False
    full[gaps, :4] = full[gaps, 3:4]
    full[gaps, 4] = 0.0
    return full


def _decimals(prices: Values) -> int:
    sample = prices[:: max(1, len(prices) // 500)].ravel()
    for decimals in range(9):
        if np.allclose(sample, np.round(sample, decimals), rtol=1e-12, atol=0):
            return decimals
    return 8


def _when(at_ms: int | np.int64) -> str:
    try:
        return datetime.fromtimestamp(int(at_ms) / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{int(at_ms)} ms since 1970"
