"""Status and positions for people, from the words of the HTTP interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from holdfast.cli.demo.screen import number, positions, time_text


def _age(age_ms: int | None) -> str:
    return "never" if age_ms is None else f"{age_ms / 1000:.1f} s ago"


def show_status(status: Mapping[str, Any]) -> None:
    """A table of facts, the positions, alerts and the last decisions."""
    console = Console()
    table = Table(show_header=False, title="status", title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column()
    balances = status["balances"]
    money = ", ".join(f"{name} {number(balances[name])}" for name in ("equity", "wallet", "available"))
    naked = ", ".join(status["unprotected"])
    rows = {
        "trading mode": f"{status['trading_mode']} on {status['exchange']} at {status['address']}",
        "account": f"{status['account']} (user {status['user']})",
        "state": f"{status['state']}: {status['why']}",
        "mode": status["mode"],
        "entries blocked by": ", ".join(status["blocks"]) or "nothing",
        "synced": f"{'yes' if status['synced'] else 'NO'}, {_age(status['last_sync_age_ms'])}",
        "prices by": status["price_source"],
        "balances": money,
        "unprotected": naked or "none",
        "liquidation": status["liquidation_state"],
    }
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
    console.print(positions(status, console.width))
    for alert in status["alerts"]:
        console.print(f"! {alert['severity']}: {alert['text']}", style="bold red")
    for decision in status["decisions"][:10]:
        at = time_text(decision["at_ms"])
        console.print(f"{at} {decision['kind']} {decision['symbol']} {decision['text']}", style="dim")


def show_positions(told: Mapping[str, Any]) -> None:
    """The positions, and how old that knowledge is."""
    console = Console()
    console.print(positions(told, console.width))
    console.print(f"as synced {_age(told['last_sync_age_ms'])}", style="dim")
    for symbol in told["unprotected"]:
        console.print(f"! without a stop: {symbol}", style="bold red")
