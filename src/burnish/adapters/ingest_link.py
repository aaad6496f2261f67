"""The feedback front as the control plane sees it: over HTTP, with the service's token."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import structlog

from burnish.client.http import ApiProblem, Http, Retry, Unreachable
from burnish.feedback.journey import Place
from burnish.feedback.model import Rejection
from burnish.feedback.parse import is_batch
from burnish.feedback.quarantine import verbatim
from burnish.feedback.replay import Answer
from burnish.kernel.errors import Unavailable

_log = structlog.get_logger("burnish.ingest_link")

TIMEOUT_S: Final = 10.0
PATIENCE_S: Final = 3.0  # with an ingest that restarts or is full; a person waits
# Refusals of a record by itself, after which the front holds it in quarantine anew.
_KEPT: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
)
_UNSENT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})  # our mistake
# What a header may hold as it is. (CloudEvents HTTP binding 1.0.2, section 3.1.3.2)
_PRINTABLE: Final = "!#$&'()*+,/:;=?@[]^`{|}~<>\\"


class IngestLink:
    """Ports `feedback.replay.Front` and `feedback.journey.Finder`."""

    def __init__(self, url: str, token: str) -> None:
        self._http = Http(url, token, timeout=TIMEOUT_S)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def find(self, source: str, id_: str) -> Place | None:
        """Return the place of an accepted record. Raises Unavailable if nobody answers."""
        query = urlencode({"source": source, "id": id_})
        try:
            found = self._http.request("GET", f"/v1/feedback/place?{query}").json()
        except ApiProblem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise _unavailable(problem) from problem
        except Unreachable as error:
            raise _unavailable(error) from error
        return Place(shard=found["shard"], offset=found["offset"])

    def submit(self, rejection: Rejection) -> Answer:
        """Send a record as it came, wrapping and all. Raises Unavailable if nobody answers."""
        batch = is_batch(rejection.content_type, rejection.ce)
        headers = {"Content-Type": rejection.content_type} | {
            name if name == "traceparent" else f"ce-{name}": quote(value, safe=_PRINTABLE)
            for name, value in rejection.ce.items()
        }
        try:
            answer = self._http.request(
                "POST",
                "/v1/feedback/batch" if batch else "/v1/feedback",
                verbatim(rejection),
                headers,
                retry=Retry(deadline=PATIENCE_S),
                idempotent=True,
            ).json()
        except ApiProblem as problem:
            if problem.passing or problem.status in _UNSENT:
                raise _unavailable(problem) from problem
            return Answer(
                accepted=False,
                code=problem.code,
                detail=problem.detail,
                kept=problem.status in _KEPT,
            )
        except Unreachable as error:
            raise _unavailable(error) from error
        return _taken(answer, batch=batch)


def _taken(answer: Any, *, batch: bool) -> Answer:
    if batch:  # taken apart: each of its records is accepted, or in quarantine by itself
        lines = answer["results"]
        bad = [line for line in lines if line["status"] >= HTTPStatus.BAD_REQUEST]
        good = f"{len(lines) - len(bad)} of {len(lines)} records are accepted"
        if not bad:
            return Answer(accepted=True, code="accepted", detail=f"{good}.")
        first = bad[0]
        detail = f"{good}; record {first['index']}, from 0: {first['detail']}"
        return Answer(accepted=False, code=first["code"], detail=detail)
    return Answer(accepted=True, code="duplicate" if answer["duplicate"] else "accepted")


def _unavailable(error: Exception) -> Unavailable:
    _log.warning("ingest does not answer", error=str(error))
    return Unavailable(f"Ingest takes nothing now: {error}.", retry_after=1)
