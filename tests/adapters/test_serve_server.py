"""The serve process: SIGTERM drains, and what was in flight is answered."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

# A process as bootstrap makes it, with a model that takes its time.
PROGRAM = """
import sys, time
import numpy as np
from prometheus_client import CollectorRegistry
from burnish.adapters.serve_server import run_serve
from burnish.adapters.system import new_id, new_trace_id, utc_now
from burnish.inference.app import InferenceApp
from burnish.inference.metrics import InferenceMetrics
from burnish.inference.plane import DataPlane
from burnish.inference.recent import RecentRing
from burnish.serving.router import Resident, Router, Slot

class Slow:
    labels = ("good", "defect")
    def predict(self, images):
        print("predicting", flush=True)
        time.sleep(1.0)
        return np.tile(np.array([0.75, 0.25], np.float32), (len(images), 1))
    def close(self):
        pass

class Log:
    def offer(self, prediction, payload):
        return True

router = Router(time.perf_counter_ns)
router.swap(Slot(model="laundry", release="r1", generation=1, model_version="1.0.0",
                 labels=Slow.labels, resident=Resident(Slow(), lambda model: None)))
metrics = InferenceMetrics(CollectorRegistry())
plane = DataPlane(router, Log(), captured=lambda _model: 1.0, recent=RecentRing(), metrics=metrics,
                  clock=utc_now, ids=new_id)
app = InferenceApp(plane, metrics, unready=list, perf=time.perf_counter,
                   new_trace_id=new_trace_id, version="0.1.0")
run_serve(app, "127.0.0.1", int(sys.argv[1]), lambda: print("stopped", flush=True),
          drain_seconds=20, on_start=lambda port: print(port, flush=True))
"""


@pytest.fixture
def serving() -> Iterator[tuple[subprocess.Popen[str], int]]:
    source = Path(__file__).parents[2] / "src"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_in_flight_is_answered_before_the_process_ends_well(
    serving: tuple[subprocess.Popen[str], int], photo: bytes, number: signal.Signals
) -> None:
    process, port = serving
    assert process.stdout is not None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/v1/models/laundry/predict", photo)
    assert process.stdout.readline() == "predicting\n"
    process.send_signal(number)
    response = connection.getresponse()
    assert response.status == 200
    response.read()
    connection.close()
    assert process.wait(20) == 0
    assert process.stdout.read() == "stopped\n"


def test_an_idle_connection_does_not_hold_up_the_end(
    serving: tuple[subprocess.Popen[str], int],
) -> None:
    process, port = serving
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/healthz")
    assert connection.getresponse().read() == b'{"status":"ok"}'
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    connection.close()


@pytest.fixture
def photo() -> bytes:
    return cv2.imencode(".png", np.full((64, 48, 3), 90, np.uint8))[1].tobytes()
