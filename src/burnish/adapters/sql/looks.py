"""What wears holdouts out, in SQL: tables `holdout_looks` and `holdout_rotations`."""

from sqlalchemy import Connection, func, select

from burnish.adapters.sql.rows import columns, insert_new, read
from burnish.adapters.sql.schema import holdout_looks, holdout_rotations
from burnish.datasets.looks import Look, Rotation


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

    def rotate(self, rotation: Rotation) -> None:
        """Keep a rotation; of one epoch only the first."""
        row, key = columns(rotation), ("model", "epoch")
        insert_new(self._connection, holdout_rotations, row, unless_same=key)

    def rotation(self, model: str, epoch: int) -> Rotation | None:
        """Return the rotation of an epoch, if somebody asked for it."""
        query = select(holdout_rotations).where(
            holdout_rotations.c.model == model, holdout_rotations.c.epoch == epoch
        )
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, Rotation)
