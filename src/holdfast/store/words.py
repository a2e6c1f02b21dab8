"""Words that only the store speaks."""

from __future__ import annotations

from enum import StrEnum


class TradeStatus(StrEnum):
    """Where a position's life stands in the books."""

    OPEN = "open"
    EXIT_PENDING = "exit_pending"
    """Gone from the exchange; its true exit price has not been read yet (R3.2)."""
    CLOSED = "closed"


EXCHANGE_CLOSED_RECONCILIATION = "EXCHANGE_CLOSED_RECONCILIATION"
"""`trades.exit_reason` of a position that the exchange no longer had (R3.2)."""
