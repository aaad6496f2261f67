"""A real HTTP server with a control plane's paths, for the trainers and their client."""

import json
from collections.abc import Iterator
from threading import Lock
from typing import Any

import pytest

from burnish.kernel.digest import digest, hexadecimal
from support.http_server import HttpServer, QuietHandler


class ControlDouble(HttpServer):
    """Serves a dataset and its payloads, takes an artifact and callbacks, and remembers them.

    `answers` holds, by path prefix, statuses to answer with before the real answer comes.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.artifact: bytes | None = None
        self.callbacks: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.requests: list[str] = []
        self.connections = 0
        self.answers: dict[str, list[int]] = {}
        self.retry_after: str | None = None
        self.lock = Lock()
        double = self

        class Handler(QuietHandler):
            wbufsize = -1

            def setup(self) -> None:
                super().setup()
                double.connections += 1

            def answer(self) -> None:
                asked = (self.command, self.path, self.body(), dict(self.headers))
                status, body = double.handle(*asked)
                asks_to_wait = status >= 400 and double.retry_after is not None
                self.reply(
                    status, body, **({"Retry-After": double.retry_after} if asks_to_wait else {})
                )

        super().__init__(Handler)

    def handle(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, bytes]:
        with self.lock:
            self.requests.append(f"{method} {path}")
            for prefix, statuses in self.answers.items():
                if path.startswith(prefix) and statuses:
                    return statuses.pop(0), b'{"code": "refused"}'
            if method == "GET":
                found = self.files.get(path)
                return (404, b"{}") if found is None else (200, found)
            if method == "PUT":
                self.artifact = body
                return 200, b""
            self.callbacks.append((path.rsplit("/", 1)[1], json.loads(body)))
            self.headers.append(headers)
            return 200, b'{"state": "RUNNING"}'

    def add_payload(self, data: bytes) -> tuple[str, str]:
        """Offer a payload; return its digest and its URL."""
        address = digest(data)
        path = f"/payloads/{hexadecimal(address)}"
        self.files[path] = data
        return address, self.url + path

    def offer(self, examples: list[tuple[bytes, str, str]]) -> None:
        """Offer a dataset of (payload, label, split)."""
        lines = []
        for index, (data, label, split) in enumerate(examples):
            address, url = self.add_payload(data)
            lines.append(
                json.dumps(
                    {
                        "subject": f"s{index:03}",
                        "label": label,
                        "split": split,
                        "payload_sha256": address,
                        "payload_url": url,
                    }
                )
            )
        self.files["/dataset"] = "\n".join(lines).encode()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of an attempt."""
        return {
            "JOB_ID": "job-1",
            "TRACE_ID": "0af7651916cd43dd8448eb211c80319c",
            "TRACEPARENT": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "BACKEND_BASE_URL": self.url,
            "CALLBACK_TOKEN": "the-token",
            "MODEL_NAME": "laundry",
            "DATASET_ID": "laundry@1",
            "DATASET_URL": f"{self.url}/dataset",
            "OUTPUT_URL": f"{self.url}/output",
            "EPOCHS": "1",
            "HYPERPARAMETERS": json.dumps({"labels": ["good", "defect"], "path": "fast"}),
        } | more

    def said(self, kind: str) -> list[dict[str, Any]]:
        """Return the bodies of the callbacks of one kind."""
        with self.lock:
            return [body for name, body in self.callbacks if name == kind]


@pytest.fixture
def control() -> Iterator[ControlDouble]:
    """A control plane's callbacks and objects, on a free loopback port."""
    double = ControlDouble()
    yield double
    double.close()
