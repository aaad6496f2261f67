"""The plot: a first model, then rounds of production, correction, training and hot swap."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from random import Random
from typing import Any, Final

import msgspec
from msgspec import Struct

from burnish.client.connection import Connection
from burnish.demo.album import Album, DemoError, Photo
from burnish.demo.answers import Answer, Identity, summarise
from burnish.demo.follow import PROMOTED, Follower
from burnish.demo.platform import Platform
from burnish.demo.result import Result, Round, Swap
from burnish.demo.reviewer import Verdict, label, record, review
from burnish.demo.screen import Screen
from burnish.demo.traffic import Traffic, predict

ROUNDS: Final = 3
ARRIVALS: Final = 300  # photos that arrive in a round
LOOKS: Final = 200  # answers to them that the reviewer looks at
MORE: Final = 60  # photos that arrive at a time when a round has not enough corrections yet
MIN_CORRECTIONS: Final = 25  # the policy's trigger
CALLERS: Final = 2  # arriving photos asked about at once
DECISION_S: Final = 15.0  # within which a trigger that will fire has fired
ANSWER_S: Final = 60.0  # within which serving answers with what has been released
BATCH: Final = "application/x-ndjson"

POLICY: Final = """\
# The demo's policy. It has no floors and a low rollback line: it starts bad on purpose.
name = "{model}"
kind = "image-classification"
labels = {labels}

[trigger]
min_corrections = {corrections}
min_days = 0
urgent_corrections = 100000

[dataset]
holdout_source = "{model}-holdout"  # exactly these photos judge every model and train none

[gates]
validation = 0
holdout = 0
per_class = 0
p_better = 0.90

[release]
approval = "auto"

[monitor]
rollback = 0.65
"""


class _Reviewed(Struct, frozen=True):
    """What arrived in a round, and what the reviewer said about it."""

    answers: list[Answer]
    verdicts: list[Verdict]

    @property
    def corrections(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.corrects]

    @property
    def confirmations(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if not verdict.corrects]


def policy(album: Album) -> str:
    """Return the policy file of an album's model."""
    labels = msgspec.json.encode(album.labels).decode()
    return POLICY.format(model=album.model, labels=labels, corrections=MIN_CORRECTIONS)


class Story:
    """One telling on a running platform."""

    def __init__(
        self,
        album: Album,
        platform: Platform,
        screen: Screen,
        *,
        clock: Callable[[], datetime],
        random: Random,
    ) -> None:
        """Take the stage; the platform must be ready."""
        self._album, self._platform, self._screen = album, platform, screen
        self._clock, self._random = clock, random
        self._control, self._ingest = platform.control(), platform.ingest()
        self._follower = Follower(self._control, album.model, screen, platform.check)
        self._traffic = Traffic(platform.serve_url, album.model, album.passers)
        self._truth = {photo.name: photo.label for photo in album.stream}
        self._arrived = 0
        self._asked: list[Answer] = []  # about arriving photos
        self._known: set[Identity] = set()
        self._rounds: list[Round] = []

    def tell(self) -> None:
        """Tell it from the first model to the last round."""
        self._rounds.append(self._first_model())
        for number in range(1, ROUNDS + 1):
            self._rounds.append(self._round(number))

    def close(self) -> None:
        """Stop the traffic and hang up."""
        self._traffic.stop()
        self._control.close()
        self._ingest.close()

    def result(self, wall_seconds: float) -> Result:
        """Add everything up; the traffic must have stopped."""
        self._note_releases()
        return Result(
            rounds=self._rounds,
            serving=summarise(self._traffic.answers, self._asked, self._known),
            swaps=self._swaps(),
            wall_seconds=round(wall_seconds, 2),
        )

    def _first_model(self) -> Round:
        album, at = self._album, self._clock()
        self._screen.headline(f"The first model: {len(album.first)} labelled photos of one kind")
        lines = []
        photos = [(photo, f"{album.model}-holdout") for photo in album.holdout]
        photos += [(photo, f"{album.model}-seed") for photo in album.first]
        with self._screen.phase("uploading photos", total=len(photos)) as phase:
            for photo, source in photos:
                stored = self._control.post("/v1/payloads", photo.read(), content_type="image/png")
                lines.append(label(photo, stored["uri"], album.model, source=source, at=at))
                phase.advance()
            phase.note = f"{len(album.holdout)} of them only ever judge"
        before = self._follower.runs()
        # One batch: the first training must not begin with half of the labels.
        accepted = self._send(lines)
        run = self._follow(before)
        if run is None or run["state"] != PROMOTED:
            raise DemoError(f"The first model did not come about: {_failure(run)}")
        self._wait_serving()
        self._traffic.start()
        return self._report(0, run, accepted, _Reviewed([], []))

    def _round(self, number: int) -> Round:
        self._screen.headline(f"Round {number}: photos of both kinds arrive")
        reviewed = _Reviewed([], [])
        before, run, accepted = self._follower.runs(), None, time.monotonic()
        arrivals, looks = ARRIVALS, LOOKS
        while run is None and self._arrived < len(self._album.stream):
            fresh = self._arrive(number, arrivals, looks)
            while self._short(fresh) and self._arrived < len(self._album.stream):
                more = self._arrive(number, MORE, MORE * LOOKS // ARRIVALS)
                fresh = _Reviewed(fresh.answers + more.answers, fresh.verdicts + more.verdicts)
            accepted = self._review(fresh)
            reviewed = _Reviewed(
                reviewed.answers + fresh.answers, reviewed.verdicts + fresh.verdicts
            )
            run = self._follow(before)
            arrivals, looks = MORE, MORE * LOOKS // ARRIVALS
        return self._report(number, run, accepted, reviewed)

    def _short(self, fresh: _Reviewed) -> bool:
        """Tell whether the reviewer found too few mistakes for the trigger to fire."""
        counts = self._follower.model().get("corrections") or {}
        have = int(counts.get("effective") or 0)
        return have + len(fresh.corrections) < int(counts.get("needed") or MIN_CORRECTIONS)

    def _arrive(self, number: int, arrivals: int, looks: int) -> _Reviewed:
        """Let the next photos arrive at the predict API and have some of the answers looked at."""
        photos = self._album.stream[self._arrived : self._arrived + arrivals]
        self._arrived += len(photos)
        answers = self._ask(photos)
        self._asked.extend(answers)
        verdicts = review(answers, self._truth, looks, self._random)
        right = sum(answer.label == self._truth[answer.photo] for answer in answers)
        self._screen.say(
            f"    round {number}: {right} of {len(answers)} answers are right;"
            f" the reviewer looks at {len(verdicts)} of them"
        )
        return _Reviewed(answers, verdicts)

    def _ask(self, photos: Sequence[Photo]) -> list[Answer]:
        def ask(share: Sequence[Photo]) -> list[Answer]:
            connection = Connection(self._platform.serve_url)
            answers = []
            for photo in share:
                answers.append(predict(connection, self._album.model, photo, photo.read()))
                phase.advance()
            connection.close()
            return answers

        with (
            self._screen.phase("photos arriving", total=len(photos)) as phase,
            ThreadPoolExecutor(CALLERS) as pool,
        ):
            shares = pool.map(ask, [photos[caller::CALLERS] for caller in range(CALLERS)])
            return [answer for share in shares for answer in share]

    def _review(self, fresh: _Reviewed) -> float:
        """Send the verdicts and return when the last correction was accepted.

        Confirmations go one by one, as they come from an application. Corrections follow in one
        batch: the one that fires the trigger then is the last, and none is left for later.
        """
        source = f"{self._album.model}-review"
        model, at = self._album.model, self._clock()
        with self._screen.phase("confirming", total=len(fresh.confirmations)) as phase:
            for verdict in fresh.confirmations:
                self._ingest.post("/v1/feedback", record(verdict, model, source=source, at=at))
                phase.advance()
            phase.note = f"{len(fresh.confirmations)} right answers"
        with self._screen.phase("correcting") as phase:
            accepted = self._send(
                [record(verdict, model, source=source, at=at) for verdict in fresh.corrections]
            )
            phase.note = f"{len(fresh.corrections)} wrong answers"
        return accepted

    def _send(self, lines: list[dict[str, Any]]) -> float:
        """Send records as one batch; return when they were accepted. Raises DemoError if not."""
        if lines:
            body = b"\n".join(msgspec.json.encode(line) for line in lines)
            reply = self._ingest.post("/v1/feedback/batch", body, content_type=BATCH)
            refused = [result for result in reply["results"] if result["status"] >= 300]  # noqa: PLR2004
            if refused:
                raise DemoError(f"{len(refused)} records were refused, the first: {refused[0]}")
        return time.monotonic()

    def _follow(self, before: set[str]) -> dict[str, Any] | None:
        run_id = self._follower.fired(before, timeout_s=DECISION_S)
        return None if run_id is None else self._follower.follow(run_id)

    def _wait_serving(self) -> None:
        """Return once serving answers for the model; before that there is nothing to call."""
        connection = Connection(self._platform.serve_url)
        photo = self._album.passers[0]
        data, deadline = photo.read(), time.monotonic() + ANSWER_S
        while predict(connection, self._album.model, photo, data).failed:
            self._platform.check()
            if time.monotonic() > deadline:
                raise DemoError(f"Serving did not take the release up within {ANSWER_S:.0f} s.")
            time.sleep(0.02)
        connection.close()

    def _report(
        self, number: int, run: dict[str, Any] | None, accepted: float, reviewed: _Reviewed
    ) -> Round:
        """Write a round down, once the new model has answered if there is one."""
        promoted = run is not None and run["state"] == PROMOTED
        loop_seconds = None
        if promoted:
            self._note_releases()
            active = self._control.get(f"/v1/models/{self._album.model}/release")
            seen = self._traffic.first_answer(
                int(active["generation"]), timeout_s=ANSWER_S, meanwhile=self._platform.check
            )
            loop_seconds = round(seen - accepted, 2)
            self._screen.say(
                f"  [bold green]Version {active['model_version']} answers,[/]"
                f" {loop_seconds:.1f} s after the last correction."
            )
        else:
            self._screen.say(f"  [yellow]No new model: {_failure(run)}")
        run = run or {}
        dataset = self._detail("/v1/datasets/", run.get("dataset"))
        evaluation = self._detail("/v1/evaluations/", run.get("evaluation"))
        holdout = evaluation.get("holdout") or {}
        counts = dataset.get("counts") or {}
        return Round(
            round=number,
            model_version=run.get("candidate"),
            dataset=run.get("dataset"),
            corrections=len(reviewed.corrections),
            train_n=sum((counts.get("train") or {}).values()),
            holdout_accuracy=holdout.get("accuracy"),
            holdout_n=int(holdout.get("n") or 0),
            verdict=evaluation.get("verdict") or run.get("state"),
            train_seconds=self._follower.job_seconds(run),
            loop_seconds=loop_seconds,
            promoted=promoted,
            holdout_low=holdout.get("low"),
            holdout_high=holdout.get("high"),
            confirmations=len(reviewed.confirmations),
        )

    def _detail(self, path: str, key: str | None) -> dict[str, Any]:
        return self._control.get(path + key) if key else {}

    def _note_releases(self) -> None:
        """Remember which releases there are: only these may ever answer."""
        for release in self._control.items("/v1/releases", model=self._album.model):
            if release.get("generation") is not None:
                self._known.add(
                    (release["id"], int(release["generation"]), release["model_version"])
                )

    def _swaps(self) -> list[Swap]:
        """Return every swap that a replica reported, with versions for release ids."""
        versions = {release: version for release, _, version in self._known}
        return [
            Swap(
                source=versions.get(swap.get("from"), swap.get("from")),
                target=versions.get(swap.get("to"), swap.get("to")),
                swap_us=swap.get("swap_us"),
                ready_seconds=swap.get("ready_seconds"),
            )
            for replica in self._control.items("/v1/replicas")
            for swap in replica["models"].get(self._album.model, {}).get("swaps", [])
        ]


def _failure(run: dict[str, Any] | None) -> str:
    if run is None:
        return "the trigger did not fire"
    why = run.get("failure") or run.get("failed_step") or ""
    return f"its run ended {run['state']}" + (f": {why}" if why else "")
