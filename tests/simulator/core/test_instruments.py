from decimal import Decimal
from itertools import pairwise

import pytest

from holdfast.domain.symbol import Symbol
from holdfast.simulator.core.instruments import LADDERS, instrument_for

D = Decimal


@pytest.mark.parametrize("name", sorted(LADDERS))
def test_maintenance_is_continuous_over_brackets(name: str) -> None:
    """Where two brackets meet both give the same maintenance margin: that is what `cum` is for."""
    ladder = LADDERS[name]
    for lower, upper in pairwise(ladder):
        at = lower.notional_cap
        assert upper.notional_floor == at
        assert lower.leverage_max > upper.leverage_max
        assert (
            at * lower.maintenance_ratio - lower.maintenance_amount
            == at * upper.maintenance_ratio - upper.maintenance_amount
        )


def test_bitcoin_has_its_real_filters() -> None:
    rules = instrument_for(Symbol.parse("BTCUSDT"), 95_000.0)
    assert (rules.price_step, rules.quantity_step, rules.notional_min) == (D("0.1"), D("0.001"), 100)
    assert (rules.price_decimals, rules.leverage_max) == (2, 125)


@pytest.mark.parametrize(
    ("price", "decimals", "tick", "step"),
    [
        (100.0, None, "0.01", "0.01"),
        (0.5, None, "0.00001", "1"),
        (0.000_02, None, "0.000000001", "1"),
        (3.2, 4, "0.0001", "1"),
        (30_000.0, 1, "0.1", "0.0001"),
        (30_000.0, 8, "0.01", "0.0001"),
    ],
)
def test_unknown_symbols_get_rules_from_their_price(
    price: float, decimals: int | None, tick: str, step: str
) -> None:
    rules = instrument_for(Symbol.parse("NEWUSDT"), price, decimals)
    assert (rules.price_step, rules.quantity_step) == (D(tick), D(step))
    assert rules.price_min <= D(repr(price)) <= rules.price_max
    assert rules.notional_min == 5
