"""The flight recorder: each decision with the facts it was made on (R7.6, architecture rule 1)."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select

from holdfast.store.canonical import canonical, clean
from holdfast.store.errors import StoreError
from holdfast.store.schema import decisions

_FACTS_BYTES_MAX = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A recorded decision; *facts* and *verdict* as plain data (see `canonical.plain_data`)."""

    at_ms: int
    account_id: str
    correlation_id: str
    facts: Any
    verdict: Any


def record_decision(
    connection: Connection,
    *,
    account_id: str,
    facts: object,
    verdict: object,
    at_ms: int,
    correlation_id: str = "",
    user_id: str = "",
) -> None:
    """Keep what was known and what was decided; any frozen values, dataclasses included."""
    row = {
        "at_ms": at_ms,
        "account_id": account_id,
        "user_id": user_id,
        "correlation_id": clean(correlation_id),
        "facts": zlib.compress(canonical(facts).encode(), 1),
        "verdict": canonical(verdict),
    }
    connection.execute(insert(decisions).values(**row))


def recorded(
    connection: Connection,
    account_id: str,
    *,
    since_ms: int = 0,
    until_ms: int | None = None,
    limit: int = 100,
) -> tuple[Decision, ...]:
    """The newest *limit* decisions in the time asked for, oldest first. Raises `StoreError` on damage."""
    columns = decisions.c
    query = select(decisions).where(columns.account_id == account_id, columns.at_ms >= since_ms)
    if until_ms is not None:
        query = query.where(columns.at_ms < until_ms)
    rows = connection.execute(query.order_by(columns.id.desc()).limit(limit)).mappings().all()
    return tuple(_decision(row) for row in reversed(rows))


def _decision(row: RowMapping) -> Decision:
    try:
        text = zlib.decompressobj().decompress(row["facts"], _FACTS_BYTES_MAX)
        facts, verdict = json.loads(text), json.loads(row["verdict"])
    except (zlib.error, ValueError) as error:
        raise StoreError(f"decision of {row['at_ms']} ms: expected recorded facts, found damage") from error
    return Decision(
        at_ms=row["at_ms"],
        account_id=row["account_id"],
        correlation_id=row["correlation_id"],
        facts=facts,
        verdict=verdict,
    )


def prune_decisions(connection: Connection, before_ms: int) -> int:
    """Forget decisions older than *before_ms*; returns how many. The audit chain is never pruned."""
    return connection.execute(decisions.delete().where(decisions.c.at_ms < before_ms)).rowcount
