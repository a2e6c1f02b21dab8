"""Both built-in strategies on crafted, generated and real candles."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.account import Candle
from holdfast.domain.orders import Direction
from holdfast.domain.signals import Action, Signal
from holdfast.domain.symbol import Symbol
from holdfast.strategies.adx_trend import AdxTrend, AdxTrendParams, _Reading
from holdfast.strategies.base import OwnPosition, Strategy
from holdfast.strategies.candles import Candles, candles_from
from holdfast.strategies.registry import make_strategy, strategy_names
from tests.strategies.markets import (
    BTC,
    MINUTE_MS,
    arrays,
    bars,
    flat_then_trend,
    month,
    view,
    walk,
    window,
    zigzag,
)

SCORE_MIN = Decimal("0.65")
STRATEGIES = [make_strategy(name, {}) for name in strategy_names()]
each_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.name)


def look(strategy: Strategy, closes: list[float], position: OwnPosition | None = None) -> list[Signal]:
    return list(strategy.signals(view(arrays(bars(closes), strategy.warmup_bars), position)))


def held(direction: Direction, *, entry: float = 100.0, stop: float | None = None) -> OwnPosition:
    return OwnPosition(symbol=BTC, direction=direction, entry_price=entry, stop_price=stop, bars_held=5)


@each_strategy
@pytest.mark.parametrize(("step", "direction"), [(0.001, Direction.LONG), (-0.001, Direction.SHORT)])
def test_a_clean_fresh_trend_is_entered(strategy: Strategy, step: float, direction: Direction) -> None:
    """Some bar of a trend out of a quiet market scores enough to be taken, with a sane stop."""
    found = [
        signal
        for bars_in in range(2, 20)
        for signal in look(strategy, flat_then_trend(250, bars_in, step))
        if signal.score >= SCORE_MIN
    ]
    assert found
    for signal in found:
        assert signal.action is Action.ENTER
        assert signal.direction is direction
        assert signal.stop_price is not None
        assert (signal.price - signal.stop_price) * direction.sign >= signal.price * 49 // 10_000
        assert signal.volatility is not None
        assert signal.volatility > 0
        assert signal.reason


@each_strategy
def test_a_range_is_left_alone(strategy: Strategy) -> None:
    for length in range(300, 320):
        assert look(strategy, zigzag(length)) == []


def test_a_trend_is_as_old_as_its_direction() -> None:
    """ADX can stay high and rising through a turn: the new direction counts from the cross of the DIs."""
    adx = np.arange(30.0, 50.0)
    plus = np.array([10.0] * 16 + [30.0] * 4)
    reading = _Reading(close=100.0, adx=adx, plus=plus, minus=np.full(20, 20.0), atr=0.1)
    strategy = AdxTrend(AdxTrendParams())
    assert strategy._age(reading, Direction.LONG) == 4
    assert strategy._age(reading, Direction.SHORT) == 0


@each_strategy
def test_a_market_that_does_not_move_gives_nothing(strategy: Strategy) -> None:
    """ATR 0, channel of no width: no division, no signal."""
    assert look(strategy, [100.0] * 300) == []
    still = arrays(bars([100.0] * 300, wick=0.0, volume=0.0), 300)
    assert list(strategy.signals(view(still))) == []


@each_strategy
def test_too_few_bars_give_nothing(strategy: Strategy) -> None:
    short = arrays(bars(flat_then_trend(60, 10, 0.001)), 70)
    assert list(strategy.signals(view(short.last(strategy.warmup_bars - 1)))) == []


@each_strategy
def test_numbers_that_are_none_give_no_signal(strategy: Strategy) -> None:
    """Even past the door: a NaN or an infinity anywhere in the window is no reason to trade."""
    good = arrays(bars(flat_then_trend(250, 6, 0.001)), strategy.warmup_bars)
    for bad in (np.nan, np.inf):
        for index in (-1, -5, -40):
            close = good.close.copy()
            close[index] = bad
            high = good.high.copy()
            high[index] = bad
            spoiled = replace(good, close=close, high=high)
            for signal in strategy.signals(view(spoiled)):
                numbers = (signal.price, signal.score, signal.stop_price, signal.volatility)
                assert all(each is not None and each.is_finite() for each in numbers)


@each_strategy
def test_a_turned_market_is_left(strategy: Strategy) -> None:
    up_then_down = flat_then_trend(250, 30, 0.001)
    last = up_then_down[-1]
    up_then_down += [last * (1 - 0.0015 * n) for n in range(1, 25)]
    signals = look(strategy, up_then_down, held(Direction.LONG, stop=95.0))
    assert [signal.action for signal in signals] == [Action.EXIT]
    assert signals[0].direction is Direction.LONG
    assert signals[0].reason


@each_strategy
@pytest.mark.parametrize("direction", list(Direction))
def test_a_running_trend_trails_the_stop(strategy: Strategy, direction: Direction) -> None:
    closes = flat_then_trend(250, 30, 0.001 * direction.sign)
    stop = 100 * (1 - 0.005 * direction.sign)
    signals = look(strategy, closes, held(direction, stop=stop))
    assert [signal.action for signal in signals] == [Action.ADJUST]
    moved = signals[0].stop_price
    assert moved is not None
    assert (float(moved) - stop) * direction.sign > 0
    assert (closes[-1] - float(moved)) * direction.sign > 0


@each_strategy
def test_a_held_symbol_is_never_entered_again(strategy: Strategy) -> None:
    closes = flat_then_trend(250, 6, 0.001)
    signals = look(strategy, closes, held(Direction.LONG, stop=50.0))
    assert Action.ENTER not in [signal.action for signal in signals]


@given(
    index=st.sampled_from(range(len(STRATEGIES))),
    seed=st.integers(0, 10_000),
    long=st.booleans(),
    gap=st.floats(-0.02, 0.05),
)
def test_a_stop_is_never_moved_away_from_the_market(index: int, seed: int, long: bool, gap: float) -> None:
    """Adjusting only ever tightens, whatever the market and wherever the stop stands."""
    strategy = STRATEGIES[index]
    direction = Direction.LONG if long else Direction.SHORT
    closes = walk(strategy.warmup_bars + 5, seed)
    stop = closes[-1] * (1 - direction.sign * gap)
    for signal in look(strategy, closes, held(direction, entry=closes[0], stop=stop)):
        if signal.action is Action.ADJUST:
            assert signal.stop_price is not None
            assert (float(signal.stop_price) - stop) * direction.sign > 0
            assert (closes[-1] - float(signal.stop_price)) * direction.sign > 0


@settings(max_examples=40)
@given(
    index=st.sampled_from(range(len(STRATEGIES))),
    seed=st.integers(0, 10_000),
    later=st.integers(1, 60),
    factor=st.sampled_from(["0.5", "0.99", "1.01", "2", "NaN", "0"]),
)
def test_what_comes_later_never_changes_a_signal(index: int, seed: int, later: int, factor: str) -> None:
    """No look-ahead: bars that are not closed yet may hold anything at all."""
    strategy = STRATEGIES[index]
    past = bars(walk(strategy.warmup_bars + 61, seed))
    end = len(past) - later
    changed = past[:end] + [_scaled(bar, Decimal(factor)) for bar in past[end:]]
    now_ms = past[end].open_ms
    one, other = (
        candles_from(each, timeframe="1m", now_ms=now_ms, bars_needed=strategy.warmup_bars)
        for each in (past, changed)
    )
    assert isinstance(one, Candles)
    assert isinstance(other, Candles)
    assert list(strategy.signals(view(one))) == list(strategy.signals(view(other)))


def _scaled(bar: Candle, factor: Decimal) -> Candle:
    prices = {name: getattr(bar, name) * factor for name in ("open", "high", "low", "close")}
    return replace(bar, volume=bar.volume * factor, **prices)


@settings(max_examples=40)
@given(index=st.sampled_from(range(len(STRATEGIES))), seed=st.integers(0, 10_000), more=st.integers(1, 200))
def test_a_longer_history_gives_the_same_signal(index: int, seed: int, more: int) -> None:
    """A restart with another depth of history does not change what is wanted."""
    strategy = make_strategy(STRATEGIES[index].name, {"stop_min_ratio": 0.0})  # the bare ATR shows it
    whole = _unchecked(walk(strategy.warmup_bars + more, seed))
    short = whole.last(strategy.warmup_bars)
    assert list(strategy.signals(view(whole))) == list(strategy.signals(view(short)))


def _unchecked(closes: list[float]) -> Candles:
    made = bars(closes)
    columns = ([float(getattr(b, name)) for b in made] for name in ("open", "high", "low", "close", "volume"))
    open_ms = np.array([b.open_ms for b in made], dtype=np.int64)
    return Candles(MINUTE_MS, open_ms, *(np.array(column) for column in columns))


SIX = [Symbol.parse(f"{base}/USDT:USDT") for base in ("BNB", "BTC", "ETH", "LAYER", "SOL", "XRP")]


@pytest.mark.shared_data
def test_six_real_symbols_soon_give_something_to_enter() -> None:
    """Four days with the crash of 2025-05-06, looked at every 5 minutes (generated without the data).

    Half of all waits for an entry worth 0.65 are 10 minutes or less; and yet a score has to be earned:
    on one symbol, one strategy finds one in 3 to 25 % of its looks.
    """
    ends = range(300, 4 * 1440, 5)
    found = np.zeros(len(ends), dtype=np.bool_)
    for symbol in SIX:
        candles = month(symbol, 4 * 1440)
        for strategy in STRATEGIES:
            hits = np.array([_worth(strategy, window(candles, end, strategy.warmup_bars)) for end in ends])
            assert 0.03 < hits.mean() < 0.25, (str(symbol), strategy.name)
            found |= hits
    hits_at = np.flatnonzero(found)
    waits = [int(hits_at[hits_at >= start][0]) - start for start in range(hits_at[-1])]
    assert np.median(waits) * 5 <= 10


def _worth(strategy: Strategy, candles: Candles) -> bool:
    return any(signal.score >= SCORE_MIN for signal in strategy.signals(view(candles)))


@pytest.mark.shared_data
@each_strategy
def test_a_day_of_crash_is_traded_by_the_rules(strategy: Strategy) -> None:
    """LAYER, two days with the fall of 21 % within an hour: bar by bar, as the engine would."""
    candles = month(SIX[3], 3 * 1440)
    position: OwnPosition | None = None
    entries = exits = 0
    for end in range(1440, 3 * 1440):
        seen = window(candles, end, strategy.warmup_bars)
        signals = list(strategy.signals(view(seen, position)))
        assert len(signals) <= 1
        if (
            position is not None
            and (float(seen.close[-1]) - (position.stop_price or 0)) * (position.direction.sign) <= 0
        ):
            position = None
            exits += 1
        elif signals and signals[0].action is Action.ENTER:
            assert position is None
            position = _opened(signals[0])
            entries += 1
        elif signals and position is not None:
            position = _followed(position, signals[0])
            exits += position is None
    assert entries >= 10
    assert entries - exits in (0, 1)


def _opened(signal: Signal) -> OwnPosition:
    assert signal.stop_price is not None
    return held(signal.direction, entry=float(signal.price), stop=float(signal.stop_price))


def _followed(position: OwnPosition, signal: Signal) -> OwnPosition | None:
    assert signal.direction is position.direction
    if signal.action is Action.EXIT:
        return None
    assert signal.stop_price is not None
    assert position.stop_price is not None
    assert (float(signal.stop_price) - position.stop_price) * position.direction.sign > 0
    return replace(position, stop_price=float(signal.stop_price))
