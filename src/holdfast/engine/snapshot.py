"""`logs/final_snapshot.json`: what the bot believed at its last supervision cycle (R3.5)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.view import View


def snapshot(view: View, result: LiquidationResult | None) -> dict[str, object]:
    """Plain data; Decimals stay Decimals (the writer renders them as text)."""
    return {
        "timestamp": datetime.fromtimestamp(view.at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds"),
        "account_id": view.account_id,
        "exchange": view.exchange,
        "address": view.address,
        "trading_mode": view.trading_mode,
        "mode": view.mode,
        "operator_state": view.operator_state,
        "positions": [asdict(position) for position in view.positions],
        "balance": {"wallet": view.wallet, "equity": view.equity, "available": view.available},
        "sync": {"synced": view.synced, "last_sync_ms": view.last_sync_ms},
        "alerts": [asdict(alert) for alert in view.alerts],
        "metrics": dict(view.metrics),
        "statistics": dict(view.statistics),
        "liquidation": {"state": view.liquidation_state, **(asdict(result) if result else {})},
        "shutting_down": view.shutting_down,
    }
