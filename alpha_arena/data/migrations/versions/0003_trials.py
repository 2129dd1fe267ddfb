"""Trials of searches: what was tried, and what came of it. Nothing has written the table that it replaces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    op.drop_table("trials")
    op.create_table(
        "trials",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("trader", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("bar_sharpe", sa.Float(53), nullable=True),
        sa.Column("figures", sa.LargeBinary(), nullable=True),
        sa.Column("sums", sa.LargeBinary(), nullable=True),
        sa.Column("squares", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("config_hash", "data_hash", name=op.f("uq_trials_config_hash_data_hash")),
    )
    op.create_index("ix_trials_symbol_timeframe", "trials", ["symbol", "timeframe"], unique=False)
    op.create_index(op.f("ix_trials_search"), "trials", ["search"], unique=False)
