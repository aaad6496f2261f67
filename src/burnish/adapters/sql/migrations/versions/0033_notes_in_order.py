"""What is noted of inputs is added to, never changed; a decision says how far it had come."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0033"
down_revision = "0028"
branch_labels = None
depends_on = None

_SERIAL = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    """Go forward."""
    op.execute("CREATE TABLE moved AS SELECT * FROM payload_sources")
    op.drop_table("payload_sources")
    op.create_table(
        "payload_sources",
        sa.Column("id", _SERIAL, nullable=False),
        *_columns(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payload_sources")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_payload_sources_uri_sha256"), "payload_sources", ["uri_sha256"])
    _move_back(sa.true())
    with op.batch_alter_table(
        "payload_contents", table_kwargs={"sqlite_autoincrement": True}
    ) as table:
        table.drop_constraint("uq_payload_contents_sha256", type_="unique")
        table.create_index("ix_payload_contents_sha256", ["sha256"])
    op.add_column("decisions", sa.Column("noted", sa.JSON(), nullable=True))


def downgrade() -> None:
    """Go back; of several rows on one input the newest stays."""
    op.drop_column("decisions", "noted")
    op.execute(
        "DELETE FROM payload_contents WHERE id NOT IN"
        " (SELECT max(id) FROM payload_contents GROUP BY sha256)"
    )
    with op.batch_alter_table(
        "payload_contents", table_kwargs={"sqlite_autoincrement": True}
    ) as table:
        table.drop_index("ix_payload_contents_sha256")
        table.create_unique_constraint("uq_payload_contents_sha256", ["sha256"])
    op.execute("CREATE TABLE moved AS SELECT * FROM payload_sources")
    op.drop_table("payload_sources")
    op.create_table(
        "payload_sources",
        *_columns(),
        sa.PrimaryKeyConstraint("uri_sha256", name=op.f("pk_payload_sources")),
    )
    _move_back(sa.text("id IN (SELECT max(id) FROM moved GROUP BY uri_sha256)"))


def _columns() -> list[sa.Column[object]]:
    return [
        sa.Column("uri_sha256", sa.String(length=71), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=71), nullable=True),
        sa.Column("reason", sa.String(length=63), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("tried_at", Moment(timezone=True), nullable=False),
    ]


def _move_back(which: sa.ColumnElement[bool] | sa.TextClause) -> None:
    names = [column.name for column in _columns()]
    moved = sa.table("moved", *(sa.column(name) for name in names))
    rows = sa.select(*moved.c).where(which).order_by(moved.c.tried_at, moved.c.uri_sha256)
    sources = sa.table("payload_sources", *(sa.column(name) for name in names))
    op.execute(sources.insert().from_select(names, rows))
    op.drop_table("moved")
    op.create_index(op.f("ix_payload_sources_reason"), "payload_sources", ["reason"])
