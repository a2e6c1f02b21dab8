"""The books: one row per life of a position of ours, and every fill once (R1.10, R3.2).

A life is `open`, then `closed`; between them `exit_pending` while the position is known to be gone
but its true exit has not been read. Nothing here asks the exchange: who calls has the evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Connection, exc, insert, select, update

from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, Fill, OrderType, PositionSide, TimeInForce
from holdfast.domain.symbol import Symbol
from holdfast.store import audit
from holdfast.store.canonical import clean
from holdfast.store.errors import StoreError
from holdfast.store.rows import insert_if_absent, made_from, values_of
from holdfast.store.schema import fills as fills_table
from holdfast.store.schema import trades as trades_table
from holdfast.store.words import TradeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """A position's life. *quantity* is what is held now, *entry_quantity* the most that was; base, unsigned.

    *realized_pnl* is in quote, before *fees* (positive = paid) and *funding* (positive = received).
    *protected_since_ms* 0 = no stop is known to stand. *exit_price* None = not known (yet).
    """

    id: int = 0
    account_id: str
    user_id: str = ""
    symbol: Symbol
    side: Direction
    position_side: PositionSide = PositionSide.BOTH
    """Hedge mode: which of the symbol's two positions it is."""
    strategy: str = ""
    status: TradeStatus = TradeStatus.OPEN
    opened_ms: int
    entry_client_id: str = ""
    entry_price: Decimal
    entry_quantity: Decimal = ZERO
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    order_price: Decimal | None = None
    order_quantity: Decimal = ZERO
    leverage: int = 0
    stop_price: Decimal | None = None
    take_profit: Decimal | None = None
    protected_since_ms: int = 0
    exit_client_id: str = ""
    exit_reason: str = ""
    exit_cause: str = ""
    exit_price: Decimal | None = None
    exit_estimated: bool = False
    closed_ms: int = 0
    realized_pnl: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    adopted: bool = False
    correlation_id: str = ""

    @property
    def net_pnl(self) -> Decimal:
        """What the life brought, in quote, all costs paid."""
        return self.realized_pnl - self.fees + self.funding


class NoSuchTrade(StoreError):
    """The books hold no such trade, or not in the state that the change asks for."""


class TradeOpenAlready(StoreError):
    """The books hold an open trade of that account, symbol, side and position side."""


# --- changing ------------------------------------------------------------------------------------


def open_trade(connection: Connection, trade: Trade) -> Trade:
    """Write a new life; returns it with its id. Raises `TradeOpenAlready`."""
    whole = replace(trade, entry_quantity=max(trade.entry_quantity, trade.quantity))
    row = {name: value for name, value in values_of(whole).items() if name != "id"}
    try:
        with connection.begin_nested():
            made = connection.execute(insert(trades_table).values(**row))
    except exc.IntegrityError as error:
        what = f"{trade.account_id} {trade.symbol} {trade.side} ({trade.position_side})"
        raise TradeOpenAlready(f"books: expected no open trade of {what}, found one") from error
    key = made.inserted_primary_key
    opened = replace(whole, id=key[0] if key else 0)
    _audit(connection, "POSITION_OPENED", opened, _opened_facts(opened), opened.opened_ms)
    return opened


def _opened_facts(trade: Trade) -> dict[str, Any]:
    names = ("side", "quantity", "entry_price", "strategy", "stop_price", "entry_client_id", "adopted")
    return {name: getattr(trade, name) for name in names}


def protect_trade(
    connection: Connection, trade_id: int, *, stop_price: Decimal | None, since_ms: int, at_ms: int
) -> Trade:
    """A stop is known to stand since *since_ms*; None and 0 = none is. Raises `NoSuchTrade`."""
    changes = {"stop_price": stop_price, "protected_since_ms": since_ms}
    event = "POSITION_PROTECTED" if since_ms else "POSITION_UNPROTECTED"
    return _change(connection, trade_id, changes, event, at_ms, (TradeStatus.OPEN,))


def resize_trade(
    connection: Connection,
    trade_id: int,
    *,
    quantity: Decimal,
    at_ms: int,
    entry_price: Decimal | None = None,
    realized_pnl: Decimal | None = None,
    fees: Decimal | None = None,
) -> Trade:
    """The position is of another size now (more filled, or partly reduced); None = unchanged.

    *realized_pnl* and *fees* are the totals so far. Raises `NoSuchTrade`.
    """
    held = get_trade(connection, trade_id)
    given = {"entry_price": entry_price, "realized_pnl": realized_pnl, "fees": fees}
    changes = {"quantity": quantity, "entry_quantity": max(held.entry_quantity, quantity)}
    changes |= {name: value for name, value in given.items() if value is not None}
    return _change(connection, trade_id, changes, "POSITION_RESIZED", at_ms, (TradeStatus.OPEN,))


def leave_trade(connection: Connection, trade_id: int, *, reason: str, at_ms: int) -> Trade:
    """It is decided to close the position, and why; it stays open until it is gone. Raises `NoSuchTrade`."""
    held = get_trade(connection, trade_id)
    if held.status is not TradeStatus.OPEN:
        raise NoSuchTrade(f"books: expected trade {trade_id} to be open, found {held.status}")
    left = replace(held, exit_reason=clean(reason))
    this = trades_table.c.id == trade_id
    connection.execute(update(trades_table).where(this).values(exit_reason=left.exit_reason))
    _audit(connection, "CLOSE_DECIDED", held, {"reason": reason}, at_ms)
    return left


def close_trade(
    connection: Connection,
    trade_id: int,
    *,
    exit_reason: str,
    at_ms: int,
    exit_cause: str = "",
    exit_price: Decimal | None = None,
    exit_estimated: bool = False,
    exit_client_id: str = "",
    realized_pnl: Decimal | None = None,
    fees: Decimal | None = None,
    funding: Decimal | None = None,
) -> Trade:
    """The position is gone. Without an exit price the life is `exit_pending` until `correct_exit`.

    *realized_pnl*, *fees*, *funding* are totals over the whole life, None = as they stand. An
    estimated price closes the life, and is to be corrected too (R3.2). Raises `NoSuchTrade`.
    """
    status = TradeStatus.EXIT_PENDING if exit_price is None else TradeStatus.CLOSED
    given = {"realized_pnl": realized_pnl, "fees": fees, "funding": funding}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"status": status, "closed_ms": at_ms, "quantity": ZERO, "protected_since_ms": 0}
    changes |= {"exit_reason": clean(exit_reason), "exit_cause": clean(exit_cause), "exit_price": exit_price}
    changes |= {"exit_estimated": exit_estimated, "exit_client_id": clean(exit_client_id)}
    return _change(connection, trade_id, changes, "POSITION_CLOSED", at_ms, (TradeStatus.OPEN,))


def correct_exit(
    connection: Connection,
    trade_id: int,
    *,
    exit_price: Decimal,
    realized_pnl: Decimal,
    fees: Decimal,
    at_ms: int,
    funding: Decimal | None = None,
    exit_cause: str | None = None,
    closed_ms: int | None = None,
) -> Trade:
    """The exit's fills came late: these are the true figures, totals over the whole life (R3.2).

    Raises `NoSuchTrade` when the trade is still open.
    """
    given = {"funding": funding, "exit_cause": exit_cause, "closed_ms": closed_ms}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {"status": TradeStatus.CLOSED, "exit_price": exit_price, "exit_estimated": False}
    changes |= {"realized_pnl": realized_pnl, "fees": fees}
    gone = (TradeStatus.EXIT_PENDING, TradeStatus.CLOSED)
    return _change(connection, trade_id, changes, "EXIT_CORRECTED", at_ms, gone)


def _change(
    connection: Connection,
    trade_id: int,
    changes: Mapping[str, Any],
    event: str,
    at_ms: int,
    allowed: tuple[TradeStatus, ...],
) -> Trade:
    held = get_trade(connection, trade_id)
    if held.status not in allowed:
        raise NoSuchTrade(
            f"books: expected trade {trade_id} to be {' or '.join(allowed)}, found {held.status}"
        )
    new = {name: value for name, value in changes.items() if getattr(held, name) != value}
    if not new:
        return held
    connection.execute(update(trades_table).where(trades_table.c.id == trade_id).values(**new))
    _audit(connection, event, held, new, at_ms)
    return replace(held, **new)


def _audit(connection: Connection, event: str, trade: Trade, facts: Mapping[str, Any], at_ms: int) -> None:
    details = {"trade": trade.id, "symbol": trade.symbol, **facts}
    owner = {"account_id": trade.account_id, "user_id": trade.user_id}
    audit.append(connection, event, trade.correlation_id, details, at_ms, **owner)


# --- reading -------------------------------------------------------------------------------------


def get_trade(connection: Connection, trade_id: int) -> Trade:
    """Raises `NoSuchTrade`."""
    query = select(trades_table).where(trades_table.c.id == trade_id)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NoSuchTrade(f"books: expected trade {trade_id}, found none")
    return made_from(Trade, row)


def open_trades(connection: Connection, account_id: str) -> tuple[Trade, ...]:
    """What the books hold as positions of the account, oldest first."""
    return trades(connection, account_id=account_id, status=TradeStatus.OPEN)


def trades(
    connection: Connection,
    *,
    account_id: str | None = None,
    status: TradeStatus | None = None,
    symbol: Symbol | None = None,
    strategy: str | None = None,
    exit_reason: str | None = None,
    since_ms: int = 0,
    limit: int | None = None,
) -> tuple[Trade, ...]:
    """Lives opened at or after *since_ms*, oldest first; each filter applied unless None."""
    columns = trades_table.c
    wanted: tuple[tuple[ColumnElement[Any], Any], ...] = (
        (columns.account_id, account_id),
        (columns.status, status),
        (columns.symbol, symbol),
        (columns.strategy, strategy),
        (columns.exit_reason, exit_reason),
    )
    query = select(trades_table).where(columns.opened_ms >= since_ms).order_by(columns.id).limit(limit)
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    return tuple(made_from(Trade, row) for row in connection.execute(query).mappings())


def to_correct(connection: Connection, account_id: str) -> tuple[Trade, ...]:
    """Lives whose true exit is still to be read from the exchange's fills."""
    columns = trades_table.c
    missing = (columns.status == TradeStatus.EXIT_PENDING) | columns.exit_estimated
    query = select(trades_table).where(columns.account_id == account_id, missing).order_by(columns.id)
    return tuple(made_from(Trade, row) for row in connection.execute(query).mappings())


# --- fills ---------------------------------------------------------------------------------------


def add_fills(
    connection: Connection, account_id: str, fills: Iterable[Fill], at_ms: int, *, user_id: str = ""
) -> tuple[Fill, ...]:
    """Write each execution once; returns those that were new. Telling them again changes nothing."""
    owner = {"account_id": account_id, "user_id": user_id, "recorded_ms": at_ms}
    return tuple(fill for fill in fills if insert_if_absent(connection, fills_table, values_of(fill) | owner))


def fills_of(
    connection: Connection,
    account_id: str,
    symbol: Symbol,
    *,
    since_ms: int = 0,
    order_id: str | None = None,
) -> tuple[Fill, ...]:
    """Executions on *symbol* at or after *since_ms* (exchange time), oldest first."""
    columns = fills_table.c
    query = select(fills_table).where(columns.account_id == account_id, columns.symbol == symbol)
    query = query.where(columns.at_ms >= since_ms).order_by(columns.at_ms, columns.id)
    if order_id is not None:
        query = query.where(columns.order_id == order_id)
    return tuple(made_from(Fill, row) for row in connection.execute(query).mappings())


# --- statistics ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a strategy did. A life that brought exactly nothing is counted, but neither won nor lost."""

    count: int = 0
    wins: int = 0
    losses: int = 0
    net_pnl: Decimal = ZERO
    """In quote currency, fees and funding included."""

    @property
    def win_rate(self) -> Decimal | None:
        """wins / count in [0, 1]; None without history, never a made-up 0 (R5.2)."""
        return Decimal(self.wins) / self.count if self.count else None

    def plus(self, net: Decimal) -> Record:
        return Record(
            count=self.count + 1,
            wins=self.wins + (net > 0),
            losses=self.losses + (net < 0),
            net_pnl=self.net_pnl + net,
        )


def records(connection: Connection, *, account_id: str | None = None, since_ms: int = 0) -> dict[str, Record]:
    """Per strategy, over lives closed at or after *since_ms*; those whose exit is pending do not count."""
    columns = trades_table.c
    amounts = (columns.strategy, columns.realized_pnl, columns.fees, columns.funding)
    query = select(*amounts).where(columns.status == TradeStatus.CLOSED, columns.closed_ms >= since_ms)
    if account_id is not None:
        query = query.where(columns.account_id == account_id)
    found: dict[str, Record] = {}
    for row in connection.execute(query.order_by(columns.id)):
        net = row.realized_pnl - row.fees + row.funding
        found[row.strategy] = found.get(row.strategy, Record()).plus(net)
    return found


@dataclass(frozen=True, slots=True)
class Result:
    """What one closed life brought, net (quote currency)."""

    trade_id: int
    strategy: str
    net: Decimal


def results(connection: Connection, account_id: str, *, after_id: int, limit: int) -> tuple[Result, ...]:
    """Closed lives behind trade *after_id*, in the order of their ids, at most *limit*: years of them are
    read in pieces, between which others have their turn."""
    columns = trades_table.c
    amounts = (columns.id, columns.strategy, columns.realized_pnl, columns.fees, columns.funding)
    query = select(*amounts).where(
        columns.id > after_id, columns.account_id == account_id, columns.status == TradeStatus.CLOSED
    )
    rows = connection.execute(query.order_by(columns.id).limit(limit))
    return tuple(Result(row.id, row.strategy, row.realized_pnl - row.fees + row.funding) for row in rows)
