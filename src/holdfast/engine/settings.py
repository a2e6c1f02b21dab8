"""What a running bot was told: one frozen object, made once from checked configuration.

Limits have no defaults here: whoever makes them has to have decided (R0.3). Defaults that are safe to
give live with the configuration file's reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Limits
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.symbol import Symbol
from holdfast.engine.liquidation import LiquidationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """The trading loop (R5.1, R5.2)."""

    strategies: Mapping[str, Mapping[str, object]]
    """Strategy name → its parameters."""
    leverage: int
    risk_per_trade_ratio: Decimal
    check_interval_ms: int = 60_000
    cooldown_minutes: Decimal = Decimal(5)
    min_signal_score: Decimal = Decimal("0.65")
    signal_age_ms_max: int = 86_400_000
    candidates_max: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSettings:
    account_id: str
    user_id: str
    exchange: str
    symbols: tuple[Symbol, ...]
    address: str
    """The exchange address in use (`https://fapi.binance.com`, `http://127.0.0.1:18080` …)."""
    trading_mode: str
    """`paper`, `demo`, `testnet` or `live`."""
    limits: Limits
    breakers: BreakerLimits
    protection: Protection
    trading: Trading
    liquidation: LiquidationConfig
    freshness: Freshness = field(default_factory=Freshness)
    position_mode: PositionMode = PositionMode.ONE_WAY
    margin_mode: MarginMode = MarginMode.CROSS
    monitor_interval_ms: int = 5_000
    liquidate_on_sigterm: bool = True
    resume_liquidation: bool = True
    """Close what an unfinished liquidation of the last run left open; False: report it only (R4.8)."""
    global_kill_switch: bool = False
    """`GLOBAL_KILL_SWITCH`: killed from the start, and `/run` is refused (R1.6)."""
    request_timeout_ms: int = 10_000
