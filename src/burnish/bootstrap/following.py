"""Following feedback: from the raw log into the projection, from there to decisions."""

import time
from collections.abc import Callable
from typing import Final

from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.system import utc_now
from burnish.bootstrap.house import House
from burnish.datasets.contents import Noted
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.triggers.service import consider

RECONSIDER_S: Final = 5.0  # between two looks at a model that had no news: time passes, runs end


class Follower:
    """Looks whether the raw log has grown, and considers the models that this is news to."""

    def __init__(self, house: House, news: Callable[[], object] = lambda: None) -> None:
        """Take the house, and what is told when there is news, before anything is decided."""
        self._house = house
        self._news = news
        self._raw_log = RawLogReader(house.objects, house.engine)
        self._looked: dict[str, float] = {}  # by model, on the monotonic clock
        self._noted = Noted()

    def look(self) -> None:
        """Project what is new; consider each model with news, and the others now and then.

        That an input was looked at may be news to any model. One that cannot be considered does not
        keep the others from it.
        """
        news = set(self.project())
        if news:
            self._news()
        with self._house.view() as view:
            policies = [model.policy for model in view.models.list()]
            noted = view.payloads.noted()
        if noted != self._noted:
            self._noted = noted
            news = {policy.name for policy in policies}
        now = time.monotonic()
        errors = []
        for policy in policies:
            overdue = now - self._looked.get(policy.name, -RECONSIDER_S) >= RECONSIDER_S
            if policy.name not in news and not overdue:
                continue
            self._looked[policy.name] = now
            try:
                consider(self._house.unit, self._house.view, policy, now=utc_now())
            except Exception as error:  # noqa: BLE001  the others want considering no less
                errors.append(error)
        if errors:
            raise ExceptionGroup("some models could not be considered", errors)

    def project(self) -> list[str]:
        """Bring the projection up to the raw log; return the models with news."""
        return project(self._raw_log, self._house.unit, record_of)
