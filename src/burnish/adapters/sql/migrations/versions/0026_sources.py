"""How far SQL sources are read; what payload URIs gave, and what their contents show."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0026"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "sql_sources",
        sa.Column("shard", sa.String(length=63), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("read_at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_sql_sources")),
    )
    op.create_table(
        "payload_sources",
        sa.Column("uri_sha256", sa.String(length=71), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=71), nullable=True),
        sa.Column("reason", sa.String(length=63), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tried_at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("uri_sha256", name=op.f("pk_payload_sources")),
    )
    op.create_index(op.f("ix_payload_sources_reason"), "payload_sources", ["reason"])
    op.create_table(
        "payload_contents",
        sa.Column("id", sa.BigInteger().with_variant(sa.INTEGER(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.String(length=71), nullable=False),
        sa.Column("pixels", sa.String(length=71), nullable=True),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=True),
        sa.Column("by_pixels", sa.String(length=71), nullable=False),
        sa.Column("by_picture", sa.String(length=71), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payload_contents")),
        sa.UniqueConstraint("sha256", name=op.f("uq_payload_contents_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_payload_contents_pixels"), "payload_contents", ["pixels"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("payload_contents")
    op.drop_table("payload_sources")
    op.drop_table("sql_sources")
