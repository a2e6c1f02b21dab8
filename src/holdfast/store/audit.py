"""The audit chain: every change of books, order, refusal and operator action, tamper-evident (R7.8).

`append` is called in the very transaction that makes the change, so that neither exists without the
other (architecture rule 12). Each event's hash covers the hash before it: an edited, removed or
reordered event breaks the chain from there on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, text

from holdfast.store.canonical import canonical, clean, iso_ms
from holdfast.store.schema import audit

GENESIS = "0" * 64
"""What the first event has for its predecessor's hash."""

_PAGE = 200
_COLUMNS = (
    audit.c.seq,
    audit.c.timestamp_ms,
    audit.c.event_type,
    audit.c.correlation_id,
    audit.c.details,
    audit.c.prev,
    audit.c.hash,
)
# Made once: every change of anything passes here.
_INSERT = insert(audit)
_HEAD = select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
_AFTER = select(*_COLUMNS).where(audit.c.seq > bindparam("after")).order_by(audit.c.seq).limit(_PAGE)
# Two processes on one PostgreSQL take turns at the chain's end; SQLite has one writer anyway.
_TURN = text("SELECT pg_advisory_xact_lock(4851129)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One link. *details* is canonical JSON text, exactly as hashed."""

    seq: int
    timestamp_ms: int
    event_type: str
    correlation_id: str
    details: str
    prev: str
    hash: str

    @property
    def line(self) -> str:
        """The event as a line of `logs/audit.jsonl`, without the newline (R4.5)."""
        when = iso_ms(self.timestamp_ms)
        return line_of(
            when, self.event_type, self.correlation_id, self.details, self.seq, self.prev, self.hash
        )


def line_of(
    timestamp: str, event_type: str, correlation_id: str, details: str, seq: int, prev: str, hash_: str
) -> str:
    """The one spelling of an event as a line; *details* is canonical JSON text already."""
    return (
        f'{{"timestamp":{canonical(timestamp)},"event_type":{canonical(event_type)},'
        f'"correlation_id":{canonical(correlation_id)},"details":{details},'
        f'"seq":{seq},"prev":{canonical(prev)},"hash":{canonical(hash_)}}}'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """Whether a chain holds. *first_bad* is the line (file) or seq (store) where it breaks, 0 = nowhere."""

    ok: bool
    lines: int
    first_bad: int = 0
    reason: str = ""


def chain_hash(
    seq: int, timestamp: str, event_type: str, correlation_id: str, details: str, prev: str
) -> str:
    """SHA-256 over the canonical JSON of the event; *details* is canonical JSON text already."""
    head = canonical([seq, timestamp, event_type, correlation_id])
    return hashlib.sha256(f"[{head},{details},{canonical(prev)}]".encode()).hexdigest()


def make_event(
    seq: int, prev: str, event_type: str, correlation_id: str, details: Mapping[str, object], at_ms: int
) -> AuditEvent:
    """The event that follows the one with hash *prev*."""
    kind, correlation, words = clean(event_type), clean(correlation_id), canonical(details)
    return AuditEvent(
        seq=seq,
        timestamp_ms=at_ms,
        event_type=kind,
        correlation_id=correlation,
        details=words,
        prev=prev,
        hash=chain_hash(seq, iso_ms(at_ms), kind, correlation, words, prev),
    )


def append(
    connection: Connection,
    event_type: str,
    correlation_id: str,
    details: Mapping[str, object],
    at_ms: int,
    *,
    account_id: str = "",
    user_id: str = "",
) -> AuditEvent:
    """Add an event to the chain within the caller's transaction.

    *account_id* and *user_id* go into the details (and so under the hash) unless they are there.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(_TURN)
    owners = {name: value for name, value in (("account_id", account_id), ("user_id", user_id)) if value}
    whole = {**owners, **details}
    seq, prev = head(connection)
    event = make_event(seq + 1, prev, event_type, correlation_id, whole, at_ms)
    connection.execute(_INSERT, {**_row(event), **_owners(whole)})
    return event


def _row(event: AuditEvent) -> dict[str, object]:
    return {column.name: getattr(event, column.name) for column in _COLUMNS}


def _owners(details: Mapping[str, object]) -> dict[str, str]:
    return {name: clean(str(details.get(name, ""))) for name in ("account_id", "user_id")}


def head(connection: Connection) -> tuple[int, str]:
    """The last event's (seq, hash); (0, GENESIS) when there is none."""
    last = connection.execute(_HEAD).first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def events_after(connection: Connection, seq: int) -> Iterator[AuditEvent]:
    """All events behind *seq* in order, read in pages (the table may be large)."""
    while page := _page(connection, seq):
        yield from page
        seq = page[-1].seq


def _page(connection: Connection, seq: int) -> list[AuditEvent]:
    return [_event(row) for row in connection.execute(_AFTER, {"after": seq}).mappings()]


def _event(row: RowMapping) -> AuditEvent:
    return AuditEvent(**{column.name: row[column.name] for column in _COLUMNS})


def event_at(connection: Connection, seq: int) -> AuditEvent | None:
    row = connection.execute(select(*_COLUMNS).where(audit.c.seq == seq)).mappings().first()
    return _event(row) if row else None


def recent(
    connection: Connection,
    *,
    event_type: str | None = None,
    correlation_id: str | None = None,
    account_id: str | None = None,
    limit: int = 200,
) -> tuple[AuditEvent, ...]:
    """The newest events first, each filter applied unless None."""
    query = select(*_COLUMNS).order_by(audit.c.seq.desc()).limit(limit)
    wanted = ((audit.c.event_type, event_type), (audit.c.correlation_id, correlation_id))
    for column, value in (*wanted, (audit.c.account_id, account_id)):
        if value is not None:
            query = query.where(column == value)
    return tuple(_event(row) for row in connection.execute(query).mappings())


def verify(connection: Connection) -> VerifyResult:
    """Recompute the whole chain in the store.

    A chain cut off cleanly at its end still holds within itself: compare its head with the
    projected file's (`audit_file.verify_file`) or with a copy kept elsewhere.
    """
    seq, prev = 0, GENESIS
    for event in events_after(connection, -1):
        reason = link_fault(event, seq + 1, prev)
        if reason:
            return VerifyResult(ok=False, lines=seq, first_bad=event.seq, reason=reason)
        seq, prev = event.seq, event.hash
    return VerifyResult(ok=True, lines=seq)


def link_fault(event: AuditEvent, seq: int, prev: str) -> str:
    """Why *event* cannot be number *seq* behind hash *prev*; "" when it can."""
    if event.seq != seq:
        return f"expected event {seq}, found event {event.seq}"
    if event.prev != prev:
        return f"expected the hash before event {seq} to be {prev[:12]}…, found {event.prev[:12]}…"
    made = chain_hash(
        seq, iso_ms(event.timestamp_ms), event.event_type, event.correlation_id, event.details, prev
    )
    if event.hash != made:
        return f"event {seq} does not match its hash: it was changed after it was written"
    return ""


def details_of(event: AuditEvent) -> dict[str, Any]:
    """The details as data again."""
    data: dict[str, Any] = json.loads(event.details)
    return data


__all__ = [
    "GENESIS",
    "AuditEvent",
    "VerifyResult",
    "append",
    "chain_hash",
    "details_of",
    "event_at",
    "events_after",
    "head",
    "line_of",
    "link_fault",
    "make_event",
    "recent",
    "verify",
]
