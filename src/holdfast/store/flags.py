"""Risk flags: what is wrong right now, for people and scripts that read the database (R2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.rows import made_from, upsert, values_of
from holdfast.store.schema import risk_flags


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskFlag:
    """`SELECT value FROM risk_flags WHERE flag = …`: 0 = well. An empty account_id is the whole bot's."""

    flag: str
    account_id: str = ""
    user_id: str = ""
    exchange: str = ""
    value: int
    detail: str = ""
    updated_ms: int


def stoploss_missing(exchange: str) -> str:
    """The flag's name for an exchange: `bitget_stoploss_missing`."""
    return f"{exchange}_stoploss_missing"


def set_flag(connection: Connection, flag: RiskFlag) -> bool:
    """Write the flag; True when its value changed, which is audited."""
    before = get_flag(connection, flag.flag, flag.account_id)
    upsert(connection, risk_flags, values_of(flag) | {"detail": clean(flag.detail)})
    changed = (before.value if before else 0) != flag.value
    if changed:
        details = {"flag": flag.flag, "value": flag.value, "exchange": flag.exchange, "detail": flag.detail}
        owner = {"account_id": flag.account_id, "user_id": flag.user_id}
        audit.append(connection, "RISK_FLAG", "", details, flag.updated_ms, **owner)
    return changed


def get_flag(connection: Connection, flag: str, account_id: str = "") -> RiskFlag | None:
    where = (risk_flags.c.flag == flag, risk_flags.c.account_id == account_id)
    row = connection.execute(select(risk_flags).where(*where)).mappings().first()
    return made_from(RiskFlag, row) if row is not None else None


def all_flags(connection: Connection) -> tuple[RiskFlag, ...]:
    query = select(risk_flags).order_by(risk_flags.c.flag, risk_flags.c.account_id)
    return tuple(made_from(RiskFlag, row) for row in connection.execute(query).mappings())
