"""The first schema: journal, books, flags, operator state, audit chain, flight recorder."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Spelled out here rather than imported: a migration never changes with the program.
TEXT = sa.Text()
MILLIS = sa.BigInteger()
YES_NO = sa.Boolean()
EXACT = sa.Text().with_variant(sa.Numeric(), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def needed(name: str, kind: Any, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, **more)


def optional(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=True)


def _audit() -> None:
    op.create_table(
        "audit",
        needed("seq", ROW_ID, autoincrement=False),
        needed("timestamp_ms", MILLIS),
        needed("event_type", TEXT),
        needed("correlation_id", TEXT),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("details", TEXT),
        needed("prev", TEXT),
        needed("hash", TEXT),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
    )
    op.create_index("ix_audit_correlation_id", "audit", ["correlation_id"], unique=False)
    op.create_index("ix_audit_event_type_seq", "audit", ["event_type", "seq"], unique=False)


def _decisions() -> None:
    op.create_table(
        "decisions",
        needed("id", ROW_ID, autoincrement=True),
        needed("at_ms", MILLIS),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("correlation_id", TEXT),
        needed("facts", sa.LargeBinary()),
        needed("verdict", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_account_id_at_ms", "decisions", ["account_id", "at_ms"], unique=False)


def _equity_snapshots() -> None:
    op.create_table(
        "equity_snapshots",
        needed("id", ROW_ID, autoincrement=True),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("at_ms", MILLIS),
        needed("cause", TEXT),
        needed("currency", TEXT),
        needed("wallet", EXACT),
        needed("equity", EXACT),
        needed("available", EXACT),
        needed("transferred", EXACT),
        needed("peak", EXACT),
        sa.PrimaryKeyConstraint("id", name="pk_equity_snapshots"),
    )
    op.create_index(
        "ix_equity_snapshots_account_id_at_ms", "equity_snapshots", ["account_id", "at_ms"], unique=False
    )


def _fills() -> None:
    op.create_table(
        "fills",
        needed("id", ROW_ID, autoincrement=True),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("symbol", TEXT),
        needed("trade_id", TEXT),
        needed("order_id", TEXT),
        needed("client_id", TEXT),
        needed("side", TEXT),
        needed("position_side", TEXT),
        needed("price", EXACT),
        needed("quantity", EXACT),
        needed("fee", EXACT),
        needed("fee_currency", TEXT),
        needed("realized_pnl", EXACT),
        needed("maker", YES_NO),
        needed("at_ms", MILLIS),
        needed("recorded_ms", MILLIS),
        sa.PrimaryKeyConstraint("id", name="pk_fills"),
        sa.UniqueConstraint("account_id", "symbol", "trade_id", name="uq_fills_account_id_symbol_trade_id"),
    )
    op.create_index("ix_fills_account_id_order_id", "fills", ["account_id", "order_id"], unique=False)
    op.create_index(
        "ix_fills_account_id_symbol_at_ms", "fills", ["account_id", "symbol", "at_ms"], unique=False
    )


def _intents() -> None:
    op.create_table(
        "intents",
        needed("client_id", TEXT),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("purpose", TEXT),
        needed("symbol", TEXT),
        needed("side", TEXT),
        needed("position_side", TEXT),
        needed("quantity", EXACT),
        needed("type", TEXT),
        needed("time_in_force", TEXT),
        optional("price", EXACT),
        optional("trigger_price", EXACT),
        needed("trigger_source", TEXT),
        needed("close_position", YES_NO),
        needed("reduce_only", YES_NO),
        needed("target_id", TEXT),
        needed("target_client_id", TEXT),
        needed("priority", TEXT),
        needed("reason", TEXT),
        needed("correlation_id", TEXT),
        optional("stop_price", EXACT),
        optional("take_profit", EXACT),
        needed("strategy", TEXT),
        needed("signed_ms", MILLIS),
        needed("window_ms", MILLIS),
        needed("state", TEXT),
        needed("exchange_id", TEXT),
        needed("filled", EXACT),
        needed("average_price", EXACT),
        needed("detail", TEXT),
        needed("resolved_ms", MILLIS),
        needed("updated_ms", MILLIS),
        needed("lease_epoch", ROW_ID),
        sa.PrimaryKeyConstraint("client_id", name="pk_intents"),
    )
    op.create_index(
        "ix_intents_account_id_exchange_id", "intents", ["account_id", "exchange_id"], unique=False
    )
    op.create_index("ix_intents_account_id_state", "intents", ["account_id", "state"], unique=False)
    op.create_index(
        "ix_intents_account_id_symbol_signed_ms",
        "intents",
        ["account_id", "symbol", "signed_ms"],
        unique=False,
    )


def _leases() -> None:
    op.create_table(
        "leases",
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("epoch", ROW_ID),
        needed("holder", TEXT),
        needed("taken_ms", MILLIS),
        sa.PrimaryKeyConstraint("account_id", name="pk_leases"),
    )


def _meta() -> None:
    op.create_table(
        "meta",
        needed("key", TEXT),
        needed("value", TEXT),
        needed("updated_ms", MILLIS),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )


def _operator_state() -> None:
    op.create_table(
        "operator_state",
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("state", TEXT),
        needed("state_who", TEXT),
        needed("state_why", TEXT),
        needed("state_ms", MILLIS),
        needed("mode", TEXT),
        needed("mode_who", TEXT),
        needed("mode_why", TEXT),
        needed("mode_ms", MILLIS),
        sa.PrimaryKeyConstraint("account_id", name="pk_operator_state"),
    )


def _risk_flags() -> None:
    op.create_table(
        "risk_flags",
        needed("flag", TEXT),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("exchange", TEXT),
        needed("value", sa.Integer()),
        needed("detail", TEXT),
        needed("updated_ms", MILLIS),
        sa.PrimaryKeyConstraint("flag", "account_id", name="pk_risk_flags"),
    )


def _trades() -> None:
    op.create_table(
        "trades",
        needed("id", ROW_ID, autoincrement=True),
        needed("account_id", TEXT),
        needed("user_id", TEXT),
        needed("symbol", TEXT),
        needed("side", TEXT),
        needed("strategy", TEXT),
        needed("status", TEXT),
        needed("opened_ms", MILLIS),
        needed("entry_client_id", TEXT),
        needed("entry_price", EXACT),
        needed("entry_quantity", EXACT),
        needed("quantity", EXACT),
        needed("order_type", TEXT),
        needed("time_in_force", TEXT),
        needed("post_only", YES_NO),
        needed("reduce_only", YES_NO),
        optional("order_price", EXACT),
        needed("order_quantity", EXACT),
        needed("leverage", sa.Integer()),
        optional("stop_price", EXACT),
        optional("take_profit", EXACT),
        needed("protected_since_ms", MILLIS),
        needed("exit_client_id", TEXT),
        needed("exit_reason", TEXT),
        needed("exit_cause", TEXT),
        optional("exit_price", EXACT),
        needed("exit_estimated", YES_NO),
        needed("closed_ms", MILLIS),
        needed("realized_pnl", EXACT),
        needed("fees", EXACT),
        needed("funding", EXACT),
        needed("adopted", YES_NO),
        needed("correlation_id", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_trades"),
    )
    op.create_index("ix_trades_account_id_status", "trades", ["account_id", "status"], unique=False)
    op.create_index("ix_trades_exit_reason_closed_ms", "trades", ["exit_reason", "closed_ms"], unique=False)
    op.create_index(
        "uq_trades_open",
        "trades",
        ["account_id", "symbol", "side"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )


def _user_exchange_keys() -> None:
    op.create_table(
        "user_exchange_keys",
        needed("id", ROW_ID, autoincrement=True),
        needed("user_id", TEXT),
        needed("account_id", TEXT),
        needed("exchange_name", TEXT),
        needed("is_active", YES_NO),
        needed("created_ms", MILLIS),
        needed("updated_ms", MILLIS),
        sa.PrimaryKeyConstraint("id", name="pk_user_exchange_keys"),
        sa.UniqueConstraint(
            "user_id",
            "exchange_name",
            "account_id",
            name="uq_user_exchange_keys_user_id_exchange_name_account_id",
        ),
    )


def upgrade() -> None:
    for make in (
        _audit,
        _decisions,
        _equity_snapshots,
        _fills,
        _intents,
        _leases,
        _meta,
        _operator_state,
        _risk_flags,
        _trades,
        _user_exchange_keys,
    ):
        make()


def downgrade() -> None:
    for table in (
        "user_exchange_keys",
        "trades",
        "risk_flags",
        "operator_state",
        "meta",
        "leases",
        "intents",
        "fills",
        "equity_snapshots",
        "decisions",
        "audit",
    ):
        op.drop_table(table)
