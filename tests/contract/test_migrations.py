"""Migrations make the tables that the code names, and take them back, on every database."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.migrate import downgrade, upgrade
from burnish.adapters.sql.schema import metadata


def test_the_migrated_tables_are_those_of_the_schema(empty_database: str) -> None:
    engine = make_engine(empty_database)
    upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    indexes = {index["name"]: index for index in inspect(engine).get_indexes("runs")}
    assert indexes["uq_runs_active"]["unique"]
    engine.dispose()


def test_what_goes_up_comes_down_and_up_again(empty_database: str) -> None:
    engine = make_engine(empty_database)
    for _ in range(2):
        upgrade(engine)
        upgrade(engine)  # at the newest already: nothing to do
        assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}
        downgrade(engine)
        assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()
