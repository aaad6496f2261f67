"""Send corrections to Burnish: standard library only, and nothing is ever sent twice by mistake.

    with Feedback("http://127.0.0.1:8401", token, source="laundry-app") as feedback:
        feedback.send({"model": "laundry", "subject_id": "task-7", "predicted": "good",
                       "final": "defect", "corrected": True, "actor": "kim",
                       "occurred_at": "2026-05-01T10:00:00Z", "payload": uri})

A record without an id gets a UUIDv7 before its first attempt, so that every retry is the same
record to the server, however many answers were lost on the way.
"""

import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final, Self

from burnish.client.http import TIMEOUT_S, ApiProblem, Http, Retry, Unreachable

__all__ = ["ApiProblem", "Feedback", "Unreachable"]

BATCH_RECORDS: Final = 1000


class Feedback:
    """A connection to the feedback front, kept alive; safe in any thread.

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
        timeout_s: float = TIMEOUT_S,
        patience_s: float = 60.0,
    ) -> None:
        self._http = Http(base_url, token, timeout=timeout_s, retry=Retry(deadline=patience_s))
        self._source = source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def send(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Send one record; return {"source", "id", "offset", "shard", "duplicate"}.

        It is durable once this returns. Raises ApiProblem if it is refused, and Unreachable or
        ApiProblem if the server did not take it within `patience_s`.
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
        headers = {"Content-Type": content_type}
        return self._http.request("POST", path, body, headers, idempotent=True).json()


def _uuid7() -> str:
    """Return a UUIDv7. (RFC 9562, section 5.7)."""
    noise = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000
    high, low = noise >> 68, noise & ((1 << 62) - 1)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
