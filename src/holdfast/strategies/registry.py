"""Strategies by name: what configuration may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from inspect import signature
from typing import Any, cast

from holdfast.strategies.adx_trend import NAME as ADX_TREND
from holdfast.strategies.adx_trend import AdxTrend, AdxTrendParams
from holdfast.strategies.base import Strategy, StrategyError
from holdfast.strategies.donchian import NAME as DONCHIAN
from holdfast.strategies.donchian import Donchian, DonchianParams


@dataclass(frozen=True, slots=True)
class _Entry:
    params: type[Any]
    make: Callable[[Any], Strategy]


_STRATEGIES: Mapping[str, _Entry] = {
    ADX_TREND: _Entry(AdxTrendParams, AdxTrend),
    DONCHIAN: _Entry(DonchianParams, Donchian),
}


def strategy_names() -> tuple[str, ...]:
    return tuple(sorted(_STRATEGIES))


def make_strategy(name: str, params: Mapping[str, object]) -> Strategy:
    """The strategy with its parameters, or `StrategyError` naming what, expected and found.

    *name* is one of the built-in names, or `package.module:factory` for a plug-in: a callable that
    takes the parameters by keyword and returns a `Strategy` (and raises `StrategyError` on bad ones).
    """
    if ":" in name:
        return _plugged_in(name, params)
    if name not in _STRATEGIES:
        known = ", ".join(strategy_names())
        raise StrategyError(f"strategies: expected one of {known} or module:factory, found {name!r}")
    chosen = _STRATEGIES[name]
    where = f"strategies.{name}"
    kinds = {each.name: type(each.default) for each in fields(chosen.params)}
    checked = {key: _value(where, key, value, kinds) for key, value in params.items()}
    try:
        return chosen.make(chosen.params(**checked))
    except StrategyError as error:
        raise StrategyError(f"{where}.{error}") from error


def _plugged_in(name: str, params: Mapping[str, object]) -> Strategy:
    factory = _plug_in(name)
    try:
        signature(factory).bind(**params)
    except TypeError as error:
        raise StrategyError(f"strategies.{name}: {error}") from error
    return factory(**params)


def _plug_in(name: str) -> Callable[..., Strategy]:
    module, _, factory = name.partition(":")
    try:
        found = getattr(import_module(module), factory)
    except (ImportError, AttributeError, ValueError) as error:
        raise StrategyError(
            f"strategies: expected an importable module:factory, found {name!r} ({error})"
        ) from error
    if not callable(found):
        raise StrategyError(f"strategies: expected {name!r} to be callable, found {type(found).__name__}")
    return cast("Callable[..., Strategy]", found)


def _value(where: str, key: str, value: object, kinds: Mapping[str, type]) -> object:
    """The value if it is of the parameter's type; a whole number will do for a float."""
    if key not in kinds:
        raise StrategyError(f"{where}: expected one of {', '.join(sorted(kinds))}, found {key!r}")
    kind = kinds[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise StrategyError(f"{where}.{key}: expected a value of type {kind.__name__}, found {value!r}")
    return value
