"""The plot: a first model, then rounds of production, correction, training and hot swap."""

import time
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any, Final

from burnish.demo.album import Album, DemoError
from burnish.demo.application import Application
from burnish.demo.chaos import ACT, FIRST, Chaos
from burnish.demo.chronicle import Chronicle, failure
from burnish.demo.follow import PROMOTED, Follower
from burnish.demo.mishap import Mishap
from burnish.demo.platform import Platform
from burnish.demo.proof import RecordKey
from burnish.demo.report import Judged, Tale
from burnish.demo.reviewer import Reviewed, review
from burnish.demo.screen import Screen
from burnish.demo.traffic import RATE, Traffic

ROUNDS: Final = 3
DECISION_S: Final = 120.0  # within which a trigger that will fire has fired


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
        self._album, self._screen = album, screen
        self._chaos, self._random = chaos, random
        self._control = platform.control()
        self._application = Application(album, platform, screen, clock=clock)
        self._follower = Follower(self._control, album.model, screen, platform.check)
        self._traffic = Traffic(platform.serve_url, album.model, album.passers)
        self._chronicle = Chronicle(album.model, platform, self._control, screen, self._traffic)
        self._mishap = Mishap(
            album,
            control=self._control,
            application=self._application,
            follower=self._follower,
            chronicle=self._chronicle,
            screen=screen,
            random=random,
        )

    def tell(self) -> None:
        """Tell it from the first model to the way back from a bad one."""
        with self._chaos.round(0, FIRST):
            self._first_model()
        for number in range(1, ROUNDS + 1):
            with self._chaos.round(number):
                self._round(number)
        with self._chaos.round(ROUNDS + 1, ACT):
            self._mishap.tell()

    @property
    def accepted(self) -> list[RecordKey]:
        """Every record that we were told is kept."""
        return self._application.accepted

    def close(self) -> None:
        """Stop the traffic and hang up."""
        self._traffic.stop()
        self._application.close()
        self._control.close()

    def tale(self, began: float) -> Tale:
        """Stop the traffic and add everything up; `began` is when the story did, monotonic."""
        self._traffic.stop()
        asked, truth = self._application.asked, self._application.truth
        return Tale(
            title=self._album.title,
            cast=self._album.cast,
            result=self._chronicle.result(asked, time.monotonic() - began),
            answers=self._traffic.answers,
            judged=[
                Judged(
                    at=answer.ended,
                    right=answer.label == truth[answer.photo],
                    generation=answer.generation,
                )
                for answer in asked
                if not answer.failed
            ],
            began=began,
            refused_evaluation=self._chronicle.refused_report,
        )

    def _first_model(self) -> None:
        album = self._album
        self._screen.headline(f"The first model: {len(album.first)} {album.opening}")
        before = self._follower.runs()
        accepted = self._application.label(album.holdout, album.first)
        run = self._follow(before)
        if run is None or run["state"] != PROMOTED:
            raise DemoError(f"The first model did not come about: {failure(run)}.")
        self._application.wait_serving()
        self._traffic.start()
        self._screen.say(f"  From now on, {RATE:.0f} background requests a second until the end.")
        self._chronicle.write(run, accepted, Reviewed())

    def _round(self, number: int) -> None:
        self._screen.headline(f"Round {number}: photos of both kinds arrive")
        reviewed = Reviewed()
        before, run, accepted = self._follower.runs(), None, time.monotonic()
        pace = self._album.pace
        arrivals = pace.arrivals
        while run is None and self._application.waiting:
            fresh = self._arrive(arrivals)
            arrivals = pace.more
            while self._short(fresh) and self._application.waiting:
                fresh += self._arrive(arrivals)
            accepted = self._application.review(fresh)
            reviewed += fresh
            run = self._follow(before)
        self._chronicle.write(run, accepted, reviewed)

    def _arrive(self, arrivals: int) -> Reviewed:
        """Let the next photos arrive and have some of the answers looked at."""
        answers = self._application.arrive(arrivals)
        pace = self._album.pace
        looks = len(answers) * pace.looks // pace.arrivals
        verdicts = review(answers, self._application.truth, looks, self._random)
        return Reviewed(tuple(answers), tuple(verdicts))

    def _short(self, fresh: Reviewed) -> bool:
        """Tell whether the reviewer found too few mistakes for the trigger to fire."""
        counts = self._follower.model().get("corrections") or {}
        have = int(counts.get("effective") or 0)
        needed = int(counts.get("needed") or self._album.pace.min_corrections)
        return have + len(fresh.corrections) < needed

    def _follow(self, before: set[str]) -> dict[str, Any] | None:
        run_id = self._follower.fired(before, timeout_s=DECISION_S)
        return None if run_id is None else self._follower.follow(run_id)
