"""Looks at holdouts, the epoch of a dataset version, and what was erased."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0028"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "holdout_looks",
        sa.Column("run", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("dataset", sa.String(length=80), nullable=False),
        sa.Column("candidate", sa.String(length=63), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run", name=op.f("pk_holdout_looks")),
    )
    op.create_index("ix_holdout_looks_epoch", "holdout_looks", ["model", "epoch"])
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.Column("datasets", sa.JSON(), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        sa.Column("payloads_removed", sa.Integer(), nullable=False),
        sa.Column("payloads_kept", sa.Integer(), nullable=False),
        sa.Column("finished_at", Moment(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_table(
        "tombstones",
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("erasure", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("payload_sha256", sa.String(length=71), nullable=True),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", name=op.f("pk_tombstones")),
    )
    op.create_index(op.f("ix_tombstones_erasure"), "tombstones", ["erasure"])
    op.create_index(op.f("ix_tombstones_payload_sha256"), "tombstones", ["payload_sha256"])
    op.create_index("ix_tombstones_model_at", "tombstones", ["model", "at"])
    op.add_column("datasets", sa.Column("epoch", sa.Integer(), nullable=False, server_default="1"))


def downgrade() -> None:
    """Go back."""
    op.drop_column("datasets", "epoch")
    op.drop_table("tombstones")
    op.drop_table("erasures")
    op.drop_table("holdout_looks")
