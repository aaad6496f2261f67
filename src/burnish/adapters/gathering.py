"""Everything that a model's policy names beside the front: its SQL sources and its inputs.

A run gathers before it builds, and fails if it cannot. A worker gathers all the time besides: so
triggers know of what sources hold, and an input is fetched before its place forgets it. It looks at
our own inputs in one thread and asks other places in another: a place that hangs must not keep
triggers from counting photos that are here.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.following import Following
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sources.collector import SourceCollector
from burnish.datasets.model import Dataset
from burnish.feedback.verdict import Offsets
from burnish.kernel.errors import BurnishError
from burnish.kernel.policy import ModelPolicy, shard_of

_log = structlog.get_logger("burnish.sources")

_REST_S: Final = 30.0  # after a look at SQL sources that failed


class Gathering:
    """Brings other sources and inputs up to now.

    Args:
        sources: reads SQL sources.
        payloads: fetches and looks at inputs.
        raw_log: tells how far the sources' shards reach.
        project: brings the projection up to the raw log.
        newest: the newest dataset version of a model.
        every_s: how often SQL sources are looked at.
    """

    def __init__(
        self,
        *,
        sources: SourceCollector,
        payloads: PayloadCollector,
        raw_log: RawLogReader,
        project: Callable[[], object],
        newest: Callable[[str], Dataset | None],
        every_s: float,
    ) -> None:
        self._sources = sources
        self._payloads = payloads
        self._raw_log = raw_log
        self._project = project
        self._newest = newest
        self._every_s = every_s
        self._read_at: dict[str, float] = {}  # policy digest -> next look at its SQL sources
        self._looking = Following(payloads, payloads.look, newest)
        self._fetching = Following(payloads, payloads.fetch, newest)

    def for_run(self, policy: ModelPolicy) -> Mapping[str, int]:
        """Gather all that a build needs; return how far the sources' shards reach.

        Raises SourceFailed, SourceMisfit: which one, and what to do.
        """
        self._sources.collect(policy)
        self._project()
        self._payloads.collect(policy, self._begin(policy))
        ends = self._raw_log.end()
        shards = [shard_of(policy.name, source) for source in policy.sources]
        return {shard: ends[shard] for shard in shards if shard in ends}

    def look(self, policy: ModelPolicy) -> bool:
        """Look at inputs in our own store that are new; tell whether there is more to look at."""
        return self._looking.step(policy)

    def gather(self, policy: ModelPolicy) -> bool:
        """Bring in what is new elsewhere; tell whether there is more.

        A source that cannot be read is logged, and tried again after a while.
        """
        now = time.monotonic()
        if policy.sources and now >= self._read_at.get(policy.digest, now):
            self._read_at[policy.digest] = now + self._every_s
            try:
                self._sources.collect(policy)
                self._project()
            except BurnishError as error:
                self._read_at[policy.digest] = now + _REST_S
                _log.warning(
                    "gathering.failed", model=policy.name, code=error.code, error=error.detail
                )
        return self._fetching.step(policy)

    def _begin(self, policy: ModelPolicy) -> Offsets:
        """Return up to where inputs were looked at for sure: those of a version like the next."""
        newest = self._newest(policy.name)
        return newest.offsets if newest and newest.policy_digest == policy.digest else {}
