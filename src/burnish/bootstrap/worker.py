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
from burnish.bootstrap.following import RECONSIDER_S, Follower
from burnish.bootstrap.gathering import gathering
from burnish.bootstrap.house import House
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
LOOK_FIRST_S: Final = 0.2  # between new records and the decision on them, for photos to be seen
GATHER_S: Final = 1.0  # between two looks whether records name inputs that are not fetched yet
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
        self._news = threading.Event()  # records have come: look at their inputs
        self._seen = threading.Event()  # inputs were looked at: count them
        self._elsewhere = threading.Event()  # there is more to fetch
        self._follower = Follower(house, self._look_first)
        self._launcher = SubprocessLauncher(settings.data / "jobs", settings.data / "cache")
        self._watcher = Watcher(
            units=house.unit,
            views=house.view,
            launcher=self._launcher,
            clock=utc_now,
            silence=timedelta(seconds=settings.training.heartbeat_timeout_seconds),
        )
        self._monitor = Monitor(units=house.unit, views=house.view)
        self._gathering = gathering(house, self._raw_log, self._follower.project)
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
        self._threads = [
            threading.Thread(target=self._follow_feedback, name="feedback"),
            threading.Thread(target=self._watch_jobs, name="jobs"),
            threading.Thread(target=self._watch_releases, name="releases"),
            threading.Thread(target=self._erase, name="erasures"),
        ]
        # They may be in the middle of many photos; whatever they have not noted is done again.
        self._gatherers = [
            threading.Thread(target=self._look, name="inputs", daemon=True),
            threading.Thread(target=self._gather, name="sources", daemon=True),
        ]
        self.reasons: list[str] = ["starting"]

    def start(self) -> None:
        """Take up what a crash left unfinished, then follow what comes."""
        self._engine.launch()
        for thread in (*self._threads, *self._gatherers):
            thread.start()
        self.reasons.clear()

    def stop(self) -> None:
        """Stop; unfinished runs go on at the next start, attempts go on meanwhile."""
        self.reasons.append("draining")
        self._stop.set()
        for asleep in (self._news, self._seen, self._elsewhere):
            asleep.set()
        for thread in self._threads:
            thread.join()
        for thread in self._gatherers:
            thread.join(STEP_S)
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
        prepare = Prepare(units=house.unit, datasets=datasets, collect=self._gathering.for_run)
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

    def _follow_feedback(self) -> None:
        self._repeat(
            "feedback", self._house.settings.worker.poll_seconds, self._follower.look, self._seen
        )

    def _look(self) -> None:
        def look() -> None:
            if self._for_each_model(self._gathering.look):
                self._news.set()
                self._seen.set()

        self._repeat("inputs", GATHER_S, look, self._news)

    def _look_first(self) -> None:
        """Give photos that have just come a moment to be looked at, so that they count at once."""
        self._seen.clear()
        self._news.set()
        self._seen.wait(LOOK_FIRST_S)

    def _gather(self) -> None:
        def gather() -> None:
            if self._for_each_model(self._gathering.gather):
                self._elsewhere.set()
                self._seen.set()

        self._repeat("sources", GATHER_S, gather, self._elsewhere)

    def _for_each_model(self, step: Callable[[ModelPolicy], bool]) -> bool:
        """Take a step for each model in turn; tell whether any has more to do at once."""
        with self._house.view() as view:
            policies = [model.policy for model in view.models.list()]
        return True in [step(policy) for policy in policies]

    def _watch_jobs(self) -> None:
        self._repeat("jobs", WATCH_S, self._watcher.look)

    def _watch_releases(self) -> None:
        looked = -RECONSIDER_S

        def look() -> None:
            nonlocal looked
            # Predictions are logged behind the answers: what was said of a late one counts then.
            overdue = time.monotonic() - looked >= RECONSIDER_S
            self._monitor.look(anyway=overdue)
            if overdue:
                looked = time.monotonic()

        self._repeat("releases", RELEASES_S, look)

    def _erase(self) -> None:
        eraser = Eraser(
            units=self._house.unit,
            objects=self._house.objects,
            raw_log=RawLogReader(self._house.objects, self._house.engine),
            clock=utc_now,
        )
        self._repeat("erasures", ERASURES_S, eraser.look)

    def _repeat(
        self,
        name: str,
        seconds: float,
        look: Callable[[], object],
        sooner: threading.Event | None = None,
    ) -> None:
        """Look again and again until the end, so often, or sooner if there is reason to."""
        sooner = sooner or self._stop
        while not self._stop.is_set():
            try:
                look()
            except Exception:  # noqa: BLE001  the next look may go well
                _log.exception("look failed", what=name)
            if sooner.wait(seconds) and sooner is not self._stop:
                sooner.clear()

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
