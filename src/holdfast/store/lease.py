"""Who may take risk on an account: the one that took the lease last (gauntlet G27).

A lease is renewed while its holder lives, and another instance waits until it has run out; its epoch
fences: what an instance of an older epoch still wants to journal as an entry is refused, whatever the
clocks say. One lease guards the accounts of one store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, select, update

from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.errors import StoreError
from holdfast.store.rows import upsert
from holdfast.store.schema import leases

LEASE_MS = 60_000
"""Longer than any receive window and what clocks may differ by."""
RENEW_MS = 20_000

_EPOCH = select(leases.c.epoch).where(leases.c.account_id == bindparam("account"))
_EPOCH_LOCKED = _EPOCH.with_for_update(read=True)
_OURS = (leases.c.account_id == bindparam("account"), leases.c.epoch == bindparam("ours"))
_PROLONG = update(leases).where(*_OURS).values(until_ms=bindparam("until"))


class LeaseHeld(StoreError):
    """Another instance trades the account."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A lease that was taken. *from_other*: its last holder may live, and what it sent be under way."""

    epoch: int
    from_other: bool


def claim_lease(
    connection: Connection, account_id: str, holder: str, at_ms: int, *, host: str = "", user_id: str = ""
) -> Claim:
    """Take the lease if nobody else may live who holds it. Raises `LeaseHeld`.

    *host*: the machine on which whoever calls holds the lock of the store's home; then a holder of
    that machine is dead, whatever is left of its lease. "" = no such lock is held.
    """
    columns = (leases.c.holder, leases.c.host, leases.c.until_ms)
    last = connection.execute(select(*columns).where(leases.c.account_id == account_id)).first()
    dead = last is None or (host != "" and last.host == host)
    if last is not None and not dead and last.until_ms > at_ms:
        until = datetime.fromtimestamp(last.until_ms / 1000, UTC)
        raise LeaseHeld(
            f"account {account_id}: expected nobody else to trade it, found {last.holder}, whose lease runs"
            f" until {until:%H:%M:%S} UTC and is renewed while it lives (stop it first)"
        )
    released = last is not None and not last.until_ms
    epoch = take_lease(connection, account_id, holder, at_ms, host=host, user_id=user_id)
    return Claim(epoch, from_other=not dead and not released)


def take_lease(
    connection: Connection, account_id: str, holder: str, at_ms: int, *, host: str = "", user_id: str = ""
) -> int:
    """Take the account over from whoever has it and return the new epoch, one above the last.

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
        "host": clean(host),
        "taken_ms": at_ms,
        "until_ms": at_ms + LEASE_MS,
    }
    upsert(connection, leases, row)
    details = {"holder": holder, "epoch": epoch, "before": last.holder if last else ""}
    audit.append(connection, "LEASE_TAKEN", "", details, at_ms, account_id=account_id, user_id=user_id)
    return epoch


def renew_lease(connection: Connection, account_id: str, epoch: int, at_ms: int) -> bool:
    """Hold the lease for another `LEASE_MS`; False when somebody else has taken it."""
    return _prolong(connection, account_id, epoch, at_ms + LEASE_MS)


def release_lease(connection: Connection, account_id: str, epoch: int) -> bool:
    """Whoever comes next need not wait; False when the lease was not ours any more."""
    return _prolong(connection, account_id, epoch, 0)


def _prolong(connection: Connection, account_id: str, epoch: int, until_ms: int) -> bool:
    values = {"account": account_id, "ours": epoch, "until": until_ms}
    return connection.execute(_PROLONG, values).rowcount == 1


def lease_epoch(connection: Connection, account_id: str, *, lock: bool = False) -> int:
    """The current epoch, 0 when nobody ever took the lease; *lock* holds it until the transaction ends."""
    query = _EPOCH_LOCKED if lock else _EPOCH
    return connection.execute(query, {"account": account_id}).scalar() or 0
