"""A trade says on which side of a hedged symbol it lives: its direction alone does not tell (G25)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

OPEN = sa.text("status = 'open'")
UNIQUE = "uq_trades_open"


def upgrade() -> None:
    # Until now all were written in one-way mode.
    op.add_column(
        "trades", sa.Column("position_side", sa.Text(), nullable=False, server_default=sa.text("'both'"))
    )
    _unique_over("account_id", "symbol", "side", "position_side")


def downgrade() -> None:
    _unique_over("account_id", "symbol", "side")
    op.drop_column("trades", "position_side")


def _unique_over(*columns: str) -> None:
    op.drop_index(UNIQUE, table_name="trades")
    op.create_index(UNIQUE, "trades", list(columns), unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
