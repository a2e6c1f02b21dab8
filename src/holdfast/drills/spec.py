"""A world as data: everything its course depends on beside the code and its versions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Limits
from holdfast.decisions.policy import Protection
from holdfast.domain.account import PositionMode
from holdfast.domain.symbol import Symbol
from holdfast.drills.clock import EPOCH_MS
from holdfast.drills.strategies import RESTLESS
from holdfast.drills.wires import ExchangeName
from holdfast.engine.liquidation import LiquidationConfig
from holdfast.engine.settings import BotSettings, Trading

HOST, PORT, STREAM_PORT = "127.0.0.1", 18_080, 18_081
"""Where the exchange is in a drill's network; streams have an address of their own, as at the real one."""
HOUR_MS = 3_600_000


class BadSpec(ValueError):
    """The description of a world makes no sense; the message names what, expected and found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    """One world. Times in ms, one way where they are latencies; money in quote currency."""

    seed: int = 0
    exchange: ExchangeName = "binance"
    position_mode: PositionMode = PositionMode.ONE_WAY
    """Of the account from the start, and what the bot is configured for."""
    hours: float = 2.0
    """How long `run_for` of the usual scenario trades."""
    symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
    strategies: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {RESTLESS: {}})
    """By name, with their parameters: the built-in ones, `restless`, `scripted`."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Changes of the bot's settings by dotted path: `{"trading.cooldown_minutes": "1"}`."""
    latency_ms: tuple[float, float] = (5.0, 60.0)
    disk_ms: tuple[float, float] = (0.0, 50.0)
    """How long a piece of blocking work (a commit) takes."""
    read_lag_ms: tuple[int, int] = (0, 500)
    """How far the exchange's account reads lag behind what happened."""
    wallet: str = "10000"
    start_ms: int = EPOCH_MS
    history_hours: float = 3.0
    """Candles there are from before the start."""
    shuffle: bool = True
    """The seed picks among task steps that are ready; False: in their order."""

    def symbol_list(self) -> tuple[Symbol, ...]:
        return tuple(Symbol.parse(text) for text in self.symbols)

    def bot_settings(self) -> BotSettings:
        """What the bot is told. Raises `BadSpec` for a path or value that makes no sense."""
        settings: Any = base_settings(self.symbol_list())
        trading = dataclasses.replace(settings.trading, strategies=self.strategies)
        settings = dataclasses.replace(
            settings, exchange=self.exchange, position_mode=self.position_mode, trading=trading
        )
        for path, value in sorted(self.settings.items()):
            settings = _changed(settings, path, path.split("."), value)
        checked: BotSettings = settings
        return checked

    def to_json(self) -> dict[str, Any]:
        """Plain data; `read_spec` takes it back."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


def read_spec(data: object) -> WorldSpec:
    """A world from decoded JSON. Raises `BadSpec`."""
    try:
        return msgspec.convert(data, WorldSpec)
    except msgspec.ValidationError as error:
        raise BadSpec(f"world: {error}") from error


def _changed(holder: Any, path: str, names: list[str], value: Any) -> Any:
    """*holder* with the setting at *path* replaced; a value takes the type of what stood there."""
    name, *rest = names
    if not dataclasses.is_dataclass(holder) or name not in {each.name for each in dataclasses.fields(holder)}:
        raise BadSpec(f"settings: expected the name of a setting, found {path!r}")
    before = getattr(holder, name)
    made = _changed(before, path, rest, value) if rest else _as(type(before), value, path)
    return dataclasses.replace(holder, **{name: made})  # type: ignore[type-var]


def _as(kind: type, value: Any, path: str) -> Any:
    if isinstance(value, kind):
        return value
    if kind is Decimal and isinstance(value, int | float | str):
        return Decimal(str(value))
    if kind is float and isinstance(value, int):
        return float(value)
    raise BadSpec(f"settings: expected {path} to be a {kind.__name__}, found {value!r}")


def base_settings(symbols: tuple[Symbol, ...]) -> BotSettings:
    """The values of the documented paper profile, but for how often strategies are asked."""
    return BotSettings(
        account_id="main",
        user_id="drill",
        exchange="binance",
        symbols=symbols,
        address=f"http://{HOST}:{PORT}",
        trading_mode="paper",
        limits=_limits(),
        breakers=_breakers(),
        protection=Protection(default_stop_pct=Decimal(2), protect_deadline_ms=10_000),
        trading=Trading(
            strategies={},
            leverage=5,
            risk_per_trade_ratio=Decimal("0.002"),
            cooldown_minutes=Decimal(1),
        ),
        liquidation=LiquidationConfig(),
    )


def _limits() -> Limits:
    return Limits(
        order_notional_max_ratio=Decimal("0.5"),
        position_notional_max_ratio=Decimal("0.5"),
        gross_exposure_max_ratio=Decimal(2),
        price_collar_ratio=Decimal("0.01"),
        spread_max_ratio=Decimal("0.005"),
        mark_age_ms_max=15_000,
        positions_age_ms_max=60_000,
        balance_age_ms_max=90_000,
        max_positions=4,
        daily_trades_max=2_000,
        cooldown_sec=0,
        volatility_max=Decimal("0.05"),
        correlation_max=Decimal(1),
        stop_distance_min_ratio=Decimal("0.001"),
        stop_distance_max_ratio=Decimal("0.1"),
        leverage_max=10,
        margin_buffer_ratio=Decimal("0.01"),
    )


def _breakers() -> BreakerLimits:
    return BreakerLimits(
        positions_age_ms_max=60_000,
        balance_age_ms_max=90_000,
        mark_age_ms_max=15_000,
        clock_uncertainty_ms_max=1_000,
        socket_down_ms_max=30_000,
        error_rate_max_ratio=Decimal("0.5"),
        error_window_ms=600_000,
        error_sample_min=20,
        drawdown_max_ratio=Decimal("0.2"),
        drawdown_latches=True,
        day_loss_max_ratio=Decimal("0.1"),
        entries_per_symbol_max=200,
        entries_window_ms=3_600_000,
        unknown_age_ms_max=30_000,
        unknown_count_max=3,
        unknown_grace_ms=60_000,
        mark_jump_max_ratio=Decimal("0.1"),
        release_ratio=Decimal("0.8"),
        settle_ms=10_000,
    )
