"""Settings that decisions read; made once by configuration, never changed under a decision."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How old each kind of fact may be before it is read again (architecture rule 4), in ms."""

    positions_ms: int = 5_000
    positions_flat_ms: int = 30_000
    orders_ms: int = 15_000
    """Orders and stops of each held symbol."""
    census_ms: int = 300_000
    """Orders and stops of all symbols at once."""
    balance_ms: int = 30_000
    transfers_ms: int = 600_000
    """The list of deposits and withdrawals; sooner when equity fell too far."""
    config_ms: int = 300_000
    clock_ms: int = 300_000
    confirm_ms: int = 1_000
    """A second, independent read comes at least this long after the first."""
    visibility_ms: int = 2_000
    """A read may lag what the exchange has done by this much."""
    mark_ms: int = 10_000
    """An older mark price of the stream decides nothing any more; the exchange itself judges then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How positions are protected (R2.10)."""

    default_stop_pct: Decimal
    """Distance of the stop from entry where neither journal nor strategy names one, in per cent."""
    protect_deadline_ms: int = 10_000
    """A position that has no covering stop after this long is closed."""
    adopt_unknown: bool = True
    """Protect and manage positions that nobody of ours opened; False: alert only."""
    trigger_stuck_ms: int = 5_000
    """A stop that is triggering for longer protects nothing (G32)."""
    liquidation_margin_ratio: Decimal = Decimal("0.1")
    """A stop must be nearer than liquidation by this share of the distance from entry."""
    retry_ms: int = 500
    """First pause before a refused or unavailable protective request is tried again; doubles."""
    retry_max_ms: int = 8_000
