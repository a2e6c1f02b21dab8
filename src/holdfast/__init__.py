"""holdfast: a crypto-futures trading bot that holds fast.

The names that operators' documents use can be imported from here; each loads only what it needs.
"""

from __future__ import annotations

from importlib import import_module

_PUBLIC = {
    "AuditLogger": "holdfast.store.audit_file",
    "ExchangeAdapter": "holdfast.engine.exchange_adapter",
    "LiquidationConfig": "holdfast.engine.liquidation",
    "LiquidationManager": "holdfast.engine.liquidator",
    "LiquidationResult": "holdfast.engine.liquidator",
    "LiquidationState": "holdfast.engine.liquidation",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_PUBLIC[name]), name)
    return found
