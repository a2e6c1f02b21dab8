"""Builders: one valid View, position and set of commands, with the change visible in the test."""

from __future__ import annotations

from decimal import Decimal

from holdfast.engine.commands import CommandResult
from holdfast.engine.view import PositionView, Protection, View

D = Decimal
NOW = 1_746_516_845_678


def position(**changes):
    base = {
        "account_id": "main",
        "symbol": "BTC/USDT:USDT",
        "side": "long",
        "quantity": D("0.014"),
        "entry_price": D("94123.1"),
        "mark_price": D("94500.55"),
        "leverage": 5,
        "unrealized_pnl": D("5.2843"),
        "roe_pct": D("2.00"),
        "notional": D("1323.0077"),
        "margin_ratio_pct": D("0.53"),
        "liquidation_price": D("76000"),
        "liquidation_distance_pct": D("19.58"),
        "stop_price": D("92000"),
        "protection": Protection.VERIFIED,
        "protected_since_ms": NOW - 60_000,
        "naked_ms": 45,
        "opened_ms": NOW - 61_000,
        "strategy": "donchian",
        "ours": True,
        "age_ms": 800,
    }
    return PositionView(**{**base, **changes})


def view(**changes):
    base = {
        "at_ms": NOW,
        "started_ms": NOW - 600_000,
        "account_id": "main",
        "user_id": "operator",
        "exchange": "binance",
        "address": "http://127.0.0.1:9100",
        "trading_mode": "demo",
        "mode": "normal",
        "operator_state": "running",
        "state_why": "started",
        "blocks": (),
        "synced": True,
        "last_sync_ms": NOW - 1_000,
        "price_source": "ws",
        "wallet": D("10000.10"),
        "equity": D("10005.38"),
        "available": D("9700"),
        "positions": (position(),),
        "metrics": {"error_rate": 0.0, "price_drift_avg": 0.0001, "orders_total": 3.0},
        "statistics": {"signals_processed": 12.0},
    }
    return View(**{**base, **changes})


class FixedClock:
    def now_ms(self):
        return NOW

    def monotonic_ms(self):
        return NOW


class RememberingCommands:
    """An engine that does what it is told and remembers by whom (implements `OperatorCommands`)."""

    def __init__(self, done=True):
        self.done = done
        self.heard = []

    async def _heard(self, command, state, **told):
        self.heard.append((command, told))
        return CommandResult(done=self.done, state=state, message=f"{command}: as told")

    async def run(self, *, who, why):
        return await self._heard("run", "running", who=who, why=why)

    async def stop(self, *, who, why):
        return await self._heard("stop", "stopped", who=who, why=why)

    async def kill(self, *, who, why, liquidate=False):
        return await self._heard("kill", "killed", who=who, why=why, liquidate=liquidate)

    async def flatten(self, *, who, why):
        return await self._heard("flatten", "stopped", who=who, why=why)
