"""Runs migrations on the connection that the program hands in."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context

from alpha_arena.data.columns import Money
from alpha_arena.data.tables import METADATA


def plainly(kind: str, item: Any, _: Any) -> str | Literal[False]:
    """Write our own column types as what they are in the database, so that a migration outlives them."""
    return "sa.Text()" if kind == "type" and isinstance(item, Money) else False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=METADATA, render_as_batch=True, transaction_per_migration=False, render_item=plainly
)
with context.begin_transaction():
    context.run_migrations()
