"""What the operator ordered, latched: outlives restarts, and every change is audited (R1.1, R1.6).

A row with an empty account_id is the whole bot's. What holds for an account is the stricter of its
own row and the whole's. Where nobody ever ordered anything the bot is stopped: it starts to trade
because someone said so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, or_, select

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.errors import StoreError
from holdfast.store.rows import made_from, upsert, values_of
from holdfast.store.schema import operator_state

_ACCOUNT = operator_state.c.account_id
_BOTH = select(operator_state).where(or_(_ACCOUNT == "", bindparam("account") == _ACCOUNT))
_BOTH_LOCKED = _BOTH.with_for_update(read=True)
_STATES = (OperatorState.RUNNING, OperatorState.STOPPED, OperatorState.KILLED)
_MODES = (Mode.NORMAL, Mode.REDUCE_ONLY, Mode.HALTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The operator's orders for one account, or for the whole bot (account_id empty)."""

    account_id: str = ""
    user_id: str = ""
    state: OperatorState = OperatorState.STOPPED
    state_who: str = ""
    state_why: str = "nobody has started it yet"
    state_ms: int = 0
    mode: Mode = Mode.NORMAL
    mode_who: str = ""
    mode_why: str = ""
    mode_ms: int = 0


class ModeLatched(StoreError):
    """A mode goes up only by a person (architecture rule 8)."""


def operator_of(connection: Connection, account_id: str = "", *, lock: bool = False) -> Operator:
    """What holds for *account_id*: the stricter of its own orders and the whole bot's.

    *lock* keeps others from changing it until the transaction ends (PostgreSQL; SQLite has one
    writer at a time anyway).
    """
    rows = connection.execute(_BOTH_LOCKED if lock else _BOTH, {"account": account_id}).mappings()
    found = {row["account_id"]: made_from(Operator, row) for row in rows}
    whole = found.get("", Operator())
    return _stricter(whole, found[account_id]) if account_id in found else whole


def _stricter(whole: Operator, own: Operator) -> Operator:
    by_state = max(whole, own, key=lambda each: _STATES.index(each.state))
    by_mode = max(whole, own, key=lambda each: _MODES.index(each.mode))
    return Operator(
        account_id=own.account_id,
        user_id=own.user_id,
        state=by_state.state,
        state_who=by_state.state_who,
        state_why=by_state.state_why,
        state_ms=by_state.state_ms,
        mode=by_mode.mode,
        mode_who=by_mode.mode_who,
        mode_why=by_mode.mode_why,
        mode_ms=by_mode.mode_ms,
    )


def _own(connection: Connection, account_id: str) -> Operator:
    query = select(operator_state).where(operator_state.c.account_id == account_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is not None:
        return made_from(Operator, row)
    # An account's fresh row adds nothing to what holds for the whole.
    fresh = OperatorState.RUNNING if account_id else OperatorState.STOPPED
    return Operator(account_id=account_id, state=fresh)


def set_operator(
    connection: Connection,
    state: OperatorState,
    who: str,
    why: str,
    at_ms: int,
    *,
    account_id: str = "",
    user_id: str = "",
    correlation_id: str = "",
) -> Operator:
    """Order *state*; returns what is ordered now, for this account or the whole.

    A kill is latched: only RUNNING, ordered by a person, clears it; who orders that has looked, so the
    mode goes up with it (rule 8). STOPPED after KILLED changes nothing. Every order is audited, also
    the one that changed nothing.
    """
    old = _own(connection, account_id)
    latched = old.state is OperatorState.KILLED and state is OperatorState.STOPPED
    new_state = old.state if latched else state
    new = replace(old, state=new_state, state_who=clean(who), state_why=clean(why), state_ms=at_ms)
    new = old if latched else replace(new, user_id=user_id or old.user_id)
    upsert(connection, operator_state, values_of(new))
    details = {"who": who, "why": why, "old": old.state, "new": new.state, "ordered": state}
    audit.append(
        connection,
        "OPERATOR_STATE",
        correlation_id,
        details,
        at_ms,
        account_id=account_id,
        user_id=new.user_id,
    )
    if state is not OperatorState.RUNNING:
        return new
    return set_mode(
        connection,
        Mode.NORMAL,
        who,
        why,
        at_ms,
        by_person=True,
        account_id=account_id,
        user_id=new.user_id,
        correlation_id=correlation_id,
    )


def set_mode(
    connection: Connection,
    mode: Mode,
    who: str,
    why: str,
    at_ms: int,
    *,
    by_person: bool,
    account_id: str = "",
    user_id: str = "",
    correlation_id: str = "",
) -> Operator:
    """Set how much the bot may do; audited when it changes.

    Down by anybody; up only *by_person*, else `ModeLatched` is raised and nothing changes.
    """
    old = _own(connection, account_id)
    if _MODES.index(mode) < _MODES.index(old.mode) and not by_person:
        raise ModeLatched(
            f"mode {old.mode} was set because {old.mode_why!r}: only a person may raise it to {mode}"
        )
    if mode is old.mode:
        return old
    new = replace(old, mode=mode, mode_who=clean(who), mode_why=clean(why), mode_ms=at_ms)
    new = replace(new, user_id=user_id or old.user_id)
    upsert(connection, operator_state, values_of(new))
    details = {"who": who, "why": why, "old": old.mode, "new": mode, "by_person": by_person}
    audit.append(
        connection,
        "MODE_CHANGED",
        correlation_id,
        details,
        at_ms,
        account_id=account_id,
        user_id=new.user_id,
    )
    return new
