"""What trigger decisions rest on, how long they held; pauses; events found by their subject."""

import sqlalchemy as sa
from alembic import op

from burnish.adapters.sql.schema import Moment

revision = "0025"
down_revision = "0003"
branch_labels = None
depends_on = None

_decisions = sa.table(
    "decisions", sa.column("at"), sa.column("until"), sa.column("rule"), sa.column("hold")
)


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("decisions") as table:
        table.add_column(sa.Column("until", Moment(timezone=True), nullable=True))
        table.add_column(sa.Column("hold", sa.String(length=16), nullable=True))
        table.add_column(sa.Column("facts", sa.JSON(), nullable=True))
    op.execute(_decisions.update().values(until=_decisions.c.at))
    for rule, hold in (("active", "run"), ("paused", "paused")):
        op.execute(
            _decisions.update().where(_decisions.c.rule == rule).values(rule="wait", hold=hold)
        )
    with op.batch_alter_table("decisions") as table:
        table.alter_column("until", existing_type=Moment(timezone=True), nullable=False)
        table.drop_index("ix_decisions_model")
        table.create_index("ix_decisions_model_id", ["model", "id"])
    op.create_table(
        "trigger_pauses",
        sa.Column("model", sa.String(length=63), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Moment(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("model", "trigger", name=op.f("pk_trigger_pauses")),
    )
    op.create_index("ix_outbox_subject_type", "outbox", ["subject", "type"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_outbox_subject_type", table_name="outbox")
    op.drop_table("trigger_pauses")
    with op.batch_alter_table("decisions") as table:
        table.drop_index("ix_decisions_model_id")
        table.create_index("ix_decisions_model", ["model"])
        table.drop_column("facts")
        table.drop_column("hold")
        table.drop_column("until")
