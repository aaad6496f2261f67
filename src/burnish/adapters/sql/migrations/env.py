"""Alembic's way in: `migrate.py` hands it an open connection."""

from alembic import context

from burnish.adapters.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
    transactional_ddl=True,  # SQLite can, once the transaction has begun; see engine.writing
)
with context.begin_transaction():
    context.run_migrations()
