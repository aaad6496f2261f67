"""Everything that a model's policy names beside the front: its SQL sources and its inputs.

A run gathers before it builds, and fails if it cannot. A worker gathers all the time besides: so
triggers know of what sources hold, and an input is fetched before its place forgets it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from msgspec import Struct

from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sources.collector import SourceCollector
from burnish.datasets.model import Dataset
from burnish.feedback.verdict import Offsets
from burnish.kernel.errors import BurnishError
from burnish.kernel.policy import ModelPolicy, shard_of

_log = structlog.get_logger("burnish.sources")

_REST_S: Final = 30.0  # after a failed look at a model


class _Followed(Struct):
    offsets: Offsets  # whose inputs were looked at
    policy: str  # digest of the one that they were looked at under
    sources_at: float  # monotonic seconds of the next look at SQL sources
    again_at: float  # of the next look at all


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
        self._followed: dict[str, _Followed] = {}

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

    def look(self, policy: ModelPolicy) -> None:
        """Gather what is new; a failure is logged, and tried again after a while."""
        now, model = time.monotonic(), policy.name
        known = self._followed.get(model)
        if known is None or known.policy != policy.digest:
            known = _Followed(self._begin(policy), policy.digest, 0.0, 0.0)
            self._followed[model] = known
        if now < known.again_at:
            return
        try:
            if policy.sources and now >= known.sources_at:
                known.sources_at = now + self._every_s
                self._sources.collect(policy)
                self._project()
            known.offsets = self._payloads.collect(policy, known.offsets, again=False)
        except BurnishError as error:
            known.again_at = now + _REST_S
            _log.warning("gathering.failed", model=model, code=error.code, error=error.detail)

    def _begin(self, policy: ModelPolicy) -> Offsets:
        """Return up to where inputs were looked at for sure: those of a version like the next."""
        newest = self._newest(policy.name)
        return newest.offsets if newest and newest.policy_digest == policy.digest else {}
