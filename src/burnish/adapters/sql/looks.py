"""Looks at holdouts in SQL: table `holdout_looks`."""

from sqlalchemy import Connection, func, select

from burnish.adapters.sql.rows import columns, insert_new
from burnish.adapters.sql.schema import holdout_looks
from burnish.datasets.looks import Look


class SqlLooks:
    """Implements `datasets.looks.LookStore` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, look: Look) -> bool:
        """Keep a look; of one run only the first. Returns whether it is new."""
        return insert_new(self._connection, holdout_looks, columns(look), unless_same="run")

    def count(self, model: str, epoch: int) -> int:
        """Return how often an epoch's holdout was looked at."""
        query = select(func.count()).where(
            holdout_looks.c.model == model, holdout_looks.c.epoch == epoch
        )
        return self._connection.execute(query).scalar_one()
