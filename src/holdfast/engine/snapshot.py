"""What is left in files at each supervision cycle: `logs/final_snapshot.json` (R3.5), and for Prometheus'
textfile collector whether a stop is missing (R2.4)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from holdfast.engine.liquidator import LiquidationResult
from holdfast.engine.view import View
from holdfast.store.flags import stoploss_missing
from holdfast.store.rows import values_of


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
        "positions": [values_of(position) for position in view.positions],
        "balance": {"wallet": view.wallet, "equity": view.equity, "available": view.available},
        "sync": {"synced": view.synced, "last_sync_ms": view.last_sync_ms},
        "alerts": [values_of(alert) for alert in view.alerts],
        "metrics": dict(view.metrics),
        "statistics": dict(view.statistics),
        "liquidation": {"state": view.liquidation_state, **(asdict(result) if result else {})},
        "shutting_down": view.shutting_down,
    }


def stops_textfile(view: View) -> tuple[str, str]:
    """Name and text of the file that says whether a stop is missing."""
    count = int(view.metrics[f"{stoploss_missing(view.exchange)}_count"])
    return stops_missing_file(view.exchange, view.account_id, count)


def stops_missing_file(exchange: str, account_id: str, count: int) -> tuple[str, str]:
    """Name and text: 0 or 1 as in the database's flag, and beside it of how many positions."""
    flag = stoploss_missing(exchange)
    labels = f'{{account="{account_id}",exchange="{exchange}"}}'
    said = (
        (flag, int(count > 0), "1 while a position has no covering stop at the exchange"),
        (f"{flag}_count", count, "positions without a covering stop at the exchange"),
    )
    lines = [
        f"# HELP {name} {words}\n# TYPE {name} gauge\n{name}{labels} {value}\n" for name, value, words in said
    ]
    return f"{flag}.prom", "".join(lines)
