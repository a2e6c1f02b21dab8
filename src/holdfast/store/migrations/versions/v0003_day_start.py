"""A snapshot says what the day's loss is counted from: a restart forgives none (R1.7)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

EXACT = sa.Text().with_variant(sa.Numeric(), "postgresql")


def upgrade() -> None:
    op.add_column("equity_snapshots", sa.Column("day_start", EXACT, nullable=False, server_default="0"))
    # What a day began with was not written until now: it counts from the last look at it.
    op.execute("UPDATE equity_snapshots SET day_start = equity")


def downgrade() -> None:
    op.drop_column("equity_snapshots", "day_start")
