"""The one published picture of a running bot: status, metrics, console, snapshot and CLI read only this.

A `View` is immutable and replaced as a whole after every step, so that nobody ever sees half a change.
Every number of the exchange stands beside the age of that knowledge (R3.7).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum


class Protection(StrEnum):
    """What is known of a position's exchange-side stop."""

    VERIFIED = "verified"
    """Seen in the exchange's book, covering the whole position."""
    PENDING = "pending"
    """Sent or being sent; not yet seen in the exchange's book."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionView:
    """One position as the exchange has it (R1.3). Prices and PnL in quote, quantity in base, unsigned."""

    account_id: str
    symbol: str
    side: str
    """`long` or `short`."""
    quantity: Decimal
    entry_price: Decimal
    mark_price: Decimal
    leverage: int
    unrealized_pnl: Decimal
    roe_pct: Decimal
    """Per cent of the initial margin, right to two decimals."""
    notional: Decimal
    margin_ratio_pct: Decimal | None
    liquidation_price: Decimal | None
    liquidation_distance_pct: Decimal | None
    stop_price: Decimal | None
    protection: Protection
    protected_since_ms: int | None
    naked_ms: int
    """How long it was without a verified stop, in all, as far as the bot saw."""
    opened_ms: int | None
    strategy: str
    ours: bool
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionView:
    """What was just decided, and why."""

    at_ms: int
    kind: str
    """`entry`, `refused`, `stop`, `close`, `reconcile`, `mode`, `liquidation` …"""
    symbol: str
    text: str
    correlation_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    id: str
    severity: str
    """`info`, `warning` or `critical`."""
    text: str
    since_ms: int
    runbook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The state of one account's bot at one moment."""

    at_ms: int
    started_ms: int
    account_id: str
    user_id: str
    exchange: str
    address: str
    """The exchange address in use: nobody should have to guess what this bot talks to."""
    trading_mode: str
    """`paper`, `demo`, `testnet` or `live` (R0.1)."""
    mode: str
    """`normal`, `reduce_only` or `halted`."""
    operator_state: str
    """`running`, `stopped` or `killed`."""
    state_why: str
    blocks: tuple[str, ...]
    """Why entries are refused just now; lifts by itself."""
    synced: bool
    last_sync_ms: int | None
    price_source: str
    """`ws` or `rest`."""
    wallet: Decimal | None
    equity: Decimal | None
    available: Decimal | None
    positions: tuple[PositionView, ...] = ()
    unprotected: tuple[str, ...] = ()
    open_intents: int = 0
    alerts: tuple[AlertView, ...] = ()
    decisions: tuple[DecisionView, ...] = ()
    """Newest first, at most 50."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Flat numbers by name (error_rate, price_drift_avg, equity_drawdown, ws_reconnects …, R1.2)."""
    statistics: Mapping[str, float] = field(default_factory=dict)
    """Session statistics (R5.8)."""
    liquidation_state: str = "IDLE"
    shutting_down: bool = False
