"""Over how many bars a trial was measured: without it Sharpes of a week and of years cannot be laid side by side."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards."""
    op.add_column("trials", sa.Column("bars", sa.Integer(), nullable=True))
