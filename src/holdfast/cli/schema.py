"""The shape of the configuration file: names, types and bounds, derived from the engine's own settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Limits
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.account import MarginMode, PositionMode
from holdfast.domain.symbol import BadSymbol, Symbol
from holdfast.engine.liquidation import LiquidationConfig
from holdfast.engine.settings import Trading

DEFAULT_SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT", "XRP/USDT", "BNB/USDT")
SAME_AS_LIMITS = ("positions_age_ms_max", "balance_age_ms_max", "mark_age_ms_max")
"""BreakerLimits' fields that are the gate's own settings: written once, under [limits]."""

_BOUNDS: Mapping[str, Mapping[str, float]] = {
    # Beyond "no number is negative"; what LiquidationConfig and limit_faults check is theirs.
    "default_stop_pct": {"gt": 0, "lt": 100},
    "protect_deadline_ms": {"ge": 1_000, "le": 600_000},
    "risk_per_trade_ratio": {"gt": 0, "le": 0.1},
    "leverage": {"ge": 1, "le": 125},
    "check_interval_ms": {"ge": 1_000},
    "positions_ms": {"ge": 1_000},
    "error_rate_max_ratio": {"gt": 0, "le": 1},
    "drawdown_max_ratio": {"gt": 0, "le": 1},
    "day_loss_max_ratio": {"gt": 0, "le": 1},
    "release_ratio": {"gt": 0, "le": 1},
    "min_signal_score": {"ge": 0, "le": 1},
}


def _section(source: type[Any], *, without: tuple[str, ...] = ()) -> type[BaseModel]:
    """A checking model with the fields of a frozen dataclass of the engine: one list of names, not two."""
    hints = get_type_hints(source)
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(source):
        if each.name in without:
            continue
        default = ... if each.default is dataclasses.MISSING else each.default
        is_number = hints[each.name] in (int, float, Decimal)
        bounds: Mapping[str, Any] = _BOUNDS.get(each.name, {"ge": 0}) if is_number else {}
        fields[each.name] = (hints[each.name], Field(default, **bounds))
    return create_model(source.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def _check_symbol(text: str) -> str:
    try:
        return str(Symbol.parse(text))
    except BadSymbol as error:
        raise PydanticCustomError("symbol", "a symbol like BTC/USDT") from error


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Account(_Part):
    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    user: str = "operator"
    exchange: Literal["binance", "bingx", "bitget"] = "binance"
    base_url: str = ""
    """The exchange's address: a simulator's in paper and demo mode; empty = the mode's own in the others."""
    ws_url: str = ""
    """Where streams are; empty = at the same host."""
    key_cannot_withdraw: bool = False
    """The operator looked at the exchange: the key may not withdraw. Live mode asks for it, as no exchange
    tells what a key may do."""


class Keys(_Part):
    api_key: str = ""
    api_secret: str = ""
    passphrase: str = ""
    """Only Bitget's keys have one."""


class Http(_Part):
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    hosts: tuple[str, ...] = ()
    """Host names under which the interface may be asked, beside the loopback ones."""


class Engine(_Part):
    position_mode: PositionMode = PositionMode.ONE_WAY
    margin_mode: MarginMode = MarginMode.CROSS
    monitor_interval_ms: int = Field(default=5_000, ge=500, le=60_000)
    liquidate_on_sigterm: bool = True
    resume_liquidation: bool = True
    request_timeout_ms: int = Field(default=10_000, ge=500, le=60_000)


@cache
def file_model() -> type[BaseModel]:
    """The whole configuration file."""
    return create_model(
        "Configuration",
        __config__=ConfigDict(extra="forbid"),
        mode=(str, "paper"),
        symbols=(
            tuple[Annotated[str, AfterValidator(_check_symbol)], ...],
            Field(DEFAULT_SYMBOLS, min_length=1),
        ),
        account=(Account, ...),
        keys=(Keys, ...),
        limits=(_section(Limits), ...),
        breakers=(_section(BreakerLimits, without=SAME_AS_LIMITS), ...),
        protection=(_section(Protection), ...),
        trading=(_section(Trading), ...),
        liquidation=(_section(LiquidationConfig), ...),
        freshness=(_section(Freshness), ...),
        engine=(Engine, ...),
        http=(Http, ...),
    )
