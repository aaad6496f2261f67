"""The control role: the API and the live events."""

from collections.abc import Callable
from typing import Final

import structlog
import uvicorn
from litestar import Litestar

from burnish.adapters.ingest_link import IngestLink
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.serve_server import configuration
from burnish.adapters.subprocess_jobs import SubprocessLauncher
from burnish.adapters.system import new_id, utc_now
from burnish.api.app import build
from burnish.api.control import Control
from burnish.bootstrap.house import House
from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.datasets.reading import SerialReader
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.kernel.audit import Actor
from burnish.settings import Settings
from burnish.triggers.model import Ask, DecisionEntry
from burnish.triggers.service import consider

SEAL_S: Final = 10.0  # an operator waits so long for ingest to persist what it has accepted

_log = structlog.get_logger("burnish.control")


class OperatorTriggers:
    """Starts runs that people ask for."""

    def __init__(self, house: House) -> None:
        self._house = house

    def ask(self, model: str, actor: Actor, reason: str, *, waits: bool) -> DecisionEntry:
        """Consider a model because an operator asks for a run. Raises UnknownModel."""
        with self._house.view() as view:
            policy = view.models.get(model).policy
        self._catch_up()
        now = utc_now()
        ask = Ask(actor=actor.name, reason=reason, at=now, trace_id=actor.trace_id, waits=waits)
        return consider(lambda: self._house.unit(actor), self._house.view, policy, now=now, ask=ask)

    def _catch_up(self) -> None:
        """Bring what was accepted until now into the run; without ingest, what is persisted."""
        house = self._house
        ingest = ApiClient(house.settings.ingest.url, house.secrets.admin_token, timeout=SEAL_S)
        try:
            ingest.post("/v1/seal")
        except (ApiProblem, Unreachable) as error:
            _log.warning("run starts without what ingest has not persisted", error=str(error))
        finally:
            ingest.close()
        project(RawLogReader(house.objects, house.engine), house.unit, record_of)


def application(house: House, draining: Callable[[], bool]) -> Litestar:
    """Return the API over a house; `draining` tells when waiting requests are to end."""
    settings = house.settings
    launcher = SubprocessLauncher(settings.data / "jobs", settings.data / "cache")
    raw_log = RawLogReader(house.objects, house.engine)
    front = IngestLink(settings.ingest.url, house.secrets.admin_token)
    control = Control(
        units=house.unit,
        views=house.view,
        objects=house.objects,
        raw_log=raw_log,
        datasets=DatasetService(
            raw_log=raw_log,
            reader=SerialReader(raw_log, record_of),
            objects=house.mapped(),
            units=house.view,
            clock=utc_now,
        ),
        front=front,
        models=lambda: house.directory.current().models,
        signatures=house.objects,
        directory=house,
        triggers=OperatorTriggers(house),
        tokens=house.tokens,
        admin_token_sha256=house.admin_token_sha256,
        job_log=launcher.log,
        draining=draining,
        clock=utc_now,
        ids=new_id,
        registry=house.registry,
        max_payload_bytes=settings.control.max_payload_bytes,
        max_artifact_bytes=settings.control.max_artifact_bytes,
    )
    app = build(control)
    app.on_shutdown.append(front.close)
    return app


def run(settings: Settings) -> None:
    """Serve the API until SIGTERM."""
    house = House.open(settings, "control")
    server = uvicorn.Server(
        configuration(
            application(house, lambda: server.should_exit),
            host=settings.control.host,
            port=settings.control.port,
            drain_seconds=settings.process.drain_seconds,
            lifespan="on",
        )
    )
    try:
        server.run()
    finally:
        house.close()
