"""Alembic's entry: always on a connection that the store hands over, never on a URL of its own."""

from __future__ import annotations

from alembic import context

from holdfast.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
    compare_server_default=True,
)
# The store's transaction is around this one: a failed migration leaves nothing behind.
with context.begin_transaction():
    context.run_migrations()
