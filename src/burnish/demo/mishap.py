"""The second act: a candidate trained on shuffled labels, refused, forced through, rolled back."""

import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from random import Random
from typing import Any, Final

from burnish.client.api import ApiClient, ApiProblem, Unreachable
from burnish.demo.album import Album, DemoError
from burnish.demo.application import Application
from burnish.demo.chronicle import Chronicle
from burnish.demo.follow import PROMOTED, Follower
from burnish.demo.policy import GOOD_LINE, policy
from burnish.demo.reviewer import review
from burnish.demo.screen import Screen

REFUSED: Final = "REJECTED"
REASON: Final = "The reviewers know better than the gate."  # famous last words
TRIGGER_S: Final = 120.0  # within which an import of this size has fired the trigger
BATCH: Final = 40  # photos that arrive, and whose answers are all looked at, at a time
VERDICT_S: Final = 30.0  # for the last verdicts to be counted


class Mishap:
    """What can go wrong, and how the platform takes it."""

    def __init__(
        self,
        album: Album,
        *,
        control: ApiClient,
        application: Application,
        follower: Follower,
        chronicle: Chronicle,
        screen: Screen,
        random: Random,
    ) -> None:
        """Go on where the rounds ended."""
        self._album, self._control, self._application = album, control, application
        self._follower, self._chronicle, self._screen = follower, chronicle, screen
        self._random = random

    def tell(self) -> None:
        """Tell it; what it comes to is in the chronicle."""
        self._raise_line()
        run = self._bad_candidate()
        if run["state"] == REFUSED:  # if not, the result says that it should have been
            self._chronicle.refuse(run)
            self._force(run)
            self._watch()

    def _raise_line(self) -> None:
        """Ask more of a model that has become good, as any operator would."""
        self._screen.headline("The model is good by now, so the rollback line follows it")
        self._apply(policy(self._album, rollback=GOOD_LINE))
        self._screen.say(f"  A release that is right less often than {GOOD_LINE} gives way.")

    def _apply(self, text: str) -> None:
        """Store a policy, whatever its revision has become meanwhile."""
        while True:
            model = self._control.get(f"/v1/models/{self._album.model}")
            try:
                self._control.put(
                    f"/v1/models/{self._album.model}",
                    text.encode(),
                    if_match=model.etag,
                    content_type="application/toml",
                )
            except ApiProblem as problem:
                if problem.status != HTTPStatus.PRECONDITION_FAILED:
                    raise
            else:
                return

    def _bad_candidate(self) -> dict[str, Any]:
        """Import shuffled labels and return the run that learns from them, once it has settled."""
        judged = self._application.judged
        self._screen.headline(f"A mishap: {len(judged)} labels imported, each beside a wrong photo")
        before = self._follower.runs()
        labels = shuffled(judged, self._album.labels, self._random)
        self._application.relabel(labels, f"{self._album.model}-import")
        run_id = self._follower.fired(before, timeout_s=TRIGGER_S)
        if run_id is None:
            raise DemoError("The imported labels did not start a training.")
        return self._follower.follow(run_id)

    def _force(self, refused: dict[str, Any]) -> None:
        """Do as an operator who trusts the labels: stop the trigger, override the gates."""
        self._screen.headline("An operator overrides the gates")
        self._screen.say(f"  “{REASON}”")
        self._apply(policy(self._album, rollback=GOOD_LINE, paused=True))
        self._screen.say("  The trigger is paused: nothing trains meanwhile.")
        run = self._follower.follow(self._override(refused))
        if run["state"] != PROMOTED:
            raise DemoError(f"The override of run {refused['id']} ended {run['state']}.")
        self._chronicle.forced()

    def _override(self, refused: dict[str, Any]) -> str:
        """Override the gates and return the run that this starts.

        A lost answer does not say whether it has: then the list of runs does.
        """
        before = self._follower.runs()
        while True:
            try:
                started = self._control.post(
                    f"/v1/runs/{refused['id']}/override",
                    {"reason": REASON},
                    if_match=str(refused["revision"]),
                )
            except Unreachable:
                self._follower.pause()
                begun = self._follower.runs() - before
                if begun:
                    return begun.pop()
            else:
                return str(started.json()["id"])

    def _watch(self) -> None:
        """Let photos arrive, and random draws of the answers be judged, until it is taken back."""
        self._screen.headline("Photos arrive, and people look at the answers")
        bad, judged = self._follower.active(), 0
        while self._application.waiting and self._follower.active() == bad:
            answers = self._application.arrive(BATCH)
            verdicts = review(
                answers, self._application.truth, len(answers), self._random, doubtful=0.0
            )
            self._application.report(verdicts)
            judged += sum(verdict.answer.generation == bad["generation"] for verdict in verdicts)
            self._weigh(bad, judged)
        if self._follower.active() != bad:
            self._chronicle.taken_back(bad, self._application.asked)

    def _weigh(self, bad: dict[str, Any], judged: int) -> None:
        """Wait until so many verdicts are weighed against a release, or it is taken back."""
        deadline = time.monotonic() + VERDICT_S
        with self._screen.phase("weighing") as phase:
            while time.monotonic() < deadline:
                live = self._follower.live(bad["id"])
                phase.note = _odds(live)
                phase.show(min(1.0, live["rollback"]["sampled"] / live["rollback"]["needed"]))
                if live["outcomes"] >= judged or self._follower.active() != bad:
                    return
                self._follower.pause()


def _odds(live: dict[str, Any]) -> str:
    if live["accuracy"] is None:
        return "nobody has said anything yet"
    against = live["rollback"]
    return (
        f"{live['accuracy']:.3f} of {live['sampled']} are right; odds that this is below "
        f"{against['line']:g}: {against['sampled']:.3g} to 1, decisive at {against['needed']:g}"
    )


def shuffled(subjects: Iterable[str], labels: Sequence[str], random: Random) -> dict[str, str]:
    """Deal labels out to subjects from a shuffled pack that holds as many of each.

    >>> dealt = shuffled(map(str, range(8)), ["good", "defect"], Random(1))
    >>> sorted(dealt.values()).count("good"), shuffled("ab", ["x", "y"], Random(3)).keys()
    (4, dict_keys(['a', 'b']))
    """
    names = sorted(subjects)
    pack = [labels[number % len(labels)] for number in range(len(names))]
    random.shuffle(pack)
    return dict(zip(names, pack, strict=True))
