"""The worker role: follows feedback, runs the pipeline, launches and watches training jobs."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog

from burnish import __version__
from burnish.adapters.daft_datasets import DaftReader
from burnish.adapters.dataset_inputs import ArtifactOutputs, DatasetInputs
from burnish.adapters.durable import DbosEngine
from burnish.adapters.health import HealthServer
from burnish.adapters.onnx import OnnxEngine
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sandbox import ChildSandbox
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.subprocess_jobs import SubprocessLauncher
from burnish.adapters.system import new_id, utc_now
from burnish.bootstrap.attention import Attention
from burnish.bootstrap.following import RECONSIDER_S
from burnish.bootstrap.house import House
from burnish.bootstrap.repeating import Repeating
from burnish.datasets.erasing import Eraser
from burnish.datasets.service import DatasetService
from burnish.evaluation.service import Judge
from burnish.feedback.parse import record_of
from burnish.imaging import decode
from burnish.kernel.auth import Scope
from burnish.kernel.policy import ModelPolicy
from burnish.monitoring.service import Monitor
from burnish.pipeline.performer import Actions, Performer
from burnish.pipeline.steps.evaluate import Evaluate
from burnish.pipeline.steps.prepare import Prepare
from burnish.pipeline.steps.release import ReleaseStep
from burnish.pipeline.steps.train import Train
from burnish.settings import Settings
from burnish.training.model import Job
from burnish.training.watch import Watcher

NICENESS: Final = 5  # serving may share the machine, and comes first
WATCH_S: Final = 1.0  # between two looks at the training attempts
RELEASES_S: Final = 0.2  # between two looks whether anything new is known of what serves
ERASURES_S: Final = 5.0  # between two looks whether anything erased still has bytes
STEP_S: Final = 5.0  # for the step under way; a run that waits for training goes on elsewhere

_log = structlog.get_logger("burnish.worker")


class Worker:
    """The parts of a worker, and the threads that keep them going."""

    def __init__(self, house: House) -> None:
        settings = house.settings
        self._house = house
        self._stop = threading.Event()
        self._token_lifetime = timedelta(seconds=settings.training.token_seconds)
        self._raw_log = RawLogReader(house.objects, house.engine)
        self._launcher = SubprocessLauncher(settings.data / "jobs", settings.data / "cache")
        self._watcher = Watcher(
            units=house.unit,
            views=house.view,
            launcher=self._launcher,
            clock=utc_now,
            silence=timedelta(seconds=settings.training.heartbeat_timeout_seconds),
        )
        self._monitor = Monitor(units=house.unit, views=house.view)
        self._attention = Attention(house)
        performer = Performer(
            units=house.unit,
            actions=self._actions(),
            clock=utc_now,
            pause=time.sleep,
            report=_report,
        )
        self._engine = DbosEngine(
            house.engine,
            executor=settings.worker.id,
            concurrency=settings.worker.concurrency,
            performer=performer,
        )
        self._looks = [
            Repeating("jobs", WATCH_S, self._watcher.look),
            Repeating("releases", RELEASES_S, self._watch_releases()),
            Repeating("erasures", ERASURES_S, self._eraser().look),
        ]
        self.reasons: list[str] = ["starting"]

    def start(self) -> None:
        """Take up what a crash left unfinished, then follow what comes."""
        self._engine.launch()
        self._attention.start()
        for look in self._looks:
            look.start()
        self.reasons.clear()

    def stop(self) -> None:
        """Stop; unfinished runs go on at the next start, attempts go on meanwhile."""
        self.reasons.append("draining")
        self._stop.set()
        for look in self._looks:
            look.end()
        self._attention.stop()
        for look in self._looks:
            look.join()
        self._engine.close(min(STEP_S, self._house.settings.process.drain_seconds))

    def wait(self) -> None:
        """Wait until `end` is called."""
        self._stop.wait()

    def end(self) -> None:
        """Ask for the end; safe from a signal handler."""
        self._stop.set()

    def _actions(self) -> Actions:
        house, settings = self._house, self._house.settings
        datasets = DatasetInputs(
            DatasetService(
                raw_log=self._raw_log,
                reader=DaftReader(
                    house.readable,
                    SqlManifest(house.engine),
                    record_of,
                    engine=settings.datasets.engine,
                    processes=settings.datasets.processes or len(os.sched_getaffinity(0)),
                ),
                objects=house.mapped(),
                units=house.unit,
                clock=utc_now,
                tools={"burnish": __version__},
            ),
            house.objects,
            self._policy_of,
            lifetime=self._token_lifetime,
        )
        prepare = Prepare(
            units=house.unit, datasets=datasets, collect=self._attention.gathering.for_run
        )
        train = Train(
            units=house.unit,
            datasets=datasets,
            outputs=ArtifactOutputs(house.objects, lifetime=self._token_lifetime),
            objects=house.objects,
            launcher=self._launcher,
            tokens=self._callback_token,
            control_url=settings.control.url,
            clock=utc_now,
            ids=new_id,
        )
        judge = Judge(
            objects=house.objects,
            engine=OnnxEngine(threads=len(os.sched_getaffinity(0))),
            decode=decode,
            sandbox=ChildSandbox(threads=settings.serve.threads),
            clock=utc_now,
            ids=new_id,
        )
        evaluate = Evaluate(units=house.unit, datasets=datasets, judge=judge, clock=utc_now)
        release = ReleaseStep(
            units=house.unit, views=house.view, clock=utc_now, ids=new_id, pause=time.sleep
        )
        return Actions(
            do={
                "collect": prepare.collect,
                "prepare": prepare.prepare,
                "train": train.train,
                "evaluate": evaluate.evaluate,
                "release": release.release,
            },
            undo={"stop_training": train.stop, "abandon_release": release.abandon},
        )

    def _watch_releases(self) -> Callable[[], None]:
        looked = -RECONSIDER_S

        def look() -> None:
            nonlocal looked
            # Predictions are logged behind the answers: what was said of a late one counts then.
            overdue = time.monotonic() - looked >= RECONSIDER_S
            self._monitor.look(anyway=overdue)
            if overdue:
                looked = time.monotonic()

        return look

    def _eraser(self) -> Eraser:
        return Eraser(
            units=self._house.unit,
            objects=self._house.objects,
            raw_log=self._raw_log,
            clock=utc_now,
        )

    def _policy_of(self, digest: str) -> ModelPolicy:
        with self._house.view() as view:
            return view.models.policy(digest)

    def _callback_token(self, job: Job) -> str:
        return self._house.tokens.issue(
            f"job:{job.id}",
            Scope.TRAINING_CALLBACK,
            now=utc_now(),
            lifetime=self._token_lifetime,
            extra={"job_id": job.id, "attempt": job.attempt},
        )


def run(settings: Settings) -> None:
    """Work until SIGTERM."""
    os.nice(NICENESS)
    house = House.open(settings, "worker")
    worker = Worker(house)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: worker.end())
    health = HealthServer(
        settings.worker.host,
        settings.worker.port,
        registry=house.registry,
        reasons=lambda: worker.reasons,
    )
    health.start()
    try:
        worker.start()
        worker.wait()
    finally:
        worker.stop()
        health.close()
        house.close()
    # A run that waits for its training is a thread of the durable engine, asleep for a minute. It
    # holds nothing and goes on at the next start; the interpreter would wait for it to wake up.
    logging.shutdown()
    os._exit(0)


def _report(message: str, *, run: str, step: str, error: Exception | None = None) -> None:
    if error is None:
        _log.info(message, run=run, step=step)
    else:
        _log.error(message, run=run, step=step, exc_info=error)
