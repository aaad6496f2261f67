"""What a worker does about feedback as it comes: look at its inputs, bring others in, decide."""

import threading
from collections.abc import Callable
from typing import Final

from burnish.adapters.raw_log import RawLogReader
from burnish.bootstrap.following import Follower
from burnish.bootstrap.gathering import gathering
from burnish.bootstrap.house import House
from burnish.bootstrap.repeating import Repeating
from burnish.kernel.policy import ModelPolicy

GATHER_S: Final = 1.0  # between two looks whether there are inputs that nobody has looked at
LOOK_FIRST_S: Final = 0.2  # that a decision on new records waits for their photos to be seen
STEP_S: Final = 2.5  # for photos that are under way at the end, there and here


class Attention:
    """Three threads: one decides, one looks at photos, one asks other places.

    That a place hangs keeps nobody from looking at photos that are here, and that there are very
    many of these keeps nobody from deciding.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._seen = threading.Event()  # photos of new records, or so many of them as there is time
        self._follower = Follower(house, self._look_first)
        raw_log = RawLogReader(house.objects, house.engine)
        self.gathering = gathering(house, raw_log, self._follower.project)
        self._deciding = Repeating(
            "feedback", house.settings.worker.poll_seconds, self._follower.look
        )
        # They may be in the middle of many photos; whatever they have not noted is done again.
        self._looking = Repeating("inputs", GATHER_S, self._look, daemon=True)
        self._fetching = Repeating("sources", GATHER_S, self._gather, daemon=True)

    def start(self) -> None:
        """Begin."""
        for one in (self._deciding, self._looking, self._fetching):
            one.start()

    def stop(self) -> None:
        """End, and wait for the decision that is under way; for photos only a moment."""
        for one in (self._deciding, self._looking, self._fetching):
            one.end()
        self._deciding.join()
        for one in (self._looking, self._fetching):
            one.join(STEP_S)

    def _look_first(self) -> None:
        """Give photos that have just come a moment to be looked at, so that they count at once."""
        self._seen.clear()
        self._looking.wake()
        self._seen.wait(LOOK_FIRST_S)

    def _look(self) -> None:
        if self._for_each_model(self.gathering.look):
            self._looking.wake()
            self._seen.set()
            self._deciding.wake()

    def _gather(self) -> None:
        if self._for_each_model(self.gathering.gather):
            self._fetching.wake()
            self._deciding.wake()

    def _for_each_model(self, step: Callable[[ModelPolicy], bool]) -> bool:
        """Take a step for each model in turn; tell whether any has more to do at once.

        One whose step fails does not keep the others from theirs.
        """
        with self._house.view() as view:
            policies = [model.policy for model in view.models.list()]
        more, errors = False, []
        for policy in policies:
            try:
                more |= step(policy)
            except Exception as error:  # noqa: BLE001  the others want looking at no less
                errors.append(error)
        if errors:
            raise ExceptionGroup("the inputs of some models could not be looked at", errors)
        return more
