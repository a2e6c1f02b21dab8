"""Which market is traded: as asked, and in the present where clients sign with their own clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.cli.market import MarketChoice, ShiftedMarket, load_market, parse_start, parse_symbols
from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.market import MINUTE_MS

BTC = Symbol.parse("BTC/USDT")


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2025-05-06T07:00", 1_746_514_800_000),
        ("2025-05-06 07:00:30", 1_746_514_830_000),
        ("2025-05-06T09:00+02:00", 1_746_514_800_000),
        ("1746514800000", 1_746_514_800_000),
    ],
)
def test_a_start_is_utc_time_or_milliseconds(text, at_ms):
    assert parse_start(text) == at_ms


def test_symbols_are_taken_in_any_spelling_each_once():
    assert parse_symbols("BTC/USDT, BTCUSDT,eth-usdt,") == (BTC, Symbol.parse("ETH/USDT"))


def test_the_bundled_market_is_always_the_same():
    one, other = load_market(MarketChoice()), load_market(MarketChoice())
    assert [one.bar(BTC, one.start_ms + n * MINUTE_MS) for n in range(3)] == [
        other.bar(BTC, other.start_ms + n * MINUTE_MS) for n in range(3)
    ]
    assert one.bar(BTC, one.start_ms) != load_market(MarketChoice(seed=1)).bar(BTC, one.start_ms)


@given(now_ms=st.integers(1_500_000_000_000, 2_500_000_000_000))
def test_a_shifted_market_is_the_same_market_at_another_time(now_ms):
    market = load_market(MarketChoice(symbols="BTC/USDT"))
    shifted = ShiftedMarket(market, now_ms)
    assert 0 <= now_ms - shifted.start_ms < MINUTE_MS
    by_ms = shifted.start_ms - market.start_ms
    assert shifted.bar(BTC, shifted.start_ms) == market.bar(BTC, market.start_ms)
    assert shifted.first_ms(BTC) == market.first_ms(BTC) + by_ms
    at_ms, rate = shifted.next_funding(BTC, shifted.start_ms)
    assert (at_ms - by_ms, rate) == market.next_funding(BTC, market.start_ms)
    assert at_ms > shifted.start_ms
