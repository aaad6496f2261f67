"""Sends records by way of an outbox, without end, and says which were taken."""

import sys
from itertools import count

from burnish.client.feedback import Feedback


def main(url: str, token: str, outbox: str, source: str, life: str) -> None:
    feedback = Feedback(url, token, source=source, outbox=outbox)
    for number in count():
        record = {
            "id": f"{life}-{number}",
            "model": "laundry",
            "subject_id": f"task-{life}-{number}",
            "predicted": "good",
            "final": "defect",
            "corrected": True,
            "actor": "kim",
            "occurred_at": "2026-05-01T10:00:00Z",
            "payload": "burnish:sha256:" + "ab" * 32,
        }
        sys.stdout.write(feedback.send(record).id + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
