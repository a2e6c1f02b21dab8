"""The bot's configuration: read, checked as a whole, told with its origins (R0.1, R0.3).

`load` either returns everything a bot needs or raises `ConfigError` with every fault at once; it
writes nothing. Precedence: profile < file < environment < command line.
"""

from __future__ import annotations

import dataclasses
import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from holdfast.cli.faults import ConfigError, Fault, faults_of, shown
from holdfast.cli.layers import Layers, read_toml
from holdfast.cli.schema import SAME_AS_LIMITS, Http, file_model
from holdfast.decisions.breakers import BreakerLimits
from holdfast.decisions.gate import Limits
from holdfast.decisions.limits import limit_faults
from holdfast.decisions.policy import Freshness, Protection
from holdfast.domain.secret import Secret
from holdfast.domain.symbol import Symbol
from holdfast.engine.liquidation import LiquidationConfig
from holdfast.engine.settings import BotSettings, Trading
from holdfast.exchanges.factory import REAL, TEST
from holdfast.strategies.base import StrategyError
from holdfast.strategies.registry import make_strategy

MODES: Mapping[str, str] = {
    # Every word an operator may use → the mode (R0.1).
    "paper": "paper",
    "dry_run": "paper",
    "demo": "demo",
    "testnet": "testnet",
    "sandbox": "testnet",
    "live": "live",
}
PROFILED = ("paper", "demo", "testnet")
"""Modes in which no real money can be lost: limits may come from the documented profile."""
KEY_PARTS = ("api_key", "api_secret", "passphrase")
WITH_PASSPHRASE = ("bitget",)
"""Exchanges whose keys consist of three parts."""


@dataclass(frozen=True, slots=True)
class Effective:
    """One setting in force, and where it comes from."""

    path: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Everything a bot needs to be built."""

    settings: BotSettings
    api_key: Secret
    api_secret: Secret
    passphrase: Secret
    """Empty where the exchange's keys have none."""
    base_url: str
    """Empty = the exchange's own: the real one in live mode, its test environment in testnet mode."""
    ws_url: str
    """Empty = at the same host."""
    http: Http
    effective: tuple[Effective, ...]
    hash: str
    """Of every effective value but the keys; goes into audit records and the live confirmation."""
    warnings: tuple[str, ...]


def load(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    *,
    live: bool = False,
) -> Loaded:
    """Read and check the configuration. *overrides* are dotted paths from the command line.

    *live* says that `--live` was given. Raises `ConfigError` with all faults.
    """
    layers, mode = _layers(path, environment, overrides or {})
    faults = _account_faults(layers.values, mode, live=live) + _key_faults(layers.values, mode)
    faults += _key_file_faults(path, layers.origins)
    values, settings = {}, None
    try:
        values = file_model().model_validate(layers.values).model_dump()
    except ValidationError as error:
        found = faults_of(error, file_model(), layers.origins)
        faults = _explained(found, live=mode not in PROFILED) + faults
    else:
        kill_switch = _is_set(environment.get("GLOBAL_KILL_SWITCH", ""))
        settings, contradictions = _settings(values, mode, kill_switch=kill_switch)
        faults += contradictions
    if faults or settings is None:
        raise ConfigError([_located(fault, layers.origins) for fault in faults])
    effective = _effective(values, layers.origins)
    return Loaded(
        settings=settings,
        api_key=Secret(values["keys"]["api_key"]),
        api_secret=Secret(values["keys"]["api_secret"]),
        passphrase=Secret(values["keys"]["passphrase"]),
        base_url=values["account"]["base_url"].rstrip("/"),
        ws_url=values["account"]["ws_url"].rstrip("/"),
        http=Http(**values["http"]),
        effective=effective,
        hash=_hash(effective),
        warnings=_warnings(settings),
    )


def _layers(
    path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, object]
) -> tuple[Layers, str]:
    """All layers merged, and the mode they result in (the safer wins)."""
    upper = Layers()
    if path is not None:
        upper.add_text(read_toml(path), path.name)
    upper.add_environment(environment)
    _add_named_variables(upper, environment)
    for dotted, value in overrides.items():
        upper.put(tuple(dotted.split(".")), value, "command line")
    mode = _mode(upper, environment)
    layers = Layers()
    for section, field in file_model().model_fields.items():
        if field.is_required():
            # A missing section is an empty one: then each missing value is named.
            layers.put((section,), {}, "")
    if mode in PROFILED:
        layers.add_text(_profile_text(), "paper profile")
        layers.put(("account", "id"), mode, "paper profile")
    if "strategies" in upper.values.get("trading", {}):
        # Named strategies replace the profile's, they are not added to them.
        layers.values.get("trading", {}).pop("strategies", None)
    for key, value in upper.values.items():
        layers.put((key,), value, "")
    layers.origins.update(upper.origins)
    layers.put(("mode",), mode, upper.origins.get("mode", ""))
    return layers, mode


def _profile_text() -> str:
    return (resources.files("holdfast.cli") / "paper.toml").read_text(encoding="utf-8")


def _mode(layers: Layers, environment: Mapping[str, str]) -> str:
    """The mode in force; a variable that asks for paper wins over everything (R0.1)."""
    for name in ("DRY_RUN", "BOT_TEST_MODE"):
        if _is_set(environment.get(name, "")):
            layers.origins["mode"] = f"environment {name}"
            return "paper"
    asked = layers.values.get("mode", "paper")
    mode = MODES.get(str(asked).lower())
    if mode is None:
        fault = Fault("mode", f"one of {', '.join(MODES)}", repr(asked), layers.origins.get("mode", ""))
        raise ConfigError([fault])
    return mode


def _is_set(text: str) -> bool:
    return text.strip().lower() not in ("", "0", "false", "no", "off")


_NAMED_VARIABLES = {
    # The documents' own variables → our settings (R1.5, R1.7).
    "ERROR_RATE_THRESHOLD": ("breakers", "error_rate_max_ratio"),
    "EQUITY_DRAWDOWN_THRESHOLD": ("breakers", "drawdown_max_ratio"),
}


def _add_named_variables(layers: Layers, environment: Mapping[str, str]) -> None:
    for name, path in _NAMED_VARIABLES.items():
        if name in environment:
            layers.put(path, _ratio(name, environment[name]), f"environment {name}")


def _ratio(name: str, text: str) -> Decimal:
    """`0.02`, `2` and `2%` are all two per cent: below 1 it is a ratio, from 1 on per cent."""
    stripped = text.strip()
    try:
        number = Decimal(stripped.removesuffix("%").strip())
    except InvalidOperation as error:
        raise ConfigError([Fault(name, "a ratio (0.02) or per cent (2%)", repr(text))]) from error
    return number / 100 if number >= 1 or stripped.endswith("%") else number


def _explained(faults: list[Fault], *, live: bool) -> list[Fault]:
    """A missing limit in live mode is no typing error: say why it has no default."""
    if not live:
        return faults
    reason = "a value (live mode has no default for what can lose money)"
    return [
        dataclasses.replace(fault, expected=reason) if fault.found == "nothing" else fault for fault in faults
    ]


def _located(fault: Fault, origins: Mapping[str, str]) -> Fault:
    return fault if fault.origin else dataclasses.replace(fault, origin=origins.get(fault.path, ""))


def _settings(
    values: Mapping[str, Any], mode: str, *, kill_switch: bool
) -> tuple[BotSettings | None, list[Fault]]:
    """The engine's settings, or every way in which the values contradict each other."""
    limits = Limits(**values["limits"])
    faults = [Fault("limits", "limits that agree with each other", words) for words in limit_faults(limits)]
    strategies = _strategies(values["trading"]["strategies"], faults)
    trading = Trading(**{**values["trading"], "strategies": strategies})
    if trading.leverage > limits.leverage_max:
        expected = f"at most limits.leverage_max ({limits.leverage_max})"
        faults.append(Fault("trading.leverage", expected, str(trading.leverage)))
    try:
        liquidation = LiquidationConfig(**values["liquidation"])
    except ValueError as error:
        return None, [*faults, Fault("liquidation", "a sound liquidation", str(error))]
    if faults:
        return None, faults
    same = {name: values["limits"][name] for name in SAME_AS_LIMITS}
    return BotSettings(
        account_id=values["account"]["id"],
        user_id=values["account"]["user"],
        exchange=values["account"]["exchange"],
        symbols=tuple(dict.fromkeys(Symbol.parse(text) for text in values["symbols"])),
        address=_address(values, mode),
        trading_mode=mode,
        global_kill_switch=kill_switch,
        limits=limits,
        breakers=BreakerLimits(**values["breakers"], **same),
        protection=Protection(**values["protection"]),
        trading=trading,
        liquidation=liquidation,
        freshness=Freshness(**values["freshness"]),
        **values["engine"],
    ), []


def _address(values: Mapping[str, Any], mode: str) -> str:
    """Where orders go."""
    own = TEST if mode == "testnet" else REAL
    return values["account"]["base_url"].rstrip("/") or own[values["account"]["exchange"]].rest


def _strategies(
    named: Mapping[str, Mapping[str, object]], faults: list[Fault]
) -> Mapping[str, Mapping[str, object]]:
    """Parameters as strategies take them: floats are theirs. A strategy that refuses them is a fault."""
    wanted = {
        name: {key: float(value) if isinstance(value, Decimal) else value for key, value in params.items()}
        for name, params in named.items()
    }
    for name, params in wanted.items():
        try:
            make_strategy(name, params)
        except StrategyError as error:
            faults.append(
                Fault(f"trading.strategies.{name}", "a known strategy with sound values", str(error))
            )
    return wanted


def is_simulator(base_url: str) -> bool:
    """Whether the address cannot be a real exchange: it is on this machine."""
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _account_faults(values: Mapping[str, Any], mode: str, *, live: bool) -> list[Fault]:
    """Whether address, keys and flag fit the mode; reads unchecked values, silent about odd types."""
    url = _text(values, "account", "base_url")
    simulator = f"a simulator's address ({mode} mode never talks to a real exchange)"
    found = repr(url) if url else "nothing"
    broken = {
        Fault("account.base_url", simulator, found): mode in ("paper", "demo") and not is_simulator(url),
        Fault("account.base_url", "nothing in live mode (the real exchange is known)", found): (
            mode == "live" and bool(url)
        ),
        Fault("mode", "the flag --live beside it", "live without the flag"): mode == "live" and not live,
        Fault("mode", "live, because of --live", mode): live and mode != "live",
        Fault("account.ws_url", "nothing without a base_url beside it", "an address"): (
            not url and bool(_text(values, "account", "ws_url"))
        ),
    }
    return [fault for fault, is_broken in broken.items() if is_broken]


def _key_faults(values: Mapping[str, Any], mode: str) -> list[Fault]:
    """Whether the keys are whole, of the exchange's kind, and confirmed to be of no use to a thief."""
    exchange = _text(values, "account", "exchange") or "binance"
    given = {name: _text(values, "keys", name) for name in KEY_PARTS}
    wanted = mode in ("live", "testnet") or any(given.values())
    parts = KEY_PARTS if exchange in WITH_PASSPHRASE else KEY_PARTS[:-1]
    place = f"{exchange}'s test environment" if mode == "testnet" else exchange
    words = (f"a key of {place}", "the secret of that key", "the passphrase of that key (bitget's have one)")
    faults = [
        Fault(f"keys.{name}", expected, "nothing")
        for name, expected in zip(parts, words, strict=False)
        if wanted and not given[name]
    ]
    if given["passphrase"] and exchange not in WITH_PASSPHRASE:
        expected = f"nothing: keys of {exchange} have none (those of {', '.join(WITH_PASSPHRASE)} do)"
        faults.append(Fault("keys.passphrase", expected, "(hidden)"))
    account = values["account"]
    confirmed = account.get("key_cannot_withdraw") if isinstance(account, Mapping) else None
    if mode == "live" and confirmed is not True:
        expected = (
            "true: look at the exchange whether the key may withdraw, no answer to a key tells what it may"
        )
        found = "nothing" if confirmed is None else shown("account.key_cannot_withdraw", confirmed)
        faults.append(Fault("account.key_cannot_withdraw", expected, found))
    return faults


def _text(values: Mapping[str, Any], section: str, name: str) -> str:
    table = values[section]
    value = table.get(name, "") if isinstance(table, Mapping) else ""
    return value if isinstance(value, str) else ""


def _key_file_faults(path: Path | None, origins: Mapping[str, str]) -> list[Fault]:
    """A file that holds keys is read by its owner alone."""
    if path is None or not any(origins.get(f"keys.{name}", "").startswith(path.name) for name in KEY_PARTS):
        return []
    permissions = path.stat().st_mode & 0o077
    found = f"others may read it (chmod 600 {path.name})"
    return [Fault(str(path), "a file with keys to be private", found)] if permissions else []


def _effective(values: Mapping[str, Any], origins: Mapping[str, str]) -> tuple[Effective, ...]:
    flat: list[Effective] = []

    def walk(path: str, value: object) -> None:
        if isinstance(value, Mapping) and value:
            for name in value:
                walk(f"{path}.{name}" if path else str(name), value[name])
            return
        words = shown(path, value) if value or not path.startswith("keys.") else "''"
        flat.append(Effective(path, words, origins.get(path, "") or "default"))

    walk("", values)
    return tuple(flat)


def _hash(effective: tuple[Effective, ...]) -> str:
    pairs = [[each.path, each.value] for each in effective if not each.path.startswith("keys.")]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def _warnings(settings: BotSettings) -> tuple[str, ...]:
    """What is allowed and still worth a second look (R4.1)."""
    liquidation = settings.liquidation
    backoff_s = sum(liquidation.retry_delay_seconds * 2**n for n in range(liquidation.max_retries))
    risky = {
        "liquidation.emergency_liquidation is off: a shutdown leaves positions open": (
            not liquidation.emergency_liquidation
        ),
        f"liquidation: the pauses between retries ({backoff_s:g} s) exceed timeout_seconds"
        f" ({liquidation.timeout_seconds:g}): they are cut at the deadline": (
            backoff_s > liquidation.timeout_seconds
        ),
        "limits.max_positions is 0: no new entries": settings.limits.max_positions == 0,
        "protection.adopt_unknown is off: unknown positions are reported, not protected": (
            not settings.protection.adopt_unknown
        ),
        "no strategy is configured: nothing will be traded": not settings.trading.strategies,
    }
    return tuple(words for words, is_so in risky.items() if is_so)
