"""Replayed and generated markets."""

import math
from datetime import timedelta
from pathlib import Path

import pytest

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.engine import Core, CoreConfig
from holdfast.simulator.core.market import (
    DAY_MS,
    MINUTE_MS,
    BadMarketData,
    Market,
    generated_market,
    replay_market,
)
from tests.simulator.core.test_candles import BEGIN, rows, write

BTC, ADA, ZZZ = (Symbol.parse(name) for name in ("BTCUSDT", "ADAUSDT", "ZZZUSDT"))
BEGIN_MS = int(BEGIN.timestamp() * 1000)
SHARED = Path(__file__).parents[4] / "shared" / "data"


def folder(tmp_path: Path, count: int = 400, name: str = "ZZZ_USDT_USDT-1m-futures.feather") -> Path:
    write(tmp_path / name, rows(count))
    return tmp_path


def test_history_leaves_a_quarter_to_replay(tmp_path: Path) -> None:
    market = replay_market(folder(tmp_path), history_ms=DAY_MS)
    assert market.start_ms == BEGIN_MS + 300 * MINUTE_MS
    assert market.end_ms == BEGIN_MS + 400 * MINUTE_MS


def test_a_start_may_be_chosen(tmp_path: Path) -> None:
    market = replay_market(folder(tmp_path), start_ms=BEGIN_MS + 90_500)
    assert market.start_ms == BEGIN_MS + 60_000


def test_a_start_outside_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadMarketData, match="expected a start between"):
        replay_market(folder(tmp_path), start_ms=BEGIN_MS - 1)


def test_other_files_in_the_folder_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "ZZZ_USDT_USDT-1h-mark.feather").write_text("hello")
    assert replay_market(folder(tmp_path)).symbols() == (ZZZ,)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path / "none", "expected a directory of candle files, found nothing there"),
        (lambda path: write(path / "file", rows(1)), "expected a directory of candle files, found a file"),
        (lambda path: path, "expected files like BTC_USDT_USDT-1m-futures.feather, found none"),
    ],
)
def test_a_bad_folder_is_named(tmp_path: Path, make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadMarketData, match=words):
        replay_market(make(tmp_path))


def test_a_symbol_without_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadMarketData, match=r"BTC_USDT_USDT-1m-futures.feather for BTC/USDT:USDT, found ZZZ"):
        replay_market(folder(tmp_path), [BTC])


def test_symbols_must_share_some_time(tmp_path: Path) -> None:
    late = [[row[0] + timedelta(days=9), *row[1:]] for row in rows(20)]
    write(tmp_path / "ADA_USDT_USDT-1m-futures.feather", late)
    with pytest.raises(BadMarketData, match="to overlap in time"):
        replay_market(folder(tmp_path))


def test_longer_candles_are_walked_when_minutes_lack(tmp_path: Path) -> None:
    """A 5m file alone serves; the core's own 5m candles then are the file's."""
    data = [[BEGIN + timedelta(minutes=5 * i), *row[1:]] for i, row in enumerate(rows(40))]
    write(tmp_path / "ZZZ_USDT_USDT-5m-futures.feather", data)
    core = Core(replay_market(tmp_path, history_ms=20 * MINUTE_MS))
    core.advance(core.now_ms + 20 * MINUTE_MS)
    for candle in core.candles(ZZZ, 5 * MINUTE_MS, limit=6)[:-1]:
        assert [float(x) for x in (candle.open, candle.high, candle.low, candle.close)] == [10, 11, 9, 10.5]
        assert abs(float(candle.volume) - 3) < 1e-6


def test_the_finest_timeframe_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "ZZZ_USDT_USDT-5m-futures.feather", rows(1))
    assert replay_market(folder(tmp_path)).end_ms == BEGIN_MS + 400 * MINUTE_MS


def test_after_the_data_prices_stand_and_trading_goes_on(tmp_path: Path) -> None:
    market = replay_market(folder(tmp_path))
    bar = market.bar(ZZZ, (market.end_ms or 0) + DAY_MS)
    assert bar == (10.5, 10.5, 10.5, 10.5, 3.0)


def test_funding_comes_from_its_file_then_from_the_clock(tmp_path: Path) -> None:
    at = BEGIN + timedelta(hours=4)
    write(tmp_path / "ZZZ_USDT_USDT-8h-funding_rate.feather", [[at, -0.002, 0.0, 0.0, 0.0, 0.0]])
    market = replay_market(folder(tmp_path))
    at_ms, rate = market.next_funding(ZZZ, BEGIN_MS)
    assert (at_ms, float(rate)) == (BEGIN_MS + 240 * MINUTE_MS, -0.002)
    assert market.next_funding(ZZZ, at_ms)[0] == BEGIN_MS + 480 * MINUTE_MS


def lived(market: Market, symbol: Symbol, minutes: int) -> None:
    """Live *minutes* and hold each candle against the market's bar, to the tick."""
    core = Core(market, CoreConfig())
    core.advance(market.start_ms + minutes * MINUTE_MS)
    tick = float(core.instrument(symbol).price_step)
    for candle in core.candles(symbol, MINUTE_MS, limit=minutes + 30)[:-1]:
        bar = market.bar(symbol, candle.open_ms)
        told = (candle.open, candle.high, candle.low, candle.close)
        assert all(abs(float(a) - b) <= tick * 0.5001 for a, b in zip(told, bar[:4], strict=True))
        assert math.isclose(float(candle.volume), bar.volume, rel_tol=1e-6, abs_tol=1e-6)
        assert candle.closed


@pytest.mark.shared_data
def test_lived_candles_are_the_files_candles() -> None:
    """Replayed real minutes come out as they went in (a generated market where there is no data)."""
    symbol = Symbol.parse("LAYERUSDT") if SHARED.is_dir() else ADA
    market = replay_market(SHARED, [symbol]) if SHARED.is_dir() else generated_market([symbol], seed=1)
    lived(market, symbol, 90)


def test_lived_candles_are_the_generated_bars() -> None:
    lived(generated_market([BTC, ADA], seed=3), ADA, 45)


def test_a_seed_gives_the_same_market_whoever_is_in_it() -> None:
    one, other = generated_market([ADA], seed=7), generated_market([BTC, ADA], seed=7)
    at = one.start_ms + 500 * MINUTE_MS
    assert one.bar(ADA, at) == other.bar(ADA, at)
    assert generated_market([ADA], seed=8).bar(ADA, at) != one.bar(ADA, at)


def test_generated_markets_trend_and_cluster() -> None:
    """Hours move far more than a random walk of calm minutes would, and big minutes come in clusters."""
    market = generated_market([BTC], seed=5, history_ms=7 * DAY_MS)
    bars = [market.bar(BTC, market.first_ms(BTC) + i * MINUTE_MS) for i in range(7 * 1440)]
    moves = [math.log(bar.close / bar.open) for bar in bars]
    sizes = [min(abs(move), 0.003) for move in moves]  # jumps apart
    mean = sum(sizes) / len(sizes)
    near = sum((a - mean) * (b - mean) for a, b in zip(sizes, sizes[10:], strict=False))
    assert near / sum((size - mean) ** 2 for size in sizes) > 0.05
    hours = [sum(moves[i : i + 240]) for i in range(0, len(moves), 240)]
    walk = math.sqrt(sum(move * move for move in moves) / len(moves) * 240)
    assert math.sqrt(sum(hour * hour for hour in hours) / len(hours)) > 1.3 * walk
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
