"""The intent journal: what we are about to send, written before it is sent (architecture rule 5).

An intent is in the journal before its request leaves, and its outcome is written after. What lies
between is Unknown. State moves only along `domain.orders.TRANSITIONS`; news that contradicts what
is held is recorded as a contradiction and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select, update

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import Intent, Journaled, Outcome, Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Heard, Order, OrderState, Stop, after
from holdfast.domain.symbol import Symbol
from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.errors import JournalRefused, UnknownIntent, WriteRefusal
from holdfast.store.lease import lease_epoch as lease_epoch_of
from holdfast.store.news import CANCELS, News, of_order, of_outcome, of_stop
from holdfast.store.operator import operator_of
from holdfast.store.rows import insert_if_absent, made_from, values_of
from holdfast.store.schema import intents, trades

OPEN_STATES = (OrderState.SENDING, OrderState.UNKNOWN, OrderState.WORKING)
"""May still have an effect that we have not seen the end of; the same as `Journaled.open`."""
UNPROVEN_STATES = (OrderState.SENDING, OrderState.UNKNOWN)
RISK_RAISING = tuple(purpose for purpose in Purpose if purpose.raises_risk)

# Made once: they stand on the order path.
# Found by the state, for few intents are open; by the symbol there are more every day.
_OPEN = select(intents.c.symbol, intents.c.purpose, intents.c.state).where(
    intents.c.account_id == bindparam("account"), intents.c.state.in_(OPEN_STATES)
)
_HELD = select(intents).where(intents.c.client_id == bindparam("wanted")).with_for_update()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The journal took the news. *journaled* is how the intent stands now; *before* how it stood."""

    journaled: Journaled
    before: OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """The news cannot be true of what the journal holds: nothing was changed, reconcile."""

    journaled: Journaled
    heard: Heard
    detail: str


# --- writing ahead -------------------------------------------------------------------------------


def write_ahead(
    connection: Connection, journaled: Journaled, *, at_ms: int, lease_epoch: int = 0, user_id: str = ""
) -> None:
    """Journal an intent that is about to be sent; only then may it be sent.

    Raises `JournalRefused`, with nothing written: for a risk-raising purpose unless the operator
    lets it run, the mode is normal, the lease is ours and nothing on its symbol is unresolved; for
    any purpose when its client id is taken. Protection and closing are never refused otherwise.
    """
    if journaled.intent.purpose.raises_risk:
        reasons = refusals(connection, journaled.account_id, journaled.intent.symbol, lease_epoch)
        if reasons:
            raise JournalRefused(journaled.client_id, reasons)
    row = _row(journaled) | {"user_id": user_id, "lease_epoch": lease_epoch, "updated_ms": at_ms}
    if not insert_if_absent(connection, intents, row):
        raise JournalRefused(journaled.client_id, (WriteRefusal.DUPLICATE_CLIENT_ID,))
    details = values_of(journaled.intent) | {
        "client_id": journaled.client_id,
        "signed_ms": journaled.signed_ms,
        "window_ms": journaled.window_ms,
        "lease_epoch": lease_epoch,
    }
    _audit(connection, "INTENT_WRITTEN", journaled, details, at_ms, user_id)


def refusals(
    connection: Connection, account_id: str, symbol: Symbol, lease_epoch: int
) -> tuple[WriteRefusal, ...]:
    """Every reason why no risk may be added on *symbol* now; empty when it may.

    The rows looked at stay as they are until the transaction ends.
    """
    operator = operator_of(connection, account_id, lock=True)
    broken = {
        WriteRefusal.KILLED: operator.state is OperatorState.KILLED,
        WriteRefusal.STOPPED: operator.state is OperatorState.STOPPED,
        WriteRefusal.HALTED: operator.mode is Mode.HALTED,
        WriteRefusal.REDUCE_ONLY: operator.mode is Mode.REDUCE_ONLY,
        WriteRefusal.LEASE_LOST: lease_epoch_of(connection, account_id, lock=True) != lease_epoch,
        WriteRefusal.UNRESOLVED_INTENT: _unresolved(connection, account_id, symbol),
    }
    return tuple(reason for reason, is_broken in broken.items() if is_broken)


def _unresolved(connection: Connection, account_id: str, symbol: Symbol) -> bool:
    """An entry whose end is not known, or anything at all of which not even the arrival is known."""
    found = connection.execute(_OPEN, {"account": account_id})
    return any(
        row.symbol == symbol and (row.purpose in RISK_RAISING or row.state in UNPROVEN_STATES)
        for row in found
    )


def _on(account_id: str) -> ColumnElement[bool]:
    return intents.c.account_id == account_id


# --- what came of it -----------------------------------------------------------------------------


def record_outcome(
    connection: Connection, client_id: str, outcome: Outcome, at_ms: int
) -> Recorded | Contradiction:
    """Write what the exchange answered to the request. Raises `UnknownIntent`."""
    return _hear(connection, client_id, partial(of_outcome, outcome), at_ms)


def record_order(connection: Connection, order: Order, at_ms: int) -> Recorded | Contradiction:
    """Write what was read or streamed of a regular order of ours (by its client id)."""
    return _hear(connection, order.client_id, partial(of_order, order), at_ms)


def record_stop(connection: Connection, stop: Stop, at_ms: int) -> Recorded | Contradiction:
    """Write what was read or streamed of a stop of ours (by its client id)."""
    return _hear(connection, stop.client_id, partial(of_stop, stop), at_ms)


def resolve(
    connection: Connection,
    client_id: str,
    heard: Heard,
    *,
    detail: str,
    at_ms: int,
    exchange_id: str = "",
    filled: Decimal = ZERO,
    average_price: Decimal = ZERO,
) -> Recorded | Contradiction:
    """Write news that somebody else has proven, for example `PROVEN_DEAD`. Raises `UnknownIntent`."""
    news = News(heard, detail=detail, exchange_id=exchange_id, filled=filled, average_price=average_price)
    return _hear(connection, client_id, lambda _intent: news, at_ms)


def forget_unsent(connection: Connection, account_id: str, at_ms: int) -> tuple[Journaled, ...]:
    """On start: what was being sent when the process ended is Unknown. Returns all open intents."""
    detail = "the process ended before an outcome was recorded"
    for journaled in open_intents(connection, account_id):
        if journaled.state is OrderState.SENDING:
            resolve(connection, journaled.client_id, Heard.NO_ANSWER, detail=detail, at_ms=at_ms)
    return open_intents(connection, account_id)


def _hear(
    connection: Connection, client_id: str, news_for: Callable[[Intent], News], at_ms: int
) -> Recorded | Contradiction:
    held, user_id = _held(connection, client_id)
    news = news_for(held.intent)
    state = after(held.state, news.heard)
    if state is None or _other_order(held, news):
        return _contradiction(connection, held, news, at_ms, user_id)
    changes = _changes(held, news, state, at_ms)
    if changes:
        where = intents.c.client_id == client_id
        connection.execute(update(intents).where(where).values(**changes, updated_ms=at_ms))
        details = {"before": held.state, "heard": news.heard, "news": news.detail} | changes
        _audit(connection, _event_type(held, news, state), held, _named(held, details), at_ms, user_id)
    # The changes are fields of Journaled by the same names.
    return Recorded(journaled=replace(held, **changes), before=held.state)


def _contradiction(
    connection: Connection, held: Journaled, news: News, at_ms: int, user_id: str
) -> Contradiction:
    detail = f"{news.detail} (exchange id {news.exchange_id or 'none'}, held {held.exchange_id or 'none'})"
    details: dict[str, object] = {"held": held.state, "heard": news.heard, "detail": detail}
    _audit(connection, "INTENT_CONTRADICTED", held, _named(held, details), at_ms, user_id)
    return Contradiction(journaled=held, heard=news.heard, detail=detail)


def _other_order(held: Journaled, news: News) -> bool:
    """The exchange never gives one client id's order a second id of its own."""
    return bool(held.exchange_id and news.exchange_id and held.exchange_id != news.exchange_id)


def _changes(held: Journaled, news: News, state: OrderState, at_ms: int) -> dict[str, Any]:
    """The columns that the news changes. What is known never gets less: late news adds nothing."""
    changes: dict[str, Any] = {}
    if state is not held.state:
        changes |= {"state": state, "detail": clean(news.detail)}
    if held.open and state not in OPEN_STATES:
        changes["resolved_ms"] = at_ms
    if news.exchange_id and not held.exchange_id:
        changes["exchange_id"] = clean(news.exchange_id)
    if news.filled > held.filled:
        changes["filled"] = news.filled
    if news.average_price and (news.filled > held.filled or not held.average_price):
        changes["average_price"] = news.average_price
    return changes


# R4.5's words where it has one. Anything else is told by state.
_EVENTS = {
    OrderState.UNKNOWN: "ORDER_UNKNOWN",
    OrderState.WORKING: "ORDER_PLACED",
    OrderState.FILLED: "ORDER_FILLED",
    OrderState.CLOSED: "ORDER_CLOSED",
    OrderState.SENDING: "ORDER_CHANGED",
}


def _event_type(held: Journaled, news: News, state: OrderState) -> str:
    if news.heard is Heard.REJECT:
        return "ORDER_REJECTED"
    if state is held.state:
        return "ORDER_CHANGED"
    if held.intent.purpose in CANCELS and news.heard is Heard.CANCELLED:
        return "ORDER_CANCELLED"
    return _EVENTS[state]


def _named(held: Journaled, details: dict[str, Any]) -> dict[str, Any]:
    intent = held.intent
    # R4.5 asks for a count beside the symbol; one request cancels one order.
    named = {"client_id": held.client_id, "purpose": intent.purpose, "symbol": intent.symbol, "count": 1}
    return named | {"side": intent.side, "quantity": intent.quantity} | details


def _audit(
    connection: Connection,
    event_type: str,
    journaled: Journaled,
    details: dict[str, Any],
    at_ms: int,
    user_id: str,
) -> None:
    correlation_id = journaled.intent.correlation_id
    owner = journaled.account_id
    audit.append(connection, event_type, correlation_id, details, at_ms, account_id=owner, user_id=user_id)


# --- reading -------------------------------------------------------------------------------------


def find(connection: Connection, client_id: str) -> Journaled | None:
    row = connection.execute(select(intents).where(intents.c.client_id == client_id)).mappings().first()
    return _journaled(row) if row is not None else None


def is_ours(connection: Connection, account_id: str, client_id: str) -> bool:
    """The journal knows an intent of this account by that client id (R0.4)."""
    query = select(intents.c.client_id).where(_on(account_id), intents.c.client_id == client_id)
    return connection.execute(query).first() is not None


def open_intents(connection: Connection, account_id: str) -> tuple[Journaled, ...]:
    """All that may still have an effect, oldest first."""
    return _select(connection, _on(account_id), intents.c.state.in_(OPEN_STATES))


def unbooked_entries(connection: Connection, account_id: str) -> tuple[Journaled, ...]:
    """Filled entries that the books tell nothing of, oldest first: the run that sent them had ended.

    A life that was opened later on the same symbol shows that the entry was known; so only what was signed
    since the last one is looked at, however long the journal is.
    """
    columns, found = trades.c, list[Journaled]()
    lives = select(columns.symbol, func.max(columns.opened_ms)).where(columns.account_id == account_id)
    opened = dict(connection.execute(lives.group_by(columns.symbol)).tuples().all())
    for symbol in _symbols(connection, account_id):
        late = intents.c.signed_ms > opened.get(symbol, 0)
        over = intents.c.state.not_in(OPEN_STATES)
        entries = intents.c.purpose.in_(RISK_RAISING)
        found += _select(connection, _on(account_id), intents.c.symbol == symbol, late, over, entries)
    unbooked = [each for each in found if each.filled > 0 and not _booked(connection, each)]
    return tuple(sorted(unbooked, key=lambda each: (each.signed_ms, each.client_id)))


def _symbols(connection: Connection, account_id: str) -> list[Symbol]:
    """Of all its intents, each looked for behind the one before: not a row of the journal is read."""
    found = list[Symbol]()
    query = select(intents.c.symbol).where(_on(account_id)).order_by(intents.c.symbol).limit(1)
    while (
        symbol := connection.execute(query.where(intents.c.symbol > found[-1]) if found else query).scalar()
    ) is not None:
        found.append(symbol)
    return found


def _booked(connection: Connection, entry: Journaled) -> bool:
    """By its own name, though the clock was set between its signature and its booking."""
    query = select(trades.c.id).where(
        trades.c.account_id == entry.account_id, trades.c.entry_client_id == entry.client_id
    )
    return connection.execute(query.limit(1)).first() is not None


def intents_of(
    connection: Connection, account_id: str, symbol: Symbol, *, since_ms: int = 0
) -> tuple[Journaled, ...]:
    """All intents on *symbol* signed at or after *since_ms*, oldest first."""
    return _select(connection, _on(account_id), intents.c.symbol == symbol, intents.c.signed_ms >= since_ms)


def by_exchange_id(connection: Connection, account_id: str, exchange_id: str) -> Journaled | None:
    """The entry, close or stop that became this order; a trade list need not carry client ids."""
    made_one = intents.c.purpose.not_in(CANCELS)
    found = _select(connection, _on(account_id), intents.c.exchange_id == exchange_id, made_one)
    return found[0] if found and exchange_id else None


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> tuple[Journaled, ...]:
    query = select(intents).where(*conditions).order_by(intents.c.signed_ms, intents.c.client_id)
    return tuple(_journaled(row) for row in connection.execute(query).mappings())


def _held(connection: Connection, client_id: str) -> tuple[Journaled, str]:
    """The intent and its user id, locked until the transaction ends."""
    row = connection.execute(_HELD, {"wanted": client_id}).mappings().first()
    if row is None:
        raise UnknownIntent(f"journal: expected an intent with client id {client_id!r}, found none")
    return _journaled(row), row["user_id"]


def _row(journaled: Journaled) -> dict[str, object]:
    row = values_of(journaled)
    return row | values_of(row.pop("intent"))


def _journaled(row: RowMapping) -> Journaled:
    return made_from(Journaled, row, intent=made_from(Intent, row))


__all__ = [
    "OPEN_STATES",
    "UNPROVEN_STATES",
    "Contradiction",
    "Recorded",
    "by_exchange_id",
    "find",
    "forget_unsent",
    "intents_of",
    "is_ours",
    "open_intents",
    "record_order",
    "record_outcome",
    "record_stop",
    "refusals",
    "resolve",
    "unbooked_entries",
    "write_ahead",
]
