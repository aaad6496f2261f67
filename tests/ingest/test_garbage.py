"""What was refused is gone at once: no ring of errors and frames keeps it for the collector.

A ring lives until the garbage collector comes for it, which on a busy front is a matter of seconds
and of many megabytes of bodies.
"""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any

import pytest
import zstandard

from burnish.ingest.app import IngestApp, IngestLimits
from burnish.ingest.bodies import Body
from burnish.ingest.heads import Head
from burnish.ingest.http import Answer, Request
from burnish.ingest.messages import Message
from burnish.ingest.records import Verdict
from burnish.kernel.errors import BurnishError
from support.front import BEARER, Front, record
from support.ingest_role import Options, Role

TIMES = 3
ROOM = 1 << 30
OURS = (Request, Body, Message, Verdict, BurnishError, FrameType, CoroutineType, asyncio.Task)


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Callable[[int], IngestApp]]:
    started: list[Role] = []

    def start(high_water_bytes: int) -> IngestApp:
        Front(tmp_path).publish()
        limits = IngestLimits(record_bytes=4000)
        options = Options(hot=1000, high_water_bytes=high_water_bytes, limits=limits)
        started.append(Role(tmp_path, options))
        return started[-1].front.app()

    yield start
    for role in started:
        role.close()


async def answer(
    app: IngestApp, path: str, body: bytes, *, method: str = "POST", **said: str
) -> Answer | None:
    headers = {"authorization": f"Bearer {BEARER}", "content_type": "application/json"} | said
    head = Head(
        method,
        path.encode(),
        [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        keep_alive=True,
    )
    given: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
    app(Request(head, Body.of(body)), given.set_result)
    return await given


def encode(**changes: Any) -> bytes:
    return json.dumps(record(**changes)).encode()


ONE, BATCH = "/v1/feedback", "/v1/feedback/batch"
GOOD = encode()
OTHER = encode(final="good", corrected=False)
BAD = encode(number=2, final="torn")
NDJSON = {"content_type": "application/x-ndjson"}
EVENTS = {"content_type": "application/cloudevents-batch+json"}
ZSTD = {"content_encoding": "zstd"}
BOMB = zstandard.compress(b"x" * 9000)
NOWHERE = "/v1/feedback/place?source=a&id=b"


@pytest.mark.parametrize(
    ("high_water_bytes", "status", "path", "body", "said"),
    [
        pytest.param(ROOM, 422, ONE, BAD, {}, id="label"),
        pytest.param(ROOM, 409, ONE, OTHER, {}, id="conflict"),
        pytest.param(ROOM, 400, ONE, b"{", {}, id="malformed"),
        pytest.param(ROOM, 413, ONE, b"{" * 5000, {}, id="large"),
        pytest.param(ROOM, 401, ONE, GOOD, {"authorization": "Bearer x"}, id="stranger"),
        pytest.param(ROOM, 404, "/v1/elsewhere", GOOD, {}, id="path"),
        pytest.param(ROOM, 405, ONE, b"", {"method": "DELETE"}, id="method"),
        pytest.param(ROOM, 415, ONE, GOOD, {"content_encoding": "br"}, id="encoding"),
        pytest.param(ROOM, 400, ONE, b"no", ZSTD, id="zstd"),
        pytest.param(ROOM, 413, ONE, BOMB, ZSTD, id="bomb"),
        pytest.param(ROOM, 404, NOWHERE, b"", {"method": "GET"}, id="place"),
        pytest.param(ROOM, 200, BATCH, b"\n".join((GOOD, BAD, OTHER, b"{")), NDJSON, id="lines"),
        pytest.param(ROOM, 400, BATCH, b"[", EVENTS, id="events"),
        pytest.param(0, 429, ONE, GOOD, {}, id="full"),
        pytest.param(0, 429, BATCH, b"\n".join((GOOD, BAD)), NDJSON, id="full, lines"),
    ],
)
def test_what_is_refused_leaves_nothing_to_the_collector(
    start: Callable[[int], IngestApp],
    *,
    high_water_bytes: int,
    status: int,
    path: str,
    body: bytes,
    said: dict[str, str],
) -> None:
    app = start(high_water_bytes)

    async def asked() -> list[str]:
        await answer(app, ONE, GOOD)
        gc.collect()
        gc.freeze()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            for _ in range(TIMES):
                given = await answer(app, path, body, **said)
                assert given is not None
                assert given.status == status, given.body
            await asyncio.sleep(0.1)
            gc.collect()
            return [type(one).__qualname__ for one in gc.garbage if isinstance(one, OURS)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
            gc.unfreeze()

    with asyncio.Runner() as runner:
        assert runner.run(asked()) == []
