"""A replica and its control plane over HTTP: following, reporting, and doing without."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from burnish.releases.assignment import Assignment
from burnish.serving.model import ReplicaReport
from support.http_server import HttpServer, QuietHandler


class ControlPlane(HttpServer):
    """Answers GET /v1/serving by long poll and keeps the reports, on a port that stays its own."""

    def __init__(self, port: int = 0) -> None:
        self.changed = threading.Condition()
        self.version = 0
        self.document = b"{}"
        self.reports: list[tuple[str, ReplicaReport]] = []
        self.tokens: set[str | None] = set()
        self.polls: list[str | None] = []  # the If-None-Match of each
        self.failing = False
        self.running = True

        control = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                control.tokens.add(self.headers["Authorization"])
                if self.command == "PUT":
                    report = msgspec.json.decode(self.body(), type=ReplicaReport)
                    control.reports.append((self.path, report))
                    self.reply(200, b"{}")
                    return
                assert self.path == "/v1/serving?wait=20"
                known = self.headers["If-None-Match"]
                control.polls.append(known)
                with control.changed:
                    control.changed.wait_for(
                        lambda: not control.running or known != control.etag, timeout=20
                    )
                    status = 500 if control.failing else 304 if known == control.etag else 200
                    body = b"" if status == 304 else control.document
                    self.reply(status, body, ETag=control.etag)

        super().__init__(Handler, port)

    @property
    def etag(self) -> str:
        return f'"{self.version}"'

    def tell(self, assignment: Assignment) -> None:
        with self.changed:
            self.version += 1
            self.document = msgspec.json.encode(assignment)
            self.changed.notify_all()

    def stop(self) -> None:
        with self.changed:
            self.running = False
            self.changed.notify_all()
        self.close()


@pytest.fixture
def planes() -> Iterator[Callable[..., ControlPlane]]:
    started: list[ControlPlane] = []

    def start(port: int = 0) -> ControlPlane:
        started.append(ControlPlane(port))
        return started[-1]

    yield start
    for plane in started:
        if plane.running:
            plane.stop()


def test_a_replica_follows_the_control_plane_and_reports_what_it_does(
    *,
    replicas: Callable[..., Any],
    planes: Callable[..., ControlPlane],
    assignment: Callable[..., Assignment],
    artifact: Callable[..., bytes],
    photo: bytes,
    until: Callable[..., None],
) -> None:
    replica, control = replicas(), planes()
    replica.follow(control.url)
    a, b = artifact("a"), artifact("b")
    # when a release is promoted
    control.tell(assignment(replica.release("rel-a", a, 1)))
    # then it serves, and the next poll says which assignment is known
    until(lambda: replica.serves("rel-a"))
    assert replica.predict(photo)[1]["generation"] == 1
    until(lambda: control.polls[-1] == control.etag)
    # when another is prepared, then promoted
    control.tell(assignment(replica.release("rel-a", a, 1), replica.release("rel-b", b)))
    until(lambda: control.reports[-1][1].models["laundry"].loaded == ("rel-a", "rel-b"))
    control.tell(assignment(replica.release("rel-b", b, 2), None, replica.release("rel-a", a)))
    until(lambda: replica.serves("rel-b"))
    # then the report says so
    until(lambda: control.reports[-1][1].models["laundry"].serving is not None)
    until(lambda: control.reports[-1][1].models["laundry"].serving.generation == 2)
    path, report = control.reports[-1]
    assert path == "/v1/replicas/serve-1"
    last = report.models["laundry"].swaps[-1]
    assert (last.from_release, last.to_release, last.generation) == ("rel-a", "rel-b", 2)
    assert last.swap_us < 100_000
    assert last.ready_seconds > 0
    assert control.tokens == {"Bearer token-of-scope-replica"}


def test_a_replica_restarted_without_its_control_plane_serves_the_last_release(
    *,
    replicas: Callable[..., Any],
    planes: Callable[..., ControlPlane],
    assignment: Callable[..., Assignment],
    artifact: Callable[..., bytes],
    photo: bytes,
    until: Callable[..., None],
) -> None:
    # given a replica that has served release b, and knew of one that was never sound
    first, control = replicas(), planes()
    first.follow(control.url)
    b = first.release("rel-b", artifact("b"), 4)
    control.tell(assignment(b))
    until(lambda: first.serves("rel-b"))
    control.tell(assignment(first.release("rel-c", b"junk", 5), None, b))
    until(lambda: "rel-c" in first.follower.report().models["laundry"].failed)
    memory = first.folder / "assignment.json"
    until(lambda: b'"rel-b"' in memory.read_bytes())
    # when control plane and object store are gone and it starts again
    control.stop()
    first.stop()
    key = b.artifact.key
    (first.folder.parent.parent / "objects" / key).unlink()
    second = replicas()
    second.follow(control.url)
    # then it serves what it served
    until(lambda: second.serves("rel-b"))
    _, answer, _ = second.predict(photo)
    assert (answer["label"], answer["model_version"], answer["generation"]) == ("b", "2.0.0", 4)
    # and when the control plane returns, it catches up
    returned = planes(control.port)
    returned.tell(assignment(second.release("rel-a", artifact("a"), 6)))
    until(lambda: second.serves("rel-a"))
    assert second.predict(photo)[1]["generation"] == 6


def test_an_unreachable_or_failing_control_plane_is_asked_again(
    replicas: Callable[..., Any],
    planes: Callable[..., ControlPlane],
    assignment: Callable[..., Assignment],
    artifact: Callable[..., bytes],
    until: Callable[..., None],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    replica = replicas()
    replica.follow(f"http://127.0.0.1:{port}")
    control = planes(port)
    control.failing = True
    control.tell(assignment(replica.release("rel-a", artifact("a"), 1)))
    until(lambda: len(control.polls) >= 2)
    assert not replica.serves("rel-a")
    control.failing = False
    until(lambda: replica.serves("rel-a"))


def test_a_broken_memory_is_no_obstacle(
    replicas: Callable[..., Any],
    planes: Callable[..., ControlPlane],
    assignment: Callable[..., Assignment],
    artifact: Callable[..., bytes],
    until: Callable[..., None],
) -> None:
    replica, control = replicas(), planes()
    (replica.folder / "assignment.json").write_text('{"models": {"laundry"')
    replica.follow(control.url)
    control.tell(assignment(replica.release("rel-a", artifact("a"), 1)))
    until(lambda: replica.serves("rel-a"))
    remembered = replica.folder / "assignment.json"
    until(lambda: "rel-a" in remembered.read_text())
    assert json.loads(remembered.read_text())["models"]["laundry"]["active"]["generation"] == 1


def test_artifacts_that_nobody_wants_any_more_leave_the_disk(
    replicas: Callable[..., Any],
    planes: Callable[..., ControlPlane],
    assignment: Callable[..., Assignment],
    artifact: Callable[..., bytes],
    until: Callable[..., None],
) -> None:
    replica, control = replicas(), planes()
    replica.follow(control.url)
    a = replica.release("rel-a", artifact("a"), 1)
    b = replica.release("rel-b", artifact("b"), 2)
    kept = replica.folder / "artifacts"
    control.tell(assignment(a))
    until(lambda: replica.serves("rel-a"))
    control.tell(assignment(b))
    until(lambda: replica.serves("rel-b"))
    control.tell(assignment(b, previous=None))
    until(lambda: [path.stem for path in kept.iterdir()] == [b.artifact.sha256[7:]])
