"""A lease runs out unless it is renewed, and says on which machine its holder lives (G27)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Those of before have run out: their holders did not renew them.
    op.add_column("leases", sa.Column("host", sa.Text(), nullable=False, server_default=sa.text("''")))
    op.add_column("leases", sa.Column("until_ms", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("leases", "until_ms")
    op.drop_column("leases", "host")
