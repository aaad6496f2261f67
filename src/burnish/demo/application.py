"""The application around the model: photos arrive, it asks serving, it sends what people say."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import msgspec

from burnish.client.http import Http
from burnish.demo.album import Album, DemoError, Photo
from burnish.demo.answers import Answer
from burnish.demo.platform import Platform
from burnish.demo.proof import RecordKey
from burnish.demo.reviewer import Reviewed, Verdict, label, record
from burnish.demo.screen import Screen
from burnish.demo.traffic import predict

ANSWER_S: Final = 120.0  # within which serving answers with what has been released
CALLERS: Final = 2  # arriving photos asked about at once
UPLOADERS: Final = 2
REFUSED: Final = 300  # results of a batch from here on are no acceptance
BATCH: Final = "application/x-ndjson"


class Application:
    """What a user of the platform has built; it knows the platform by HTTP alone."""

    def __init__(
        self, album: Album, platform: Platform, screen: Screen, *, clock: Callable[[], datetime]
    ) -> None:
        """Connect to a platform that is ready."""
        self._album, self._platform, self._screen = album, platform, screen
        self._clock = clock
        self._control, self._ingest = platform.control(), platform.ingest()
        self._arrived = 0
        self.truth: Mapping[str, str] = {photo.name: photo.label for photo in album.stream}
        self.asked: list[Answer] = []  # about arriving photos
        self.accepted: list[RecordKey] = []  # every record that we were told is kept
        self.judged: dict[str, str] = {}  # photo that models learn from -> URI of its payload

    def close(self) -> None:
        """Hang up."""
        self._control.close()
        self._ingest.close()

    @property
    def waiting(self) -> int:
        """How many photos are still to arrive."""
        return len(self._album.stream) - self._arrived

    def label(self, holdout: Sequence[Photo], first: Sequence[Photo]) -> float:
        """Send the photos that judge every model and those that the first one learns from.

        Returns when they were accepted, as every sending does: in seconds, monotonic.
        """
        lines = [
            *self._upload(holdout, f"{self._album.model}-holdout"),
            *self._upload(first, f"{self._album.model}-seed"),
        ]
        first_names = {photo.name for photo in first}
        self.judged |= {
            line["subject_id"]: line["payload"]
            for line in lines
            if line["subject_id"] in first_names
        }
        # One batch: the first training must not begin with half of the labels.
        return self.send(lines)

    def relabel(self, labels: Mapping[str, str], source: str) -> float:
        """Send labels for photos that were judged before, as an import from elsewhere would."""
        at = self._clock()
        return self.send(
            [
                label(subject, final, self.judged[subject], self._album.model, source=source, at=at)
                for subject, final in labels.items()
            ]
        )

    def arrive(self, count: int, phase: str = "photos arriving") -> list[Answer]:
        """Let the next photos arrive, and ask serving about each."""
        photos = self._album.stream[self._arrived : self._arrived + count]
        self._arrived += len(photos)
        with self._screen.phase(phase, total=len(photos)) as shown:
            answers = self._ask(photos, shown.advance)
            right = sum(answer.label == self.truth[answer.photo] for answer in answers)
            shown.note = f"{right} of {len(photos)} answers are right"
        self.asked.extend(answers)
        return answers

    def review(self, fresh: Reviewed) -> float:
        """Send verdicts: confirmations one by one, as an application would, then corrections.

        Corrections travel in one batch: the one that fires the trigger then is the last, and none
        is left for later.
        """
        with self._screen.phase("confirming", total=len(fresh.confirmations)) as phase:
            phase.note = f"{len(fresh.confirmations)} right answers"
            for line in self._records(fresh.confirmations):
                self._ingest.post("/v1/feedback", line, idempotent=True)
                self.accepted.append((line["source"], line["id"]))
                phase.advance()
        with self._screen.phase("correcting") as phase:
            phase.note = f"{len(fresh.corrections)} wrong answers"
            return self.send(self._records(fresh.corrections))

    def report(self, verdicts: Sequence[Verdict]) -> float:
        """Send verdicts in one batch, in the order of their answers."""
        return self.send(self._records(verdicts))

    def send(self, lines: list[dict[str, Any]]) -> float:
        """Send records as one batch; return when they were accepted. Raises DemoError if not."""
        if lines:
            body = b"\n".join(msgspec.json.encode(line) for line in lines)
            reply = self._ingest.post(
                "/v1/feedback/batch", body, content_type=BATCH, idempotent=True
            )
            refused = [result for result in reply.json()["results"] if result["status"] >= REFUSED]
            if refused:
                raise DemoError(f"{len(refused)} records were refused, the first: {refused[0]}")
            self.accepted.extend((line["source"], line["id"]) for line in lines)
        return time.monotonic()

    def wait_serving(self) -> None:
        """Return once serving answers for the model; before that there is nothing to call."""
        photo = self._album.passers[0]
        data, deadline = photo.read(), time.monotonic() + ANSWER_S
        url, model = self._platform.serve_url, self._album.model
        with Http() as http:
            while predict(http, url, model, photo, data).failed:
                self._platform.check()
                if time.monotonic() > deadline:
                    raise DemoError(f"Serving did not take the release up within {ANSWER_S:.0f} s.")
                time.sleep(0.02)

    def _records(self, verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
        source, at = f"{self._album.model}-review", self._clock()
        lines = [record(verdict, self._album.model, source=source, at=at) for verdict in verdicts]
        self.judged |= {line["subject_id"]: line["payload"] for line in lines}
        return lines

    def _upload(self, photos: Sequence[Photo], source: str) -> list[dict[str, Any]]:
        """Store photos as payloads; return a label record for each, to be sent."""
        at = self._clock()

        def store(photo: Photo) -> dict[str, Any]:
            stored = self._control.post(
                "/v1/payloads", photo.read(), content_type=photo.media_type, idempotent=True
            )
            phase.advance()
            uri = stored.json()["uri"]
            return label(photo.name, photo.label, uri, self._album.model, source=source, at=at)

        with (
            self._screen.phase("uploading", total=len(photos)) as phase,
            ThreadPoolExecutor(UPLOADERS) as pool,
        ):
            phase.note = f"{len(photos)} photos, source {source}"
            return list(pool.map(store, photos))

    def _ask(self, photos: Sequence[Photo], tick: Callable[[], None]) -> list[Answer]:
        # Connections of their own: those of an earlier round may be closed by now.
        with Http() as http, ThreadPoolExecutor(CALLERS) as pool:

            def ask(photo: Photo) -> Answer:
                answer = predict(
                    http, self._platform.serve_url, self._album.model, photo, photo.read()
                )
                tick()
                return answer

            return list(pool.map(ask, photos))
