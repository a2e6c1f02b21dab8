"""Correlations of returns, held against numpy's answer for each pair alone."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from holdfast.domain.orders import Direction
from holdfast.domain.symbol import Symbol
from holdfast.engine.events import Signals
from holdfast.engine.trading import CORRELATION_BARS, correlations_of
from holdfast.strategies.candles import Candles, Floats

A, B, C, D, E = (Symbol.parse(f"{base}/USDT") for base in ("AAA", "BBB", "CCC", "DDD", "EEE"))


def candles(close: Floats) -> Candles:
    open_ms = np.arange(len(close), dtype=np.int64) * 60_000
    return Candles(60_000, open_ms, close, close, close, close, close)


def walk(seed: int, bars: int) -> Floats:
    return np.exp(np.random.default_rng(seed).normal(0, 0.001, bars).cumsum()) * 100


def test_each_pair_is_compared_over_the_bars_both_have():
    """The longest count, a shorter symbol shortens only its own pairs, a too short one has none."""
    closes = {A: walk(1, 200), B: walk(2, CORRELATION_BARS), C: walk(3, 40), D: walk(4, 29)}
    found = correlations_of({symbol: candles(close) for symbol, close in closes.items()})
    expected = {}
    for one, other, bars in ((A, B, CORRELATION_BARS), (A, C, 40), (B, C, 40)):
        a, b = (np.diff(np.log(closes[symbol][-bars:])) for symbol in (one, other))
        expected[frozenset((one, other))] = Decimal(f"{np.corrcoef(a, b)[0, 1]:.4f}")
    assert found == expected


def test_a_symbol_that_never_moved_is_correlated_with_none():
    closes = {A: walk(1, 60), E: np.full(60, 7.0)}
    found = correlations_of({symbol: candles(close) for symbol, close in closes.items()})
    assert found == {frozenset((A, E)): Decimal(0)}


def test_one_symbol_alone_has_no_pairs():
    assert correlations_of({A: candles(walk(1, 60))}) == {}


def test_correlation_counts_both_directions_and_refuses_what_is_not_known() -> None:
    """Whatever is open counts, in the books or not (found by G12)."""
    signals = Signals((), correlations={frozenset((A, B)): Decimal("0.7")})
    assert signals.correlation_with(A, Direction.LONG, []) is None
    assert signals.correlation_with(A, Direction.LONG, [(B, Direction.LONG)]) == Decimal("0.7")
    assert signals.correlation_with(A, Direction.LONG, [(B, Direction.SHORT)]) == Decimal("-0.7")
    assert signals.correlation_with(A, Direction.LONG, [(B, Direction.LONG), (C, Direction.LONG)]) is None
