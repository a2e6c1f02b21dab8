"""What is committed, read past the bot: a connection of the checkers' own sees nothing else.

A row that this connection finds is durable in that very moment, whatever the bot has been told of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.account import PositionKey
from holdfast.domain.intents import Purpose
from holdfast.domain.numbers import ZERO
from holdfast.domain.orders import Direction, OrderState, PositionSide, Side
from holdfast.domain.symbol import Symbol

_INTENT = """
    SELECT client_id, purpose, symbol, side, position_side, quantity, reduce_only, close_position,
        state, correlation_id, filled
    FROM intents WHERE client_id = ?
"""
_OPEN_INTENTS = """
    SELECT client_id, purpose, symbol, side, position_side, quantity, reduce_only, close_position,
        state, correlation_id, filled
    FROM intents WHERE account_id = ? AND state IN ('sending', 'unknown', 'working')
"""
_INTENTS = """
    SELECT client_id, purpose, symbol, side, position_side, quantity, reduce_only, close_position,
        state, correlation_id, filled
    FROM intents
"""
_OPEN_TRADES = """
    SELECT id, symbol, side, position_side, quantity, strategy, adopted, entry_client_id
    FROM trades WHERE account_id = ? AND status = 'open' ORDER BY id
"""
_STANDING = "SELECT account_id, state, mode FROM operator_state WHERE account_id IN ('', ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentRow:
    """A journaled intent, as far as checkers look at it."""

    client_id: str
    purpose: Purpose
    symbol: Symbol
    side: Side
    position_side: PositionSide = PositionSide.BOTH
    quantity: Decimal
    reduce_only: bool = False
    close_position: bool = False
    state: OrderState = OrderState.SENDING
    correlation_id: str = ""
    filled: Decimal = ZERO

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.symbol, self.position_side)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRow:
    """An open position in the books; *quantity* unsigned."""

    id: int
    symbol: Symbol
    direction: Direction
    position_side: PositionSide = PositionSide.BOTH
    quantity: Decimal
    strategy: str = ""
    adopted: bool = False
    entry_client_id: str = ""

    @property
    def signed(self) -> Decimal:
        return self.quantity * self.direction.sign

    @property
    def key(self) -> PositionKey:
        return PositionKey(self.symbol, self.position_side)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the operator ordered and how far the bot stepped down, as a restart would find it."""

    operator: OperatorState = OperatorState.STOPPED
    mode: Mode = Mode.NORMAL

    @property
    def adds_risk(self) -> bool:
        return self.operator is OperatorState.RUNNING and self.mode is Mode.NORMAL


class Durable(Protocol):
    """The store as committed up to this moment."""

    def changed(self) -> bool:
        """Whether anything was committed since this was last asked."""
        ...

    def intent(self, client_id: str) -> IntentRow | None: ...

    def open_intents(self) -> Sequence[IntentRow]:
        """Those that may still have an effect."""
        ...

    def open_trades(self) -> Sequence[TradeRow]: ...

    def standing(self) -> Standing: ...


class SqliteDurable:
    """`Durable` over the bot's database file.

    Between two lives of the bot it does not hold the file open (an open reader would spare the next start
    the recovery that it has to do): it answers from what it read last.
    """

    def __init__(self, path: Path, account_id: str) -> None:
        self._path = path
        self._account_id = account_id
        self._connection: sqlite3.Connection | None = None
        self._version = -1
        self._intents: dict[str, IntentRow] = {}
        self._trades: tuple[TradeRow, ...] = ()
        self._standing = Standing()

    def open(self) -> None:
        """The bot has opened its database."""
        self.close()
        self._connection = _open(self._path)
        self._version = -1

    def close(self) -> None:
        """The bot closes its database, or dies: remember what is committed, and let go of the file."""
        if self._connection is None:
            return
        self._intents = {row[0]: _intent(row) for row in self._rows(_INTENTS)}
        self._trades, self._standing = tuple(self.open_trades()), self.standing()
        self._connection.close()
        self._connection = None

    def changed(self) -> bool:
        # Changes exactly when another connection committed.
        version = -1
        if self._connection is not None:
            version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        before, self._version = self._version, version
        return before != version

    def intent(self, client_id: str) -> IntentRow | None:
        if self._connection is None:
            return self._intents.get(client_id)
        rows = self._rows(_INTENT, client_id)
        return _intent(rows[0]) if rows else None

    def open_intents(self) -> Sequence[IntentRow]:
        if self._connection is None:
            return [row for row in self._intents.values() if row.state in OPEN]
        return [_intent(row) for row in self._rows(_OPEN_INTENTS, self._account_id)]

    def open_trades(self) -> Sequence[TradeRow]:
        if self._connection is None:
            return self._trades
        return [_trade(row) for row in self._rows(_OPEN_TRADES, self._account_id)]

    def standing(self) -> Standing:
        """The stricter of the account's own row and the whole bot's, as the bot itself reads it."""
        if self._connection is None:
            return self._standing
        rows = self._rows(_STANDING, self._account_id)
        states = [OperatorState(row[1]) for row in rows]
        if not any(row[0] == "" for row in rows):
            states.append(OperatorState.STOPPED)
        modes = [Mode(row[2]) for row in rows] or [Mode.NORMAL]
        return Standing(max(states, key=_STATES.index), max(modes, key=_MODES.index))

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        if self._connection is None:
            return []
        return self._connection.execute(query, values).fetchall()


OPEN = (OrderState.SENDING, OrderState.UNKNOWN, OrderState.WORKING)
_STATES = (OperatorState.RUNNING, OperatorState.STOPPED, OperatorState.KILLED)
_MODES = (Mode.NORMAL, Mode.REDUCE_ONLY, Mode.HALTED)


def _open(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def _symbol(text: str) -> Symbol:
    pair, _, settle = text.partition(":")
    base, _, quoted = pair.partition("/")
    return Symbol(base, quoted, settle)


def _intent(row: tuple[Any, ...]) -> IntentRow:
    return IntentRow(
        client_id=row[0],
        purpose=Purpose(row[1]),
        symbol=_symbol(row[2]),
        side=Side(row[3]),
        position_side=PositionSide(row[4]),
        quantity=Decimal(row[5]),
        reduce_only=bool(row[6]),
        close_position=bool(row[7]),
        state=OrderState(row[8]),
        correlation_id=row[9],
        filled=Decimal(row[10]),
    )


def _trade(row: tuple[Any, ...]) -> TradeRow:
    return TradeRow(
        id=row[0],
        symbol=_symbol(row[1]),
        direction=Direction(row[2]),
        position_side=PositionSide(row[3]),
        quantity=Decimal(row[4]),
        strategy=row[5],
        adopted=bool(row[6]),
        entry_client_id=row[7],
    )
