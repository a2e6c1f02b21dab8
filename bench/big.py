"""A store as years leave it: many lives that are over, with their requests, executions and audit events."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Insert, insert, text

from holdfast.domain.intents import Intent, Journaled, Purpose
from holdfast.domain.orders import ClientOrderId, Direction, Fill, OrderState, PositionSide, Side
from holdfast.domain.symbol import Symbol
from holdfast.store import audit
from holdfast.store.books import Trade
from holdfast.store.database import Store
from holdfast.store.rows import values_of
from holdfast.store.schema import fills, intents, trades
from holdfast.store.words import TradeStatus

ACCOUNT = "bench"
SYMBOLS = 20
EVERY_MS = 600_000
"""One life every ten minutes."""
ROWS_PER_LIFE = 11
ANY = Symbol.parse("BTC/USDT")
SIZE, PRICE = Decimal("0.01"), Decimal(60_000)
OWNED: dict[str, Any] = {"account_id": ACCOUNT, "user_id": ""}


def grow(store: Store, lives: int, first_ms: int) -> None:
    """Add *lives*, the first opened at *first_ms* (SQLite only, once per store): of each a trade, an entry, a
    stop, two executions, six audit events. Quicker than by a bot; the audit's hashes are no chain."""
    store.write(lambda c: _grow(c, lives, first_ms))


def _grow(connection: Connection, lives: int, first_ms: int) -> None:
    at_ms = f"{first_ms} + n * {EVERY_MS}"
    symbol = f"'S' || (n % {SYMBOLS}) || '/USDT:USDT'"
    life = {
        "symbol": symbol,
        "opened_ms": at_ms,
        "closed_ms": f"{at_ms} + 60000",
        "entry_client_id": "'e' || n",
    }
    _copies(connection, insert(trades).values(_trade()), life, lives)
    request = {"symbol": symbol, "signed_ms": at_ms}
    for kind, purpose in (("e", Purpose.ENTER), ("s", Purpose.PLACE_STOP)):
        named = {"client_id": f"'{kind}' || n", "exchange_id": f"'{kind}x' || n"}
        _copies(connection, insert(intents).values(_request(f"{kind}0", purpose)), request | named, lives)
    told = {"trade_id": "'t' || n", "symbol": symbol, "at_ms": f"{first_ms} + n * {EVERY_MS // 2}"}
    _copies(connection, insert(fills).values(_fill()), told, 2 * lives)
    audit.append(connection, "GROWN", "", {"of": "a life"}, first_ms, account_id=ACCOUNT)
    head, _ = audit.head(connection)
    _copies(connection, None, {"seq": f"{head} + n", "hash": "'h' || n"}, 6 * lives, table="audit")


def _trade() -> dict[str, Any]:
    made = Trade(
        account_id=ACCOUNT,
        symbol=ANY,
        side=Direction.LONG,
        strategy="bench",
        opened_ms=1,
        entry_price=PRICE,
        quantity=SIZE,
    )
    row = values_of(made) | OWNED | {"status": TradeStatus.CLOSED, "realized_pnl": Decimal("1.5")}
    del row["id"]
    return row


def _request(client_id: str, purpose: Purpose) -> dict[str, Any]:
    made = Journaled(
        intent=Intent(purpose=purpose, symbol=ANY, side=Side.BUY, quantity=SIZE),
        client_id=ClientOrderId(client_id),
        account_id=ACCOUNT,
        signed_ms=1,
        window_ms=5_000,
        state=OrderState.FILLED,
        filled=SIZE,
    )
    row = values_of(made)
    return row | values_of(row.pop("intent")) | OWNED | {"updated_ms": 0, "lease_epoch": 1}


def _fill() -> dict[str, Any]:
    made = Fill(
        symbol=ANY,
        trade_id="t0",
        order_id="77",
        client_id="e0",
        side=Side.BUY,
        position_side=PositionSide.BOTH,
        price=PRICE,
        quantity=SIZE,
        fee=Decimal(0),
        fee_currency="USDT",
        realized_pnl=Decimal(0),
        maker=False,
        at_ms=1,
    )
    return values_of(made) | OWNED | {"recorded_ms": 0}


def _copies(
    connection: Connection, first: Insert | None, changes: dict[str, str], count: int, table: str = ""
) -> None:
    """Copies 1 … *count* of what *first* inserts (or of the newest row), some columns by formulas of n."""
    if first is not None:
        connection.execute(first)
        table = first.table.name
    names = [row[1] for row in connection.execute(text(f"PRAGMA table_info({table})")) if row[1] != "id"]
    numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
    picked = ", ".join(f"({changes[name]})" if name in changes else f'"{name}"' for name in names)
    named = ", ".join(f'"{name}"' for name in names)
    newest = f"(SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1)"
    connection.execute(
        text(f"INSERT INTO {table} ({named}) {numbers} SELECT {picked} FROM numbers, {newest}")
    )
