"""Holdouts that a person has said are worn."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "holdout_rotations",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model", "epoch", name=op.f("pk_holdout_rotations")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("holdout_rotations")
