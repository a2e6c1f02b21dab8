"""Equity over time, its running peak, and how far below it we are (R1.7).

Snapshots come several times a minute for as long as a bot lives: what is older than a day keeps one
an hour, and those with a cause of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import BigInteger, Connection, bindparam, cast, delete, func, insert, select

from holdfast.domain.account import Balance
from holdfast.domain.numbers import ZERO
from holdfast.store.canonical import clean
from holdfast.store.rows import made_from, values_of
from holdfast.store.schema import equity_snapshots

# Made once: a snapshot is written with every reading of the balance.
_LATEST = (
    select(equity_snapshots)
    .where(equity_snapshots.c.account_id == bindparam("account"))
    .order_by(equity_snapshots.c.id.desc())
    .limit(1)
)
_INSERT = insert(equity_snapshots)
CYCLE = "cycle"
"""The cause of snapshots that were merely due."""
HOUR_MS = 3_600_000
WHOLE_MS = 24 * HOUR_MS
"""Snapshots this young are all kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """One snapshot. *transferred* is what came in (+) or went out (-) since the one before, in *currency*."""

    account_id: str
    user_id: str
    at_ms: int
    cause: str
    currency: str
    wallet: Decimal
    equity: Decimal
    available: Decimal
    transferred: Decimal
    peak: Decimal
    day_start: Decimal
    """Equity as the day (UTC) began, moved by transfers like the peak."""


def record_equity(
    connection: Connection,
    account_id: str,
    balance: Balance,
    at_ms: int,
    *,
    cause: str,
    peak: Decimal,
    day_start: Decimal,
    transferred: Decimal = ZERO,
    user_id: str = "",
) -> EquityPoint:
    """Write a snapshot with what it is held against: a restart forgives no loss."""
    last = latest(connection, account_id)
    if last is not None and last.at_ms // HOUR_MS != at_ms // HOUR_MS:
        thin(connection, account_id, at_ms)
    point = EquityPoint(
        account_id=account_id,
        user_id=user_id,
        at_ms=at_ms,
        cause=clean(cause),
        currency=balance.currency,
        wallet=balance.wallet,
        equity=balance.equity,
        available=balance.available,
        transferred=transferred,
        peak=peak,
        day_start=day_start,
    )
    connection.execute(_INSERT, values_of(point))
    return point


def thin(connection: Connection, account_id: str, now_ms: int) -> int:
    """Keep the last snapshot of each hour that is over for a day; how many were let go.

    Each row carries its running peak, so no drawdown is forgotten with the others.
    """
    columns = equity_snapshots.c
    old = (columns.account_id == account_id, columns.at_ms < now_ms - WHOLE_MS)
    hour = cast(columns.at_ms, BigInteger) // HOUR_MS
    kept = select(func.max(columns.id)).where(*old).group_by(hour)
    gone = delete(equity_snapshots).where(*old, columns.cause == CYCLE, columns.id.not_in(kept))
    return connection.execute(gone).rowcount


def latest(connection: Connection, account_id: str) -> EquityPoint | None:
    row = connection.execute(_LATEST, {"account": account_id}).mappings().first()
    return made_from(EquityPoint, row) if row is not None else None


def snapshots(connection: Connection, account_id: str, *, since_ms: int = 0) -> tuple[EquityPoint, ...]:
    """All snapshots at or after *since_ms*, oldest first."""
    columns = equity_snapshots.c
    query = select(equity_snapshots).where(columns.account_id == account_id, columns.at_ms >= since_ms)
    rows = connection.execute(query.order_by(columns.id)).mappings()
    return tuple(made_from(EquityPoint, row) for row in rows)
