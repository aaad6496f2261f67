"""The durable engine: the only file that knows DBOS.

Each half of a saga is one workflow; its id is `<half>:<run>`, so that it starts once. Whoever wants
one started, or woken, says so in the transaction of the change that is the reason for it; so DBOS
keeps its tables in our database. PostgreSQL notifies it of a wake-up; on SQLite it looks for one.
"""

import json
from collections.abc import Callable
from typing import Any, Final

from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, Serializer, StepOptions
from sqlalchemy import Connection, Engine

from burnish.adapters.crash import crash_point
from burnish.adapters.sql.engine import database_url
from burnish.kernel.ids import RunId
from burnish.pipeline.saga import HALVES, Performer, Progress, drive

APPLICATION: Final = "burnish"
VERSION: Final = "1"  # of the saga's shape; runs of another version are not taken over
QUEUE: Final = "runs"
WORKFLOW: Final = "saga"
WAKE: Final = "wake"
POLL_S: Final = 0.1
_ERROR: Final = "workflow_error"
DB_RETRIES: Final = 10  # of a step whose own bookkeeping failed; the first after 1 s, then doubling


class WorkflowError(Exception):
    """An error that ended a workflow, as it was kept: its type and its words."""


class JsonSerializer(Serializer):
    """Keeps what the engine stores readable, and free of code."""

    def serialize(self, data: Any) -> str:
        """Return the JSON of plain data, or of an error."""
        return json.dumps(data, default=_in_words)

    def deserialize(self, serialized_data: str) -> Any:
        """Return the plain data, or a WorkflowError."""
        return json.loads(serialized_data, object_hook=_as_error)

    def name(self) -> str:
        """Return the name under which DBOS notes the format."""
        return "burnish_json"


class DbosMessenger:
    """Starts and wakes runs from inside a transaction of any process."""

    def __init__(self, engine: Engine) -> None:
        self._client = DBOSClient(
            system_database_engine=engine, serializer=JsonSerializer(), lazy=True
        )

    def begin(self, connection: Connection, half: str, run: str) -> None:
        """Start a half of a run, once."""
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": f"{half}:{run}",
            "app_version": VERSION,
        }
        self._client.enqueue_in_transaction(connection, options, half, run)

    def wake(self, connection: Connection, run: str, key: str) -> None:
        """Wake the training half of a run, which is the one that waits for others."""
        self._client.send_in_transaction(connection, f"train:{run}", key, WAKE, key)

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()


class DbosEngine:
    """Runs sagas in this process until it is closed."""

    def __init__(
        self, engine: Engine, *, executor: str, concurrency: int, performer: Performer
    ) -> None:
        """Take the name of this process, unique and kept, and the runs that it works on at once."""
        self._concurrency = concurrency
        DBOS(
            config=DBOSConfig(
                name=APPLICATION,
                system_database_engine=engine,
                executor_id=executor,
                application_version=VERSION,
                serializer=JsonSerializer(),
                notification_listener_polling_interval_sec=POLL_S,
                enable_otlp=False,
                log_level="WARNING",
            )
        )

        @DBOS.workflow(name=WORKFLOW)
        def saga(half: str, run: str) -> None:
            drive(HALVES[half], RunId(run), _Workflow(), performer)

    def launch(self) -> None:
        """Begin to work, first of all on what a crash left unfinished."""
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=self._concurrency, polling_interval_sec=POLL_S
        )

    def close(self, drain_s: float) -> None:
        """Stop; unfinished runs go on when a worker starts again."""
        DBOS.destroy(workflow_completion_timeout_sec=int(drain_s))


def migrate(url: str) -> None:
    """Create or upgrade the engine's own tables; on PostgreSQL in a schema of their own, `dbos`."""
    DBOS.migrate(database_url(url).render_as_string(hide_password=False))


def _in_words(value: object) -> dict[str, str]:
    # Without this, DBOS could not note that a workflow failed, and would begin it again for ever.
    if isinstance(value, Exception):
        return {_ERROR: f"{type(value).__name__}: {value}"}
    raise TypeError(f"{value!r} is no plain data")


def _as_error(data: dict[str, Any]) -> Any:
    return WorkflowError(data[_ERROR]) if data.keys() == {_ERROR} else data


class _Workflow:
    """The saga's view of the engine, inside a workflow: implements `saga.Durable`."""

    def checkpoint(self, name: str, work: Callable[[], Progress]) -> Progress:
        def step() -> str:
            progress = work()
            if progress is not Progress.WAIT:
                crash_point(f"step.done:{name}")
            return progress.value

        options: StepOptions = {"name": name, "retries_allowed": True, "max_attempts": DB_RETRIES}
        return Progress(DBOS.run_step(options, step))

    def wait(self, seconds: float) -> None:
        DBOS.recv(WAKE, timeout_seconds=seconds)
