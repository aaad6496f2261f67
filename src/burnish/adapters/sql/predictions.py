"""Predictions in the metadata database."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec
from sqlalchemy import Engine, select

from burnish.adapters.sql.engine import writing
from burnish.adapters.sql.rows import inserting
from burnish.adapters.sql.schema import predictions
from burnish.feedback.prediction import Prediction

CHUNK: Final = 500  # ids in one query; SQLite of old took no more than 999 parameters


class SqlPredictions:
    """The `predictions` table as a PredictionStore."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def append(self, batch: Sequence[Prediction]) -> None:
        """Keep the predictions, all or none; those whose id is known already are left as is."""
        if not batch:
            return
        rows = [msgspec.structs.asdict(prediction) for prediction in batch]
        with writing(self._engine) as connection:
            statement = inserting(connection, predictions).on_conflict_do_nothing(
                index_elements=["id"]
            )
            connection.execute(statement, rows)

    def lookup(self, ids: Collection[str]) -> dict[str, Prediction]:
        """Return the known ones among `ids`, by id."""
        wanted = list(ids)
        found: dict[str, Prediction] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), CHUNK):
                chunk = wanted[start : start + CHUNK]
                query = select(predictions).where(predictions.c.id.in_(chunk))
                for row in connection.execute(query).mappings():
                    found[row["id"]] = Prediction(**row)
        return found
