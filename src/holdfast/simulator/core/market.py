"""Where prices come from: the door to replayed and generated markets."""

from holdfast.simulator.core.bars import DAY_MS, GENERATED_START_MS, MINUTE_MS, BadMarketData, Bar, Market
from holdfast.simulator.core.generated import generated_market
from holdfast.simulator.core.instruments import SimInstrument
from holdfast.simulator.core.replay import replay_market

__all__ = [
    "DAY_MS",
    "GENERATED_START_MS",
    "MINUTE_MS",
    "BadMarketData",
    "Bar",
    "Market",
    "SimInstrument",
    "generated_market",
    "replay_market",
]
