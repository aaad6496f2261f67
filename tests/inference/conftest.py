"""A whole replica on a free port: real HTTP, real ONNX, real files; only its master is the test."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from prometheus_client import CollectorRegistry

from burnish.adapters import loader_thread
from burnish.adapters.artifact_cache import ArtifactCache
from burnish.adapters.control_link import ControlLink
from burnish.adapters.objects import LocalObjects
from burnish.adapters.onnx import OnnxEngine
from burnish.adapters.serve_server import ServeServer
from burnish.adapters.system import new_id, new_trace_id, utc_now
from burnish.feedback.prediction import Prediction
from burnish.imaging import PREPROCESSING
from burnish.inference.app import InferenceApp, Limits
from burnish.inference.metrics import InferenceMetrics
from burnish.inference.plane import DataPlane
from burnish.inference.recent import RecentRing
from burnish.kernel.digest import digest
from burnish.kernel.objects import Objects
from burnish.releases.assignment import ArtifactRef, Assigned, Assignment, ModelAssignment
from burnish.serving.follower import Follower
from burnish.serving.loader import Loader, prepare
from burnish.serving.router import Router

LABELS = ("a", "b")
VERSIONS = {"rel-a": "1.0.0", "rel-b": "2.0.0"}
DEADLINE_S = 20.0


def make_artifact(says: str, labels: Sequence[str] = LABELS, weight: float = 1e-6) -> bytes:
    """Return a classifier that is nearly sure of one label, whatever it is shown."""
    bias = np.array([4.0 if label == says else -4.0 for label in labels], np.float32)
    weights = np.full((3, len(labels)), weight, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["floats", "axes"], ["means"], keepdims=0),
            helper.make_node("Gemm", ["means", "weights", "bias"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        ],
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 224, 224, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(labels)])],
        [
            numpy_helper.from_array(np.array([1, 2], np.int64), "axes"),
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(bias, "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    facts = {
        "burnish.labels": json.dumps(list(labels)),
        "burnish.kind": "image-classification",
        "burnish.preprocessing": PREPROCESSING,
        "burnish.trainer": "{}",
    }
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def make_assignment(
    active: Assigned | None,
    following: Assigned | None = None,
    previous: Assigned | None = None,
    labels: tuple[str, ...] = LABELS,
    capture: float = 1.0,
) -> Assignment:
    model = ModelAssignment(
        kind="image-classification",
        labels=labels,
        active=active,
        next=following,
        previous=previous,
        capture=capture,
    )
    return Assignment(models={"laundry": model})


def wait_until(condition: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


class Noted:
    """A prediction log that keeps everything in memory."""

    def __init__(self) -> None:
        self.entries: list[tuple[Prediction, bytes | None]] = []

    def offer(self, prediction: Prediction, payload: bytes | None) -> bool:
        self.entries.append((prediction, payload))
        return True


class Replica:
    """One replica, wired as bootstrap wires it, followed by hand or by a control link."""

    def __init__(self, objects: Objects, folder: Path, limits: Limits | None = None) -> None:
        self.objects = objects
        self.folder = folder
        self.log = Noted()
        self.metrics = InferenceMetrics(CollectorRegistry())
        self.cache = ArtifactCache(objects, folder / "artifacts")
        recent = RecentRing()
        engine = OnnxEngine(threads=1)
        self.router = Router(time.perf_counter_ns)
        self.loader = Loader(
            lambda order: prepare(order, artifacts=self.cache, engine=engine, recent=recent),
            calm=loader_thread.calm,
            trim=loader_thread.trim,
        )
        self.follower = Follower(
            self.router,
            url="http://127.0.0.1",
            now=time.monotonic,
            free=self.loader.free,
            observer=self.metrics,
        )
        self.follower.subscribe(self.loader.poke)
        self.link: ControlLink | None = None
        plane = DataPlane(
            self.router,
            self.log,
            captured=self.follower.captured,
            recent=recent,
            metrics=self.metrics,
            clock=utc_now,
            ids=new_id,
        )
        app = InferenceApp(
            plane,
            self.metrics,
            unready=self.follower.unready,
            perf=time.perf_counter,
            new_trace_id=new_trace_id,
            version="0.1.0",
            limits=limits,
        )
        self.server = ServeServer(app, host="127.0.0.1", port=0, drain_seconds=20)
        self._thread = threading.Thread(target=self.server.run)

    def start(self) -> "Replica":
        self.loader.start(self.follower)
        self._thread.start()
        wait_until(lambda: self.server.started)
        return self

    def follow(self, control_url: str) -> None:
        """Let a control link say what to serve."""
        self.link = ControlLink(
            self.follower,
            base_url=control_url,
            replica=self.folder.name,
            token=lambda: "token-of-scope-replica",
            folder=self.folder,
            cache=self.cache,
        )
        self.link.start()

    def stop(self) -> None:
        """End it; a second time is fine."""
        if not self._thread.is_alive():
            return
        if self.link is not None:
            self.link.stop()
        self.server.stop()
        self._thread.join(DEADLINE_S)
        self.loader.stop()
        assert not self._thread.is_alive()

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=DEADLINE_S)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, document and headers of one request; `_` in a header's name is `-`."""
        connection = self.connect()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        kind = response.getheader("content-type", "")
        document = json.loads(content) if "json" in kind else content.decode()
        return response.status, document, {k.lower(): v for k, v in response.getheaders()}

    def predict(self, photo: bytes, model: str = "laundry") -> tuple[int, Any, dict[str, str]]:
        return self.ask("POST", f"/v1/models/{model}/predict", photo, content_type="image/jpeg")

    def release(self, name: str, artifact: bytes, generation: int | None = None) -> Assigned:
        """Put an artifact into the object store and return what assigns it."""
        sha256 = digest(artifact)
        key = f"models/{sha256[7:]}.onnx"
        self.objects.put(key, artifact)
        return Assigned(
            release=name,
            model_version=VERSIONS.get(name, "9.0.0"),
            artifact=ArtifactRef(key=key, sha256=sha256, bytes=len(artifact)),
            generation=generation,
        )

    def assign(
        self,
        active: Assigned | None,
        following: Assigned | None = None,
        previous: Assigned | None = None,
        labels: tuple[str, ...] = LABELS,
    ) -> None:
        self.follower.follow(make_assignment(active, following, previous, labels))

    def serves(self, release: str) -> bool:
        report = self.follower.report().models.get("laundry")
        return (
            report is not None
            and report.serving is not None
            and (report.serving.release == release)
        )


@pytest.fixture
def artifact() -> Callable[..., bytes]:
    return make_artifact


@pytest.fixture
def assignment() -> Callable[..., Assignment]:
    return make_assignment


@pytest.fixture
def photo() -> bytes:
    return cv2.imencode(".jpg", np.full((64, 48, 3), 90, np.uint8))[1].tobytes()


@pytest.fixture
def until() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(
        tmp_path / "objects",
        base_url="http://127.0.0.1",
        secret=b"s" * 32,
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def replicas(objects: LocalObjects, tmp_path: Path) -> Iterator[Callable[..., Replica]]:
    """Start replicas; the same name finds the same folder again."""
    started: list[Replica] = []

    def start(name: str = "serve-1", limits: Limits | None = None) -> Replica:
        replica = Replica(objects, tmp_path / "serve" / name, limits)
        started.append(replica)
        return replica.start()

    yield start
    for replica in started:
        replica.stop()


@pytest.fixture
def replica(replicas: Callable[..., Replica]) -> Replica:
    """A replica that serves release rel-a, which always answers label a."""
    replica = replicas()
    replica.assign(replica.release("rel-a", make_artifact("a"), generation=1))
    wait_until(lambda: replica.serves("rel-a"))
    return replica
