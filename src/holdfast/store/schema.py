"""The tables. Every one carries account_id and user_id where a row can belong to somebody.

An empty account_id means the whole bot; an empty user_id the operator of the installation. Times
are UTC milliseconds, 0 = never. Amounts are exact Decimals in quote currency unless said.
A change here needs a migration in `migrations/versions/`: a test compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from holdfast.decisions.gate import Mode, OperatorState
from holdfast.domain.intents import Priority, Purpose
from holdfast.domain.orders import (
    Direction,
    OrderState,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
    TriggerSource,
)
from holdfast.store.types import ExactDecimal, RowId, SymbolText, UtcMillis, Word
from holdfast.store.words import TradeStatus

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

intents = Table(
    "intents",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    # The intent, field by field as in domain.intents.Intent.
    Column("purpose", Word(Purpose), nullable=False),
    Column("symbol", SymbolText, nullable=False),
    Column("side", Word(Side), nullable=False),
    Column("position_side", Word(PositionSide), nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("type", Word(OrderType), nullable=False),
    Column("time_in_force", Word(TimeInForce), nullable=False),
    Column("price", ExactDecimal),
    Column("trigger_price", ExactDecimal),
    Column("trigger_source", Word(TriggerSource), nullable=False),
    Column("close_position", Boolean, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("target_id", Text, nullable=False),
    Column("target_client_id", Text, nullable=False),
    Column("priority", Word(Priority), nullable=False),
    Column("reason", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("stop_price", ExactDecimal),
    Column("take_profit", ExactDecimal),
    Column("strategy", Text, nullable=False),
    # What became of it, as in domain.intents.Journaled.
    Column("signed_ms", UtcMillis, nullable=False),
    Column("window_ms", UtcMillis, nullable=False),
    Column("state", Word(OrderState), nullable=False),
    Column("exchange_id", Text, nullable=False),
    Column("filled", ExactDecimal, nullable=False),
    Column("average_price", ExactDecimal, nullable=False),
    Column("detail", Text, nullable=False),
    Column("resolved_ms", UtcMillis, nullable=False),
    Column("updated_ms", UtcMillis, nullable=False),
    Column("lease_epoch", RowId, nullable=False),
    Index(None, "account_id", "state"),
    Index(None, "account_id", "symbol", "signed_ms"),
    Index(None, "account_id", "exchange_id"),
)

trades = Table(
    "trades",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("symbol", SymbolText, nullable=False),
    Column("side", Word(Direction), nullable=False),
    Column("position_side", Word(PositionSide), nullable=False, server_default=PositionSide.BOTH.value),
    Column("strategy", Text, nullable=False),
    Column("status", Word(TradeStatus), nullable=False),
    Column("opened_ms", UtcMillis, nullable=False),
    Column("entry_client_id", Text, nullable=False),
    Column("entry_price", ExactDecimal, nullable=False),
    Column("entry_quantity", ExactDecimal, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    # How the entry was ordered (R1.10).
    Column("order_type", Word(OrderType), nullable=False),
    Column("time_in_force", Word(TimeInForce), nullable=False),
    Column("post_only", Boolean, nullable=False),
    Column("reduce_only", Boolean, nullable=False),
    Column("order_price", ExactDecimal),
    Column("order_quantity", ExactDecimal, nullable=False),
    Column("leverage", Integer, nullable=False),
    Column("stop_price", ExactDecimal),
    Column("take_profit", ExactDecimal),
    Column("protected_since_ms", UtcMillis, nullable=False),
    Column("exit_client_id", Text, nullable=False),
    Column("exit_reason", Text, nullable=False),
    Column("exit_cause", Text, nullable=False),
    Column("exit_price", ExactDecimal),
    Column("exit_estimated", Boolean, nullable=False),
    Column("closed_ms", UtcMillis, nullable=False),
    Column("realized_pnl", ExactDecimal, nullable=False),
    Column("fees", ExactDecimal, nullable=False),
    Column("funding", ExactDecimal, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Index(None, "account_id", "status"),
    Index(None, "exit_reason", "closed_ms"),
)
Index(
    "uq_trades_open",
    trades.c.account_id,
    trades.c.symbol,
    trades.c.side,
    trades.c.position_side,
    unique=True,
    sqlite_where=text("status = 'open'"),
    postgresql_where=text("status = 'open'"),
)

fills = Table(
    "fills",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("symbol", SymbolText, nullable=False),
    Column("trade_id", Text, nullable=False),
    Column("order_id", Text, nullable=False),
    Column("client_id", Text, nullable=False),
    Column("side", Word(Side), nullable=False),
    Column("position_side", Word(PositionSide), nullable=False),
    Column("price", ExactDecimal, nullable=False),
    Column("quantity", ExactDecimal, nullable=False),
    Column("fee", ExactDecimal, nullable=False),
    Column("fee_currency", Text, nullable=False),
    Column("realized_pnl", ExactDecimal, nullable=False),
    Column("maker", Boolean, nullable=False),
    Column("at_ms", UtcMillis, nullable=False),
    Column("recorded_ms", UtcMillis, nullable=False),
    UniqueConstraint("account_id", "symbol", "trade_id"),
    Index(None, "account_id", "symbol", "at_ms"),
    Index(None, "account_id", "order_id"),
)

equity_snapshots = Table(
    "equity_snapshots",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("at_ms", UtcMillis, nullable=False),
    Column("cause", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("wallet", ExactDecimal, nullable=False),
    Column("equity", ExactDecimal, nullable=False),
    Column("available", ExactDecimal, nullable=False),
    Column("transferred", ExactDecimal, nullable=False),
    Column("peak", ExactDecimal, nullable=False),
    Column("day_start", ExactDecimal, nullable=False, server_default="0"),
    Index(None, "account_id", "at_ms"),
)

risk_flags = Table(
    "risk_flags",
    metadata,
    Column("flag", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("value", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("updated_ms", UtcMillis, nullable=False),
)

operator_state = Table(
    "operator_state",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("state", Word(OperatorState), nullable=False),
    Column("state_who", Text, nullable=False),
    Column("state_why", Text, nullable=False),
    Column("state_ms", UtcMillis, nullable=False),
    Column("mode", Word(Mode), nullable=False),
    Column("mode_who", Text, nullable=False),
    Column("mode_why", Text, nullable=False),
    Column("mode_ms", UtcMillis, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("epoch", RowId, nullable=False),
    Column("holder", Text, nullable=False),
    Column("host", Text, nullable=False, server_default=text("''")),
    Column("taken_ms", UtcMillis, nullable=False),
    Column("until_ms", UtcMillis, nullable=False, server_default="0"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", RowId, primary_key=True, autoincrement=False),
    Column("timestamp_ms", UtcMillis, nullable=False),
    Column("event_type", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    # For queries only; the hash covers the account_id within details.
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("prev", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index(None, "correlation_id"),
    Index(None, "event_type", "seq"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at_ms", UtcMillis, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    Column("verdict", Text, nullable=False),
    Index(None, "account_id", "at_ms"),
)

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_ms", UtcMillis, nullable=False),
)

user_exchange_keys = Table(
    "user_exchange_keys",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("user_id", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("exchange_name", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("created_ms", UtcMillis, nullable=False),
    Column("updated_ms", UtcMillis, nullable=False),
    UniqueConstraint("user_id", "exchange_name", "account_id"),
)
