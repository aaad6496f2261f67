"""The serve role: answers predictions with the active releases."""

import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from burnish import __version__
from burnish.adapters.artifact_cache import ArtifactCache
from burnish.adapters.control_link import ControlLink
from burnish.adapters.loader_thread import calm, trim
from burnish.adapters.onnx import OnnxEngine
from burnish.adapters.prediction_log import PredictionWriter
from burnish.adapters.serve_server import run_serve
from burnish.adapters.sql.predictions import SqlPredictions
from burnish.adapters.system import new_id, new_trace_id, utc_now
from burnish.bootstrap.house import House
from burnish.inference.app import InferenceApp, Limits
from burnish.inference.metrics import InferenceMetrics
from burnish.inference.plane import DataPlane
from burnish.inference.recent import RecentRing
from burnish.kernel.auth import Scope, TokenInvalid, bearer
from burnish.serving.follower import Follower
from burnish.serving.loader import Loader, prepare
from burnish.serving.router import Router
from burnish.settings import Settings

REPLICA_TOKEN_LIFETIME: Final = timedelta(minutes=5)


def run(settings: Settings) -> None:
    """Serve predictions until SIGTERM."""
    house = House.open(settings, "serve")
    serve = settings.serve
    folder = settings.data / "serve" / serve.replica
    cache = ArtifactCache(house.objects, folder / "artifacts")
    engine, recent = OnnxEngine(threads=serve.threads), RecentRing()
    metrics = InferenceMetrics(house.registry)
    router = Router(time.perf_counter_ns)
    loader = Loader(
        lambda order: prepare(order, artifacts=cache, engine=engine, recent=recent),
        calm=calm,
        trim=trim,
    )
    follower = Follower(
        router, url=serve.url, now=time.monotonic, free=loader.free, observer=metrics
    )
    follower.subscribe(loader.poke)
    predictions = PredictionWriter(
        SqlPredictions(house.engine), house.objects, most_waiting=serve.log_queue
    )
    link = ControlLink(
        follower,
        base_url=settings.control.url,
        replica=serve.replica,
        token=lambda: house.tokens.issue(
            f"replica:{serve.replica}",
            Scope.REPLICA,
            now=utc_now(),
            lifetime=REPLICA_TOKEN_LIFETIME,
        ),
        folder=folder,
        cache=cache,
    )
    plane = DataPlane(
        router,
        predictions,
        captured=follower.captured,
        recent=recent,
        metrics=metrics,
        clock=utc_now,
        ids=new_id,
    )
    app = InferenceApp(
        plane,
        metrics,
        unready=follower.unready,
        perf=time.perf_counter,
        new_trace_id=new_trace_id,
        version=__version__,
        limits=Limits(in_flight=serve.max_in_flight, body_bytes=serve.max_image_bytes),
        authorize=_admin_only(house) if serve.auth else None,
    )

    def close() -> None:
        link.stop()
        loader.stop()
        predictions.stop()
        house.close()

    predictions.start()
    loader.start(follower)
    link.start()
    run_serve(app, serve.host, serve.port, close, drain_seconds=settings.process.drain_seconds)


def _admin_only(house: House) -> Callable[[str | None], None]:
    wanted = house.admin_token_sha256

    def authorize(authorization: str | None) -> None:
        said = hashlib.sha256(bearer(authorization).encode()).hexdigest()
        if not hmac.compare_digest(said, wanted):
            raise TokenInvalid("The token is not one of ours.")

    return authorize
