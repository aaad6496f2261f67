"""A shop floor: records in the raw log, versions built of them, and the API and the CLI on both."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import uvicorn
from typer.testing import CliRunner, Result

from burnish import config
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.serve_server import configuration
from burnish.adapters.system import new_id, utc_now
from burnish.bootstrap.control import application
from burnish.bootstrap.house import House
from burnish.cli.app import build
from burnish.cli.session import Endpoints, Surroundings
from burnish.client.api import ApiClient
from burnish.datasets.erasing import Eraser
from burnish.datasets.model import Dataset
from burnish.datasets.reading import SerialReader
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from burnish.releases import service as releases
from support.ledger import NOON
from support.world import World, record

DEADLINE_S = 30


class Shop(World):
    """A data directory with a control plane that listens."""

    def __init__(self, folder: Path) -> None:
        self.house = House.open(config.load(folder, environ={}), "control")
        self._folder = folder
        self.now = NOON
        self.engine = self.house.engine
        self.objects = self.house.objects
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.service = DatasetService(
            raw_log=self.raw_log,
            reader=SerialReader(self.raw_log, record_of),
            objects=self.objects,
            units=self.unit,
            clock=utc_now,
            tools={"burnish": "test"},
        )
        self.eraser = Eraser(
            units=self.unit, objects=self.objects, raw_log=self.raw_log, clock=utc_now
        )
        self._socket = socket.create_server(("127.0.0.1", 0))
        host, port = self._socket.getsockname()[:2]
        self.url = f"http://{host}:{port}"
        self._server = uvicorn.Server(
            configuration(
                application(self.house, lambda: False),
                host=host,
                port=port,
                drain_seconds=1,
                lifespan="on",
            )
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()
        self.api = ApiClient(self.url, self.house.secrets.admin_token)
        deadline = time.monotonic() + DEADLINE_S
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def close(self) -> None:
        self.api.close()
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        self._socket.close()
        self.house.close()

    def unit(self) -> Any:
        return self.house.unit()

    def view(self) -> Any:
        return self.house.view()

    def picture(self, number: int) -> str:
        """Store a photo of its own and return its URI."""
        pixels = np.full((8, 8, 3), number % 256, np.uint8)
        pixels[0, 0] = number // 256
        data = cv2.imencode(".png", pixels)[1].tobytes()
        return str(self.api.post("/v1/payloads", data).json()["uri"])

    def judge(self, numbers: range, **changes: Any) -> None:
        """Let people judge photos, each on a subject of its own, and build nothing yet."""
        said = [
            record(
                f"s{number}",
                **{
                    "final": "good" if number % 2 else "defect",
                    "payload": self.picture(number),
                    "actor": f"person-{number % 10}",
                    "occurred_at": NOON + timedelta(seconds=number),
                }
                | changes,
            )
            for number in numbers
        ]
        self.say(*said)
        self.project()

    def build(self, policy: ModelPolicy) -> Dataset:
        return self.service.build(policy, self.raw_log.end())

    def train(self, dataset: Dataset) -> str:
        """Register a model version as if it had been trained on a dataset version."""
        run = RunId(new_id())
        made = releases.register(
            self.unit(),
            run=run,
            model=dataset.model,
            dataset=dataset.id,
            artifact={"key": f"artifacts/{run}", "sha256": "sha256:" + "0" * 64, "bytes": 1},
            metrics={},
            labels=("good", "defect"),
            now=utc_now(),
        )
        return made.version

    def run(self, *words: str, ingest: str = "http://127.0.0.1:9") -> Result:
        """Run a command of the CLI."""
        here = Endpoints(control=self.url, ingest=ingest, serve=self.url, worker=self.url)
        surroundings = Surroundings(
            locate=lambda _: (self._folder, here),
            now=utc_now,
            new_id=new_id,
            user=lambda: "kim",
        )
        return CliRunner().invoke(build(surroundings), list(words))

    def json(self, *words: str) -> Any:
        result = self.run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.close()
