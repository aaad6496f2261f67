"""A whole platform whose roles a test kills one by one: real processes, tiny photos, two models.

`plain` has no gates: its corrections lead to a release. `strict` has one that nothing passes, and
starts its runs only when it is asked to: it is there to be refused, forced through and rolled back.
"""

import contextlib
import itertools
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import cv2
import msgspec
import numpy as np
from sqlalchemy import func, select

from burnish import config
from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sql import schema
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.trail import SqlAudit
from burnish.adapters.subprocess_jobs import SubprocessLauncher
from burnish.adapters.system import utc_now
from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.client.http import ONCE, Http, Retry
from burnish.kernel.objects import payload_key
from support.nursery import Nursery, Nursling

NAMES: Final = ("worker", "ingest", "control", "serve")
QUICK: Final = {
    "ingest.seal_seconds": "0.2",
    "ingest.segment_bytes": "4000",  # a few records
    "worker.poll_seconds": "0.1",
    "log.level": "warning",
}
PATIENCE_S: Final = 90.0  # of every wait: the machine may be busy
LOOK_S: Final = 0.05
HELD_OUT: Final = 12
SEED: Final = 20  # enough for a fifth to be left for validation
BATCH: Final = 6
POLICY: Final = """
name = "{model}"
kind = "image-classification"
labels = ["good", "defect"]
trigger.min_corrections = {corrections}
trigger.min_days = 0
trigger.urgent_corrections = 100000
trigger.accuracy = false
dataset = {{ holdout_source = "{model}-held-out" }}
release = {{ approval = "auto" }}
monitor = {{ alert = {alert}, rollback = 0.8, min_outcomes = 8 }}
[gates]
validation = 0
holdout = {holdout}
per_class = 0
p_better = 0
latency_ms = 0
memory_mb = 0
throughput = 0
"""


class Platform:
    """Four roles in a directory; a context manager that ends them whatever happens."""

    def __init__(self, data: Path, database: str) -> None:
        with contextlib.ExitStack() as probes:
            ports = {name: str(_free_port(probes)) for name in NAMES}
        flags = QUICK | {f"{name}.port": port for name, port in ports.items()}
        if database:
            flags["database.url"] = database
        self.settings = config.load(data, flags, environ={})
        self.data = data
        self._numbers = itertools.count()
        self._open = contextlib.ExitStack()
        self.sent: dict[str, set[str]] = {"plain": set(), "strict": set()}
        # Where Python keeps no compiled files, each start would compile everything again.
        compiled = {
            "PYTHONPYCACHEPREFIX": str(data.parent.parent / "compiled"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        nursery = Nursery(compiled if sys.dont_write_bytecode else {})
        self._open.callback(nursery.close)
        self._environment = config.environment(self.settings)
        self._processes = {name: self._process(name, nursery) for name in NAMES}
        self._engine = make_engine(self.settings.database.url)
        models = data / "models"
        models.mkdir(parents=True)
        (models / "plain.toml").write_text(
            POLICY.format(model="plain", corrections=4, holdout=0, alert=0.9)
        )
        self.change_policy()

    def __enter__(self) -> Self:
        try:
            for name in NAMES:
                self.start(name)
            self.until(lambda: all(process.ready() for process in self._processes.values()))
            token = (self.data / "admin.token").read_text().strip()
            patient = Retry(deadline=PATIENCE_S)
            self.control = ApiClient(self.settings.control.url, token, retry=patient)
            self.hasty = ApiClient(self.settings.control.url, token, retry=ONCE)
            self.ingest = ApiClient(self.settings.ingest.url, token, retry=patient)
            self.http = Http(self.settings.serve.url)
            for client in (self.control, self.hasty, self.ingest, self.http):
                self._open.callback(client.close)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()
        self._open.close()  # the roles go with their nursery: nothing here is to drain

    # --- the roles

    def start(self, name: str, point: str | None = None) -> None:
        """Start a role, to die at a point if one is named."""
        self._processes[name].start({**self._environment, "BURNISH_CRASH_AT": point or ""})

    def restart(self, name: str, point: str | None = None) -> None:
        """Kill a role, which is as good an end as any, and start it again."""
        self._processes[name].kill()
        self.start(name, point)
        self.until(lambda: self._processes[name].ready() or self.ended(name) is not None)

    def starts(self, name: str) -> int:
        """Return how often a role was started."""
        return self._processes[name].starts

    def ended(self, name: str) -> int | None:
        return self._processes[name].ended()

    def died(self, name: str, point: str, *, unless: Future[object]) -> None:
        """Wait until a role has died at the point under which it was started."""

        def over() -> bool:
            if unless.done():
                unless.result()  # raises what has gone wrong
            return self.ended(name) is not None

        try:
            self.until(over)
        except AssertionError as error:
            raise AssertionError(f"{name} did not reach {point}: {self.tail(name)}") from error
        assert self.ended(name) == -signal.SIGKILL, f"{point}: {self.tail(name)}"

    def dies(self, name: str, deaths: Sequence[str], provoke: Callable[[], object]) -> None:
        """Have a role die at one point after the other on a way that `provoke` sends it on.

        It is started again under the next one, after the last one under none.
        """
        self.restart(name, deaths[0])
        with ThreadPoolExecutor(1) as pool:
            try:
                provoked = pool.submit(provoke)
                for point, following in itertools.pairwise([*deaths, None]):
                    self.died(name, str(point), unless=provoked)
                    self.start(name, following)
            finally:
                if self.ended(name) is not None:
                    self.start(name)
            provoked.result()

    def tail(self, name: str) -> str:
        return self._processes[name].tail()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until a condition holds, and return what it says."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(ApiProblem, Unreachable):
                if found := condition():
                    return found
            time.sleep(LOOK_S)
        raise AssertionError(f"still not so after {PATIENCE_S:g} s: {condition}")

    # --- what people do

    def upload(self, label: str) -> str:
        """Store a photo of its own; return its URI."""
        stored = self.control.post(
            "/v1/payloads", photo(next(self._numbers), label), content_type="image/png",
            idempotent=True,
        )  # fmt: skip
        uri: str = stored.json()["uri"]
        return uri

    def label(self, model: str, source: str, count: int = BATCH, *, wrong: int = 0) -> None:
        """Send labels of new photos, half of them good; the first `wrong` are mistaken."""
        lines = []
        for number in range(count):
            shown = ("good", "defect")[number % 2]
            said = ("defect", "good")[number % 2] if number < wrong else shown
            lines.append(self._record(model, source, said, payload=self.upload(shown)))
        self.send(model, lines)

    def send(self, model: str, lines: list[dict[str, Any]]) -> None:
        """Send records until each is accepted, whatever dies meanwhile."""
        body = b"\n".join(msgspec.json.encode(line) for line in lines)
        reply = self.ingest.post(
            "/v1/feedback/batch", body, content_type="application/x-ndjson", idempotent=True
        )
        results = reply.json()["results"]
        assert all(result["status"] < 300 for result in results), results
        self.sent[model] |= {line["id"] for line in lines}

    def judge(self, model: str, count: int, *, wrong: bool) -> None:
        """Have predictions answered, and say of each that it is wrong, or right."""
        answers = [self.predict(model) for _ in range(count)]
        lines = []
        for answer in answers:
            other = "good" if answer["label"] == "defect" else "defect"
            final = other if wrong else answer["label"]
            line = self._record(model, f"{model}-review", final, predicted=answer["label"])
            lines.append(
                line
                | {
                    "prediction_id": answer["prediction_id"],
                    "payload": f"burnish:{answer['payload_sha256']}",
                    "selection": "random",
                }
            )
        self.send(model, lines)

    def predict(self, model: str) -> dict[str, Any]:
        """Ask about a new photo until there is an answer."""
        image = photo(next(self._numbers), "good")

        def ask() -> dict[str, Any] | None:
            headers = {"Content-Type": "image/png"}
            path = f"/v1/models/{model}/predict"
            found: dict[str, Any] = msgspec.json.decode(
                self.http.request("POST", path, image, headers).body
            )
            return found

        answer: dict[str, Any] = self.until(ask)
        return answer

    def ask_for_run(self, model: str) -> None:
        """Start a run as an operator does: again if there was no answer and no run."""
        known = {run["id"] for run in self.runs(model)}

        def started() -> bool:
            with contextlib.suppress(ApiProblem, Unreachable):
                self.hasty.post(f"/v1/models/{model}/runs", {"reason": "asked"})
            return bool({run["id"] for run in self.runs(model)} - known)

        self.until(started)

    def decide(self, run: dict[str, Any], what: str) -> None:
        """Decide on a run as an operator does; raises what the control plane's end leads to."""
        self.hasty.post(
            f"/v1/runs/{run['id']}/{what}", {"reason": "asked"}, if_match=str(run["revision"])
        )

    def refused(self) -> dict[str, Any]:
        """Have a candidate of `strict` refused, one that no other is like, and return its run."""
        self.label("strict", "strict-more", 2)
        with self.following("strict") as following:
            self.ask_for_run("strict")
            return following.ends("REJECTED")

    def forced(self) -> dict[str, Any]:
        """Have such a candidate forced through, and return the run that did it."""
        refused = self.refused()
        with self.following("strict") as following:
            self.decide(refused, "override")
            return following.ends("SUCCEEDED")

    def forced_twice(self) -> None:
        """Have two releases of `strict`, so that there is one to go back to."""
        while not self.rows("releases", model="strict", state="RETIRED"):
            self.forced()

    def roll_back(self, model: str, generation: int) -> None:
        """Roll a model back as an operator does; raises as `decide`."""
        path = f"/v1/models/{model}/rollback"
        self.hasty.post(path, {"reason": "asked"}, if_match=str(generation))

    def change_policy(self) -> None:
        """Write another policy for `strict`, as good as the one before; who starts imports it."""
        alert = 0.9 + next(self._numbers) / 1e6
        text = POLICY.format(model="strict", corrections=10_000, holdout=1, alert=alert)
        (self.data / "models" / "strict.toml").write_text(text)

    # --- what can be seen

    def runs(self, model: str) -> list[dict[str, Any]]:
        """Return a model's runs, newest first."""
        return list(self.control.items("/v1/runs", model=model, limit=100))

    @contextlib.contextmanager
    def following(self, model: str) -> Iterator["Following"]:
        """Follow the one run that begins meanwhile."""
        known = {run["id"] for run in self.runs(model)}
        following = Following(self, model, known)
        yield following
        assert len(following.fresh()) == 1, "there is more than one run"

    def active(self, model: str) -> dict[str, Any]:
        """Return the release that serving is to follow."""
        return dict(self.control.get(f"/v1/models/{model}/release").json())

    def serves(self, model: str) -> None:
        """Wait until predictions are answered by the active release."""
        release = self.active(model)["id"]
        self.until(lambda: self.predict(model)["release"] == release)

    def rows(self, table: str, **where: Any) -> list[Any]:
        """Return the rows of a table with these values."""
        found = schema.metadata.tables[table]
        query = select(found).where(*(found.c[name] == value for name, value in where.items()))
        with self._engine.connect() as connection:
            return list(connection.execute(query))

    def raw(self) -> list[tuple[str, str]]:
        """Return (model, id) of each record of the raw log, in order."""
        objects = LocalObjects(
            self.data / "objects", base_url="http://127.0.0.1:1", secret=b"s", clock=utc_now
        )
        log = RawLogReader(objects, self._engine)
        return [
            (msgspec.json.decode(record.body)["model"], record.id)
            for shard, end in log.end().items()
            for record in log.read(shard, 0, end)
        ]

    def is_audited(self) -> bool:
        """Tell whether the audit chain holds."""
        with self._engine.connect() as connection:
            return SqlAudit(connection, utc_now, None).broken_at() is None  # type: ignore[arg-type]

    def signal_attempt(self, job: str, number: signal.Signals) -> None:
        """Send a signal to the process of a job's first attempt, as soon as there is one."""
        note = self.data / "jobs" / job / "1" / "pid"
        self.until(note.exists)
        os.killpg(int(note.read_text()), number)

    def attempt_lives(self, job: str) -> bool:
        """Tell whether a process of a job's first attempt lives."""
        return (job, 1) in SubprocessLauncher(self.data / "jobs", self.data).living()

    def keeps(self, sha256: str) -> bool:
        """Tell whether an input is stored."""
        return (self.data / "objects" / payload_key(sha256)).is_file()

    def doubled(self, table: str, *columns: str) -> list[Any]:
        """Return the values that two rows of a table share in these columns."""
        found = schema.metadata.tables[table]
        key = [found.c[name] for name in columns]
        query = select(*key).group_by(*key).having(func.count() > 1)
        with self._engine.connect() as connection:
            return list(connection.execute(query))

    def _record(self, model: str, source: str, final: str, **more: Any) -> dict[str, Any]:
        number = next(self._numbers)
        return {
            "source": source,
            "id": f"{model}-{number}",
            "model": model,
            "subject_id": f"subject-{number}",
            "predicted": None,
            "final": final,
            "corrected": more.get("predicted") != final,
            "actor": "kim",
            "occurred_at": utc_now().isoformat(),
            "schema_version": 1,
            **more,
        }

    def _process(self, name: str, nursery: Nursery) -> Nursling:
        section = getattr(self.settings, name)
        url = f"http://{section.host}:{section.port}"
        arguments = [name, "--data", str(self.data)]
        return Nursling(nursery, arguments, url, self.data / "logs" / f"{name}.log")


class Following:
    """The run of a model that is new since."""

    def __init__(self, platform: Platform, model: str, known: set[str]) -> None:
        self._platform, self._model, self._known = platform, model, known

    def fresh(self) -> list[dict[str, Any]]:
        """Return the new runs."""
        runs = self._platform.runs(self._model)
        return [run for run in runs if run["id"] not in self._known]

    def job(self) -> str:
        """Wait until it has a job, and return its id."""
        found: str = self._platform.until(
            lambda: next((run["job"] for run in self.fresh() if run["job"]), None)
        )
        return found

    def ends(self, state: str) -> dict[str, Any]:
        """Wait until it has ended, which must be so, and return it."""

        def ended() -> dict[str, Any] | None:
            return next((run for run in self.fresh() if run["ended_at"]), None)

        run: dict[str, Any] = self._platform.until(ended)
        assert run["state"] == state, run
        # The last step is noted after the run's end.
        return self._platform.until(
            lambda: next((run for run in self.fresh() if _is_noted(run)), None)
        )  # type: ignore[no-any-return]


def _is_noted(run: dict[str, Any]) -> bool:
    return all(step["ended_at"] for step in run["steps"])


def photo(number: int, label: str) -> bytes:
    """Return a small picture that no other is like: good ones are blue, the others red."""
    noise = np.random.default_rng(number).integers(0, 60, (48, 48, 3), np.uint8)
    noise[..., 0 if label == "good" else 2] += 180
    return bytes(cv2.imencode(".png", noise)[1])


def _free_port(probes: contextlib.ExitStack) -> int:
    probe = probes.enter_context(socket.socket())
    probe.bind(("127.0.0.1", 0))
    return int(probe.getsockname()[1])


@contextlib.contextmanager
def begun(data: Path, database: str = "") -> Iterator[Platform]:
    """Run a platform whose `plain` model serves, trained once."""
    with Platform(data, database) as platform:
        for model in ("plain", "strict"):
            platform.label(model, f"{model}-held-out", HELD_OUT, wrong=2 * (model == "strict"))
            platform.label(model, f"{model}-seed", SEED)
        platform.until(lambda: {run["state"] for run in platform.runs("plain")} == {"SUCCEEDED"})
        yield platform
