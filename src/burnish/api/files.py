"""Files over HTTP: uploaded payloads, and the local object store's presigned URLs."""

import asyncio
from typing import Annotated

from litestar import Response, get, post, put
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct

from burnish.api.auth import OPEN, Asked
from burnish.api.control import Control
from burnish.api.problems import RESPONSES
from burnish.kernel.digest import digest
from burnish.kernel.errors import InvalidInput
from burnish.kernel.objects import payload_key

Method = Annotated[str, QueryParameter(name="method")]


class TooLarge(InvalidInput):
    """The body is larger than we take."""

    code = "request.too_large"


class Payload(Struct, kw_only=True):
    """An input that we keep, by content."""

    uri: str  # what a feedback record names as its payload
    sha256: str
    bytes: int


@post("/v1/payloads", status_code=201, responses=RESPONSES)
async def post_payload(request: Asked, state: State) -> Payload:
    """Keep an input, such as a photo, so that feedback can name it."""
    control: Control = state.control
    body = await _body(request, control.max_payload_bytes)
    if not body:
        raise InvalidInput.of("body", "", "send the photo's bytes as the request body")
    sha256 = digest(body)
    await asyncio.to_thread(control.objects.put, payload_key(sha256), body)
    return Payload(uri=f"burnish:{sha256}", sha256=sha256, bytes=len(body))


@get("/v1/objects/{key:path}", opt=OPEN, sync_to_thread=True, responses=RESPONSES)
def get_object(
    state: State,
    key: FromPath[str],
    method: Method,
    expires: FromQuery[int],
    signature: FromQuery[str],
) -> Response[bytes]:
    """Hand out one object to the bearer of a presigned URL."""
    control: Control = state.control
    name = key.lstrip("/")
    _check_method(method, "GET")
    control.signatures.verify(name, method="GET", expires=expires, signature=signature)
    return Response(control.objects.get(name), media_type="application/octet-stream")


@put("/v1/objects/{key:path}", opt=OPEN, status_code=204, responses=RESPONSES)
async def put_object(
    request: Asked,
    state: State,
    key: FromPath[str],
    *,
    method: Method,
    expires: FromQuery[int],
    signature: FromQuery[str],
) -> None:
    """Take one object from the bearer of a presigned URL; the same bytes again are a no-op."""
    control: Control = state.control
    name = key.lstrip("/")
    _check_method(method, "PUT")
    control.signatures.verify(name, method="PUT", expires=expires, signature=signature)
    body = await _body(request, control.max_artifact_bytes)
    await asyncio.to_thread(control.objects.put, name, body)


def _check_method(said: str, used: str) -> None:
    if said != used:
        raise InvalidInput.of("method", said, f"the URL is for {said}, the request is a {used}")


async def _body(request: Asked, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes.", limit=limit)
        chunks.append(chunk)
    return b"".join(chunks)
