"""Who may take risk on an account: the one that took the lease last (gauntlet G27)."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, select

from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.rows import upsert
from holdfast.store.schema import leases

_EPOCH = select(leases.c.epoch).where(leases.c.account_id == bindparam("account"))
_EPOCH_LOCKED = _EPOCH.with_for_update(read=True)


def take_lease(connection: Connection, account_id: str, holder: str, at_ms: int, *, user_id: str = "") -> int:
    """Take the account over and return the new epoch, one above the last.

    Whoever held it before can journal no entry any more; the epoch also makes client ids of one
    instance differ from every other's.
    """
    query = select(leases.c.epoch, leases.c.holder).where(leases.c.account_id == account_id).with_for_update()
    last = connection.execute(query).first()
    epoch = (last.epoch if last else 0) + 1
    row = {
        "account_id": account_id,
        "user_id": user_id,
        "epoch": epoch,
        "holder": clean(holder),
        "taken_ms": at_ms,
    }
    upsert(connection, leases, row)
    details = {"holder": holder, "epoch": epoch, "before": last.holder if last else ""}
    audit.append(connection, "LEASE_TAKEN", "", details, at_ms, account_id=account_id, user_id=user_id)
    return epoch


def lease_epoch(connection: Connection, account_id: str, *, lock: bool = False) -> int:
    """The current epoch, 0 when nobody ever took the lease; *lock* holds it until the transaction ends."""
    query = _EPOCH_LOCKED if lock else _EPOCH
    return connection.execute(query, {"account": account_id}).scalar() or 0
