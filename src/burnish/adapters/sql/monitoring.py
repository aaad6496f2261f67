"""Outcomes in SQL: feedback joined to the predictions that it names."""

from sqlalchemy import Connection, case, func, select

from burnish.adapters.sql.rows import bytewise
from burnish.adapters.sql.schema import feedback, predictions
from burnish.feedback.model import Selection
from burnish.kernel.ids import ReleaseId
from burnish.monitoring.model import Tally


class SqlOutcomes:
    """Implements `monitoring.ports.OutcomeStore` inside one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def tally(self, model: str, release: ReleaseId, generation: int) -> Tally:
        """Count the answers of one release in one generation, and what became of them."""
        answers = (predictions.c.release == release, predictions.c.generation == generation)
        given = self._connection.scalar(select(func.count()).where(*answers)) or 0
        drawn = case((feedback.c.selection == Selection.RANDOM.value, 1), else_=0)
        prediction = feedback.c.prediction_id
        newest_first = (
            feedback.c.occurred_at.desc(),
            bytewise(self._connection, feedback.c.source).desc(),
            bytewise(self._connection, feedback.c.id).desc(),
        )
        verdicts = (
            select(
                case((feedback.c.final == predictions.c.label, 1), else_=0).label("right"),
                func.max(drawn).over(partition_by=prediction).label("sampled"),
                func.row_number()
                .over(partition_by=prediction, order_by=newest_first)
                .label("place"),
            )
            .join_from(feedback, predictions, prediction == predictions.c.id)
            .where(feedback.c.model == model, predictions.c.model == model, *answers)
            .subquery()
        )
        outcome = (verdicts.c.right, verdicts.c.sampled)
        query = select(*outcome, func.count()).where(verdicts.c.place == 1).group_by(*outcome)
        found = {(right, drawn): n for right, drawn, n in self._connection.execute(query)}
        sampled_right, sampled_wrong = found.get((1, 1), 0), found.get((0, 1), 0)
        return Tally(
            predictions=given,
            right=sampled_right + found.get((1, 0), 0),
            wrong=sampled_wrong + found.get((0, 0), 0),
            sampled_right=sampled_right,
            sampled_wrong=sampled_wrong,
        )
