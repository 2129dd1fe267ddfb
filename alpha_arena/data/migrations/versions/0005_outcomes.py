"""What came of decisions, and what models have cost. Nothing has written the table of outcomes that it replaces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.drop_table("outcomes")
    op.create_table(
        "outcomes",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("trader", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("decision_id", sa.Integer(), nullable=False),
        sa.Column("bar_ts", sa.BigInteger(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("opened_ts", sa.BigInteger(), nullable=False),
        sa.Column("closed_ts", sa.BigInteger(), nullable=True),
        sa.Column("horizon_bars", sa.Integer(), nullable=False),
        sa.Column("ended_by", sa.Text(), nullable=False),
        sa.Column("regime", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text()) for name in ("exposure", "equity", "mark", "gross", "fees", "funding", "pnl", "return_")),
        sa.Column("parts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outcomes")),
        sa.UniqueConstraint("decision_id", name=op.f("uq_outcomes_decision_id")),
    )
    op.create_index("ix_outcomes_trader_closed_ts", "outcomes", ["trader", "closed_ts"], unique=False)
    op.create_table(
        "llm_spending",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("trader", sa.Text(), nullable=False),
        sa.Column("ts", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_llm_spending")),
    )
    op.create_index("ix_llm_spending_trader_ts", "llm_spending", ["trader", "ts"], unique=False)
    op.execute("INSERT INTO llm_spending (trader, ts, cost_usd) SELECT trader, ts, cost_usd FROM llm_calls WHERE cost_usd IS NOT NULL")
