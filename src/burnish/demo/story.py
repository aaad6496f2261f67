"""The plot: a first model, then rounds of production, correction, training and hot swap."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from random import Random
from typing import Any, Final

import msgspec

from burnish.client.http import Http
from burnish.demo.album import Album, DemoError, Photo
from burnish.demo.answers import Answer
from burnish.demo.chaos import FIRST, Chaos
from burnish.demo.chronicle import ANSWER_S, Chronicle, failure
from burnish.demo.follow import PROMOTED, Follower
from burnish.demo.platform import Platform
from burnish.demo.proof import RecordKey
from burnish.demo.result import Result
from burnish.demo.reviewer import Reviewed, label, record, review
from burnish.demo.screen import Screen
from burnish.demo.traffic import RATE, Traffic, predict

ROUNDS: Final = 3
CALLERS: Final = 2  # arriving photos asked about at once
UPLOADERS: Final = 2
DECISION_S: Final = 60.0  # within which a trigger that will fire has fired
REFUSED: Final = 300  # results of a batch from here on are no acceptance
BATCH: Final = "application/x-ndjson"


class Story:
    """One telling on a running platform."""

    def __init__(
        self,
        album: Album,
        platform: Platform,
        screen: Screen,
        chaos: Chaos,
        *,
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        """Take the stage; the platform must be ready."""
        self._album, self._platform, self._screen = album, platform, screen
        self._chaos, self._clock, self._random = chaos, clock, random
        self._control, self._ingest = platform.control(), platform.ingest()
        self._follower = Follower(self._control, album.model, screen, platform.check)
        self._traffic = Traffic(platform.serve_url, album.model, album.passers)
        self._chronicle = Chronicle(album.model, platform, self._control, screen, self._traffic)
        self._truth = {photo.name: photo.label for photo in album.stream}
        self._arrived = 0
        self._asked: list[Answer] = []  # about arriving photos
        self.accepted: list[RecordKey] = []  # every record that we were told is kept

    def tell(self) -> None:
        """Tell it from the first model to the last round."""
        with self._chaos.round(0, FIRST):
            self._first_model()
        for number in range(1, ROUNDS + 1):
            with self._chaos.round(number):
                self._round(number)

    def close(self) -> None:
        """Stop the traffic and hang up."""
        self._traffic.stop()
        self._control.close()
        self._ingest.close()

    def result(self, wall_seconds: float) -> Result:
        """Stop the traffic and add everything up."""
        self._traffic.stop()
        return self._chronicle.result(self._asked, wall_seconds)

    def _first_model(self) -> None:
        album = self._album
        self._screen.headline(f"The first model: {len(album.first)} {album.opening}")
        lines = self._upload(album.holdout, f"{album.model}-holdout")
        lines += self._upload(album.first, f"{album.model}-seed")
        before = self._follower.runs()
        # One batch: the first training must not begin with half of the labels.
        accepted = self._send(lines)
        run = self._follow(before)
        if run is None or run["state"] != PROMOTED:
            raise DemoError(f"The first model did not come about: {failure(run)}.")
        self._wait_serving()
        self._traffic.start()
        self._screen.say(f"  From now on, {RATE:.0f} background requests a second until the end.")
        self._chronicle.write(run, accepted, Reviewed())

    def _round(self, number: int) -> None:
        self._screen.headline(f"Round {number}: photos of both kinds arrive")
        reviewed = Reviewed()
        before, run, accepted = self._follower.runs(), None, time.monotonic()
        pace = self._album.pace
        arrivals = pace.arrivals
        while run is None and self._arrived < len(self._album.stream):
            fresh = self._arrive(arrivals)
            arrivals = pace.more
            while self._short(fresh) and self._arrived < len(self._album.stream):
                fresh += self._arrive(arrivals)
            accepted = self._review(fresh)
            reviewed += fresh
            run = self._follow(before)
        self._chronicle.write(run, accepted, reviewed)

    def _upload(self, photos: Sequence[Photo], source: str) -> list[dict[str, Any]]:
        """Store photos as payloads; return a label record for each, to be sent."""
        at = self._clock()

        def store(photo: Photo) -> dict[str, Any]:
            stored = self._control.post(
                "/v1/payloads", photo.read(), content_type=photo.media_type, idempotent=True
            )
            phase.advance()
            return label(photo, stored.json()["uri"], self._album.model, source=source, at=at)

        with (
            self._screen.phase("uploading", total=len(photos)) as phase,
            ThreadPoolExecutor(UPLOADERS) as pool,
        ):
            phase.note = f"{len(photos)} photos, source {source}"
            return list(pool.map(store, photos))

    def _arrive(self, arrivals: int) -> Reviewed:
        """Let the next photos arrive at the predict API and have some of the answers looked at."""
        photos = self._album.stream[self._arrived : self._arrived + arrivals]
        self._arrived += len(photos)
        with self._screen.phase("photos arriving", total=len(photos)) as phase:
            answers = self._ask(photos, phase.advance)
            right = sum(answer.label == self._truth[answer.photo] for answer in answers)
            phase.note = f"{right} of {len(photos)} answers are right"
        self._asked.extend(answers)
        pace = self._album.pace
        looks = len(photos) * pace.looks // pace.arrivals
        return Reviewed(tuple(answers), tuple(review(answers, self._truth, looks, self._random)))

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

    def _short(self, fresh: Reviewed) -> bool:
        """Tell whether the reviewer found too few mistakes for the trigger to fire."""
        counts = self._follower.model().get("corrections") or {}
        have = int(counts.get("effective") or 0)
        needed = int(counts.get("needed") or self._album.pace.min_corrections)
        return have + len(fresh.corrections) < needed

    def _review(self, fresh: Reviewed) -> float:
        """Send the verdicts and return when the last correction was accepted.

        Confirmations go one by one, as they come from an application. Corrections follow in one
        batch: the one that fires the trigger then is the last, and none is left for later.
        """
        source, at = f"{self._album.model}-review", self._clock()
        with self._screen.phase("confirming", total=len(fresh.confirmations)) as phase:
            phase.note = f"{len(fresh.confirmations)} right answers"
            for verdict in fresh.confirmations:
                line = record(verdict, self._album.model, source=source, at=at)
                self._ingest.post("/v1/feedback", line, idempotent=True)
                self.accepted.append((line["source"], line["id"]))
                phase.advance()
        with self._screen.phase("correcting") as phase:
            phase.note = f"{len(fresh.corrections)} wrong answers"
            return self._send(
                [
                    record(verdict, self._album.model, source=source, at=at)
                    for verdict in fresh.corrections
                ]
            )

    def _send(self, lines: list[dict[str, Any]]) -> float:
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

    def _follow(self, before: set[str]) -> dict[str, Any] | None:
        run_id = self._follower.fired(before, timeout_s=DECISION_S)
        return None if run_id is None else self._follower.follow(run_id)

    def _wait_serving(self) -> None:
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
