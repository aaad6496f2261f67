"""Send corrections to Burnish: standard library only, and nothing is ever sent twice by mistake.

    with Feedback("http://127.0.0.1:8401", token, source="laundry-app") as feedback:
        feedback.send({"model": "laundry", "subject_id": "task-7", "predicted": "good",
                       "final": "defect", "corrected": True, "actor": "kim",
                       "occurred_at": "2026-05-01T10:00:00Z", "payload": uri})

A record without an id gets a UUIDv7 before its first attempt, so that every retry is the same
record to the server, however many answers were lost on the way.
"""

import http.client
import json
import os
import random
import time
import uuid
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, Self
from urllib.parse import urlsplit

BATCH_RECORDS: Final = 1000
_RETRIED: Final = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_WAIT_S: Final = 0.1
_CAP_WAIT_S: Final = 15.0


class FeedbackError(Exception):
    """The server refused: `status`, the stable `code`, and the whole problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        self.code = str(problem.get("code", ""))
        super().__init__(f"{status} {self.code}: {problem.get('detail', '')}")


class Feedback:
    """A connection to the feedback front, kept alive; one thread at a time.

    Args:
        base_url: of the front, such as http://127.0.0.1:8401.
        token: a key that may send feedback.
        source: the `source` of records that name none.
        timeout_s: seconds to wait for one answer.
        patience_s: seconds over which a call is retried before it gives up.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        source: str | None = None,
        timeout_s: float = 30.0,
        patience_s: float = 60.0,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"base_url is {base_url!r}: write it as http://host:8401")
        secure = parts.scheme == "https"
        connect = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = connect(parts.hostname, parts.port, timeout=timeout_s)
        self._prefix = parts.path.rstrip("/")
        self._token, self._source, self._patience_s = token, source, patience_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Send one record; return {"source", "id", "offset", "shard", "duplicate"}.

        It is durable once this returns. Raises FeedbackError if it is refused, and OSError or
        FeedbackError if the server did not take it within `patience_s`.
        """
        body = json.dumps(self._named(record)).encode()
        answer: dict[str, Any] = self._post("/v1/feedback", body, "application/json")
        return answer

    def send_many(self, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send records in batches; return one {"index", "status", "code", …} for each, in order.

        A bad record costs its neighbours nothing: look at its `status`. Raises as `send` does if a
        whole batch is refused; records of earlier batches are durable then.
        """
        results: list[dict[str, Any]] = []
        remaining = iter(records)
        while batch := list(islice(remaining, BATCH_RECORDS)):
            body = b"\n".join(json.dumps(self._named(one)).encode() for one in batch)
            answer = self._post("/v1/feedback/batch", body, "application/x-ndjson")
            first = len(results)
            results += [{**line, "index": first + line["index"]} for line in answer["results"]]
        return results

    def seal(self) -> int:
        """Have everything sent so far persisted; return the shard's persisted offset."""
        return int(self._post("/v1/seal", b"", "application/json")["persisted_offset"])

    def _named(self, record: Mapping[str, Any]) -> dict[str, Any]:
        named = {"id": _uuid7(), "source": self._source, **record}
        if named["source"] is None:
            raise ValueError("source is missing: name it in the record or in Feedback(source=…)")
        return named

    def _post(self, path: str, body: bytes, content_type: str) -> Any:
        until = time.monotonic() + self._patience_s
        wait = _FIRST_WAIT_S
        while True:
            try:
                status, retry_after, answer = self._attempt(path, body, content_type)
            except (OSError, http.client.HTTPException):
                self._connection.close()  # the next attempt opens it again
                if time.monotonic() + wait > until:
                    raise
                pause = wait
            else:
                if status < http.client.MULTIPLE_CHOICES:
                    return answer
                pause = max(wait, retry_after)
                if status not in _RETRIED or time.monotonic() + pause > until:
                    raise FeedbackError(status, answer)
            time.sleep(pause * random.uniform(1.0, 1.5))  # noqa: S311 - jitter is no secret
            wait = min(_CAP_WAIT_S, wait * 2)

    def _attempt(self, path: str, body: bytes, content_type: str) -> tuple[int, float, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        self._connection.request("POST", self._prefix + path, body, headers)
        response = self._connection.getresponse()
        raw = response.read()
        try:
            answer = json.loads(raw)
        except ValueError:
            answer = {"detail": raw[:200].decode(errors="replace")}
        after = response.headers.get("Retry-After", "")
        return response.status, float(after) if after.isdecimal() else 0.0, answer


def _uuid7() -> str:
    """Return a UUIDv7. (RFC 9562, section 5.7)."""
    noise = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000
    high, low = noise >> 68, noise & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
