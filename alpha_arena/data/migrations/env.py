"""Runs migrations on the connection that the program hands in."""

from __future__ import annotations

from alembic import context

from alpha_arena.data.tables import METADATA

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=METADATA, render_as_batch=True, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
