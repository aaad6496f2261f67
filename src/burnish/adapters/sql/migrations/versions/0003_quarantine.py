"""The index of the quarantine."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=63), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("received_at", Moment(timezone=True), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=True),
        sa.Column("source", sa.String(length=255), nullable=True),
        sa.Column("record_id", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("replays", sa.Integer(), nullable=False),
        sa.Column("replayed_at", Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
    )
    op.create_index("ix_quarantine_identity", "quarantine", ["source", "record_id"])
    op.create_index("ix_quarantine_state_received", "quarantine", ["state", "received_at", "id"])
    op.create_index("ix_feedback_received", "feedback", ["received_at", "shard", "offset"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_feedback_received", table_name="feedback")
    op.drop_table("quarantine")
