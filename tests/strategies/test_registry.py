from __future__ import annotations

from typing import Any

import pytest

from holdfast.strategies.base import StrategyError
from holdfast.strategies.registry import make_strategy, strategy_names


def test_both_built_in_strategies_are_known_by_name() -> None:
    assert strategy_names() == ("adx_trend", "donchian")
    for name in strategy_names():
        strategy = make_strategy(name, {"timeframe": "15m"})
        assert (strategy.name, strategy.timeframe, strategy.extra_pairs) == (name, "15m", ())
        assert strategy.warmup_bars > 100


def test_parameters_from_configuration_change_the_strategy() -> None:
    wide = make_strategy("donchian", {"entry_bars": 200, "stop_atr": 5})
    assert wide.warmup_bars > make_strategy("donchian", {}).warmup_bars


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("moon", {}, "strategies: expected one of adx_trend, donchian"),
        ("donchian", {"bars": 3}, "strategies.donchian: expected one of atr_period"),
        ("donchian", {"entry_bars": "30"}, "strategies.donchian.entry_bars: expected a value of type int"),
        ("donchian", {"entry_bars": True}, "expected a value of type int, found True"),
        ("donchian", {"entry_bars": 30.5}, "expected a value of type int, found 30.5"),
        ("donchian", {"entry_bars": 3}, "strategies.donchian.entry_bars: expected 5 to 500, found 3"),
        ("donchian", {"exit_bars": 31}, "exit_bars: expected at most entry_bars 30, found 31"),
        ("donchian", {"timeframe": "2m"}, "timeframe: expected one of 1m, 3m, 5m"),
        ("donchian", {"stop_atr": float("nan")}, "stop_atr: expected 0.5 to 50, found nan"),
        ("adx_trend", {"adx_full": 20}, "strategies.adx_trend.adx_full: expected more than adx_min"),
        ("adx_trend", {"adx_min": 10}, "adx_min: expected 18.0 to 100, found 10.0"),
        ("adx_trend", {"stop_min_ratio": -1}, "stop_min_ratio: expected 0 to 0.2"),
    ],
)
def test_wrong_configuration_says_what_was_expected(name: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(StrategyError) as caught:
        make_strategy(name, params)
    assert words in str(caught.value)
