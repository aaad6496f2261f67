"""Predictions in the metadata database."""

from collections.abc import Collection, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec
from sqlalchemy import Engine, RowMapping, select
from sqlalchemy.dialects import postgresql, sqlite

from burnish.adapters.sql.engine import writing
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
        insert = sqlite.insert if self._engine.dialect.name == "sqlite" else postgresql.insert
        statement = insert(predictions).on_conflict_do_nothing(index_elements=["id"])
        rows = [_row(prediction) for prediction in batch]
        with writing(self._engine) as connection:
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
                    found[row["id"]] = _prediction(row)
        return found


def _row(prediction: Prediction) -> dict[str, Any]:
    row = msgspec.structs.asdict(prediction)
    return {**row, "at": prediction.at.astimezone(UTC)}


def _prediction(row: RowMapping) -> Prediction:
    """Read a row; SQLite stores the time without its zone, which is always UTC."""
    return Prediction(**{**row, "at": row["at"].replace(tzinfo=UTC)})
