"""What one simulated Binance holds beside the core, and what a handler is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.domain.symbol import Symbol
from holdfast.simulator.binance.errors import unknown_key
from holdfast.simulator.binance.limits import Limits, RateLimiter
from holdfast.simulator.binance.params import Params
from holdfast.simulator.binance.render import Extras
from holdfast.simulator.core.model import SimAccount
from holdfast.simulator.wire import venue
from holdfast.simulator.wire.venue import WireConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceConfig(WireConfig):
    """What only this exchange's wire has."""

    limits: Limits = field(default_factory=Limits)
    legacy_ack_fields: bool = False
    """Answers to orders carry `avgPrice` and `cumQuote`, as before mid-2026."""


@dataclass(frozen=True, slots=True)
class MarginChange:
    symbol: Symbol
    position_side: str
    amount: Decimal
    type: int
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Venue(venue.Venue):
    """One exchange: the core, and the state that only its dialect has."""

    config: BinanceConfig
    limiter: RateLimiter = field(init=False)
    extras: dict[int, Extras] = field(default_factory=dict)
    """By order id or algo id: the two number ranges do not meet."""
    margin_changes: dict[str, list[MarginChange]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        venue.Venue.__post_init__(self)
        self.limiter = RateLimiter(self.config.limits)

    def account(self, key: str, address: str) -> SimAccount:
        """The account of *key*; opens one behind the open door, else raises -2015."""
        account = self.known(key)
        if account is None:
            raise unknown_key(address)
        return account


@dataclass(slots=True)
class Call(venue.Call):
    """One request on its way through."""

    venue: Venue
    params: Params
