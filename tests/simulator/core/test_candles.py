import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import feather

from holdfast.simulator.core.bars import MINUTE_MS, BadMarketData
from holdfast.simulator.core.candles import GAP_CANDLES_MAX, read_candles, read_funding

BEGIN = datetime(2025, 5, 6, tzinfo=UTC)
COLUMNS = ["date", "open", "high", "low", "close", "volume"]


def rows(count: int = 8) -> list[list[Any]]:
    return [[BEGIN + timedelta(minutes=i), 10.0, 11.0, 9.0, 10.5, 3.0] for i in range(count)]


def write(path: Path, data: Sequence[Sequence[Any]], names: Sequence[str] = tuple(COLUMNS)) -> Path:
    columns: list[Any] = [list(column) for column in zip(*data, strict=True)] or [[] for _ in names]
    arrays = [
        pa.array(column, pa.timestamp("ns", "UTC") if name == "date" else pa.float64())
        for name, column in zip(names, columns, strict=True)
    ]
    feather.write_feather(pa.table(arrays, names=list(names)), path, compression="lz4")
    return path


def with_row(number: int, **changes: float | datetime) -> list[list[Any]]:
    data = rows()
    for name, value in changes.items():
        data[number - 1][COLUMNS.index(name)] = value
    return data


@pytest.mark.parametrize(
    ("data", "expected", "found"),
    [
        (
            with_row(3, close=math.nan),
            "row 3 (2025-05-06 00:02:00 UTC): expected finite numbers",
            "close nan",
        ),
        (with_row(3, high=math.inf), "expected finite numbers", "high inf"),
        (with_row(2, low=0.0), "row 2 (2025-05-06 00:01:00 UTC): expected prices above zero", "low 0"),
        (with_row(2, open=-1.0), "expected prices above zero", "open -1"),
        (with_row(4, volume=-2.0), "expected a volume of zero or more", "volume -2"),
        (with_row(5, high=8.0), "expected high not below low", "high 8"),
        (with_row(5, open=12.0), "expected open and close between low and high", "open 12"),
        (with_row(3, date=BEGIN), "row 3: expected a time later than 2025-05-06 00:01:00 UTC", "00:00:00"),
        (with_row(3, date=BEGIN + timedelta(minutes=1)), "row 3: expected a time later", "same time again"),
        (
            with_row(8, date=BEGIN + timedelta(minutes=7, seconds=9)),
            "expected a multiple of 1 min",
            "00:07:09",
        ),
        (with_row(8, date=BEGIN + timedelta(minutes=13)), "expected at most 5 candles missing", "6 missing"),
        (rows(0), "expected at least one row", "found none"),
    ],
)
def test_a_bad_candle_is_named_with_place(
    tmp_path: Path, data: list[list[Any]], expected: str, found: str
) -> None:
    path = write(tmp_path / "BTC_USDT_USDT-1m-futures.feather", data)
    with pytest.raises(BadMarketData) as caught:
        read_candles(path, MINUTE_MS)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert expected in text
    assert found in text
    assert "\n" not in text


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadMarketData, match="found nothing there"):
        read_candles(tmp_path / "none.feather", MINUTE_MS)


def test_a_file_of_noise_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "noise.feather"
    path.write_bytes(b"date,open\n1,2\n")
    with pytest.raises(BadMarketData, match="expected a readable feather file"):
        read_candles(path, MINUTE_MS)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.feather", rows())
    path = tmp_path / "torn.feather"
    path.write_bytes(whole.read_bytes()[:-200])
    with pytest.raises(BadMarketData, match="expected a readable feather file"):
        read_candles(path, MINUTE_MS)


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "x.feather", [row[:4] for row in rows()], COLUMNS[:4])
    with pytest.raises(BadMarketData, match="expected the columns date, open, high, low, close, volume"):
        read_candles(path, MINUTE_MS)


def test_text_in_a_price_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.feather"
    data = {name: ["a"] if name == "open" else [1.0] for name in COLUMNS[1:]}
    feather.write_feather(pa.table({"date": pa.array([BEGIN], pa.timestamp("ms", "UTC")), **data}), path)
    with pytest.raises(BadMarketData, match="expected numbers in column open, found string"):
        read_candles(path, MINUTE_MS)


def test_an_empty_cell_is_refused(tmp_path: Path) -> None:
    data = with_row(6, low=None)  # type: ignore[arg-type]
    path = write(tmp_path / "x.feather", data)
    with pytest.raises(BadMarketData, match="row 6: expected a value for low, found none"):
        read_candles(path, MINUTE_MS)


def test_a_short_gap_becomes_flat_candles(tmp_path: Path) -> None:
    data = rows(3)
    data[2][0] = BEGIN + timedelta(minutes=2 + GAP_CANDLES_MAX)
    candles = read_candles(write(tmp_path / "x.feather", data), MINUTE_MS)
    assert len(candles.values) == 3 + GAP_CANDLES_MAX
    for row in candles.values[2:-1]:
        assert row.tolist() == [10.5, 10.5, 10.5, 10.5, 0.0]
    assert candles.values[-1].tolist() == [10.0, 11.0, 9.0, 10.5, 3.0]


def test_prices_tell_how_fine_they_are(tmp_path: Path) -> None:
    assert read_candles(write(tmp_path / "x.feather", rows()), MINUTE_MS).price_decimals == 1


def test_funding_times_are_whole_minutes(tmp_path: Path) -> None:
    data = [[BEGIN + timedelta(milliseconds=3), 0.0001, 0.0, 0.0, 0.0, 0.0]]
    ((at_ms, rate),) = read_funding(write(tmp_path / "f.feather", data))
    assert at_ms == BEGIN.timestamp() * 1000
    assert str(rate) == "0.00010000"


def test_an_absurd_funding_rate_is_refused(tmp_path: Path) -> None:
    data = [[BEGIN, 7.0, 0.0, 0.0, 0.0, 0.0]]
    with pytest.raises(BadMarketData, match=r"row 1 .*expected a funding rate between -1 and 1, found 7"):
        read_funding(write(tmp_path / "f.feather", data))


def test_dates_may_be_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "x.feather"
    data = {name: [10.0] for name in COLUMNS[1:]}
    feather.write_feather(pa.table({"date": [int(BEGIN.timestamp() * 1000)], **data}), path)
    assert read_candles(path, MINUTE_MS).first_ms == BEGIN.timestamp() * 1000


def test_dates_of_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.feather"
    data = {name: [10.0] for name in COLUMNS[1:]}
    feather.write_feather(pa.table({"date": ["2025-05-06"], **data}), path)
    with pytest.raises(BadMarketData, match="expected timestamps in column date, found string"):
        read_candles(path, MINUTE_MS)
