"""Following the inputs that records name: the new ones first, then older ones, late ones again.

An input may come after its record: the prediction is logged later, the bytes are stored later, a
place is down. What was not there is tried again, ever more seldom.
"""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

import structlog
from msgspec import Struct

from burnish.adapters.payloads.collector import PAGE, PayloadCollector
from burnish.datasets.contents import Names
from burnish.datasets.model import Dataset
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import ModelPolicy

FIRST_REST_S: Final = 1.0  # before what is late is tried again; doubles with each attempt
LONGEST_REST_S: Final = 300.0
TOLD_S: Final = 60.0  # from this rest on, what is still not there is logged

_log = structlog.get_logger("burnish.payloads")

Bring = Callable[[ModelPolicy, Names], Names]  # returns what is to be tried again


class _Late(Struct, frozen=True, order=True):
    """Names to try again."""

    due: float  # monotonic seconds
    number: int  # tells equals apart
    rest_s: float  # before it
    names: Names


class _Followed(Struct):
    """How far one model is followed."""

    policy: str  # digest: another may want a closer look
    offsets: Offsets  # of the newest records that were taken
    older: Offsets  # of those before, for which there is time when nothing is new
    end: Offsets  # of these
    late: list[_Late]  # a heap


class Following:
    """Brings the inputs of each model's records, a page at a time.

    Args:
        collector: knows what records name.
        bring: what to do about it.
        newest: the newest dataset version of a model: what came after it is new.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        collector: PayloadCollector,
        bring: Bring,
        newest: Callable[[str], Dataset | None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._collector = collector
        self._bring = bring
        self._newest = newest
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        self._number = 0

    def step(self, policy: ModelPolicy) -> bool:
        """Bring what is late, and a page of what is new; tell whether there is more at once."""
        model = policy.name
        known = self._followed.get(model)
        if known is None or known.policy != policy.digest:
            known = self._begun(policy)
            self._followed[model] = known
        self._bring_late(policy, known)
        with self._collector.views() as view:
            ends = view.feedback.offsets()
        page = self._collector.page(model, known.offsets, ends)
        if page is not None:
            self._take(policy, known, page[0])
            known.offsets = page[1]
            return True
        page = self._collector.page(model, known.older, known.end)
        if page is not None:
            self._take(policy, known, page[0])
            known.older = page[1]
        return page is not None

    def _begun(self, policy: ModelPolicy) -> _Followed:
        newest = self._newest(policy.name)
        if newest is None:
            return _Followed(policy.digest, {}, {}, {}, [])
        # Under the same policy, the run that built it has looked at all of it.
        older = newest.offsets if newest.policy_digest == policy.digest else {}
        return _Followed(policy.digest, newest.offsets, older, newest.offsets, [])

    def _bring_late(self, policy: ModelPolicy, known: _Followed) -> None:
        now, names, due = self._clock(), Names(), list[_Late]()
        while known.late and known.late[0].due <= now and len(names) < PAGE:
            due.append(heappop(known.late))
            names |= due[-1].names
        if not due:
            return
        try:
            rest_s = max(late.rest_s for late in due)
            self._take(policy, known, names, min(2 * rest_s, LONGEST_REST_S))
        except BaseException:
            for late in due:
                heappush(known.late, late)
            raise

    def _take(
        self,
        policy: ModelPolicy,
        known: _Followed,
        names: Names,
        rest_s: float = FIRST_REST_S,
    ) -> None:
        left = self._bring(policy, names) if names else names
        if left:
            if rest_s >= TOLD_S:
                _log.warning(
                    "payloads.late", model=policy.name, count=len(left), first=left.example
                )
            self._number += 1
            due = self._clock() + rest_s
            heappush(known.late, _Late(due, self._number, rest_s, left))
