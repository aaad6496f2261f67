"""Brings the inputs of a model's records into our own store, and looks at what they show.

Both are noted, and done once for each URI and each content, however many records name it. So it
costs in proportion to what is new.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog

from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.adapters.payloads.fetch import PayloadFetcher
from burnish.adapters.payloads.pictures import Look, Pictures, look_at
from burnish.adapters.sources.places import SourceFailed
from burnish.adapters.sql.payloads import Fetched, SqlPayloads
from burnish.datasets.contents import REMEDIES, Contents, elsewhere
from burnish.datasets.curation import locate
from burnish.datasets.model import Reason
from burnish.feedback.admission import payload_allowed
from burnish.feedback.ports import FeedbackUnit
from burnish.feedback.prediction import PredictionStore
from burnish.feedback.verdict import Offsets, Verdict
from burnish.imaging import UnreadableImage
from burnish.kernel.clock import Clock
from burnish.kernel.digest import digest
from burnish.kernel.objects import ObjectNotFound, Objects, payload_key
from burnish.kernel.policy import ModelPolicy, NearDuplicate

_log = structlog.get_logger("burnish.payloads")

_PAGE: Final = 1000  # verdicts looked at, and URIs noted, at a time

Looks = dict[str, Look | None]  # digest -> what it shows, None if it is no image


class PayloadUnit(FeedbackUnit, Protocol):
    """One transaction that reads verdicts and the predictions that they name."""

    @property
    def predictions(self) -> PredictionStore:
        """What serving answered, with its captured inputs."""
        ...


@dataclass(frozen=True, kw_only=True)
class PayloadCollector:
    """Fetches and looks at what the records of a model name as their inputs."""

    views: Callable[[], PayloadUnit]
    payloads: SqlPayloads
    objects: Objects
    fetcher: PayloadFetcher
    pictures: Pictures
    clock: Clock
    parallel: int  # fetches at once

    def collect(self, policy: ModelPolicy, since: Offsets, *, again: bool = True) -> Offsets:
        """Fetch and look at the inputs of the records beyond some offsets.

        Args:
            policy: the model's; only what its `payload.allow` covers is fetched.
            since: where to begin, per shard.
            again: whether URIs that gave nothing before are tried anew, a thousand at most.

        Returns the offsets up to which it has looked. Raises SourceFailed if a place where inputs
        lie does not answer; what the other places gave is kept.
        """
        with (
            closing(self.fetcher),
            ThreadPoolExecutor(self.parallel, "payload") as pool,
        ):
            if again:
                self._fetch(pool, policy, self.payloads.failed(limit=_PAGE))
            looked = dict(since)
            with self.views() as view:
                ends = view.feedback.offsets()
            for shard, end in sorted(ends.items()):
                first = looked.get(shard, 0)
                for verdicts in self._pages(policy.name, shard, first, end):
                    self._bring(pool, policy, verdicts)
                looked[shard] = max(first, end)
        return looked

    def _pages(self, model: str, shard: str, first: int, end: int) -> Iterator[list[Verdict]]:
        while first < end:
            with self.views() as view:
                page = view.feedback.of_shard(shard, first, model=model, limit=_PAGE)
            if not page:
                return
            yield page
            first = page[-1].offset + 1

    def _bring(self, pool: Executor, policy: ModelPolicy, verdicts: list[Verdict]) -> None:
        how = policy.dataset.near_duplicate
        uris = elsewhere(verdicts)
        fetched = self.payloads.fetched(uris)
        self._fetch(pool, policy, uris - fetched.keys())
        named = {one.prediction_id for one in verdicts if one.prediction_id is not None}
        with self.views() as view:
            predictions = view.predictions.lookup(named)
        found = locate(
            verdicts,
            predictions,
            policy.feedback.window,
            contents=Contents(fetched=self.payloads.fetched(uris)),
        )
        contents = {one for one in found.values() if not isinstance(one, Reason)}
        look = partial(self._look, closely=how is NearDuplicate.PERCEPTUAL)
        looks: Looks = {}
        for one in pool.map(look, self.payloads.unseen(contents, how)):
            looks |= one
        self.pictures.note(looks)

    def _fetch(self, pool: Executor, policy: ModelPolicy, uris: Collection[str]) -> None:
        """Fetch what is allowed, note what it gave, and look at that at once."""
        allow = policy.payload.allow
        wanted = sorted(uri for uri in uris if payload_allowed(uri, allow))
        down: dict[str, str] = {}  # place -> why; who waits for one would wait for all
        one = partial(
            self._fetch_one,
            allow=allow,
            closely=policy.dataset.near_duplicate is NearDuplicate.PERCEPTUAL,
            down=down,
        )
        left_out: Counter[Reason] = Counter()
        for start in range(0, len(wanted), _PAGE):
            page = [found for found in pool.map(one, wanted[start : start + _PAGE]) if found]
            self.payloads.note([fetched for fetched, _ in page], now=self.clock())
            looks: Looks = {}
            for fetched, look in page:
                looks |= look
                if fetched.reason is not None:
                    left_out[fetched.reason] += 1
                    _log.debug("payload.unusable", uri=_shown(fetched.uri), why=fetched.detail)
            unseen = self.payloads.unseen(looks, policy.dataset.near_duplicate)
            self.pictures.note({name: looks[name] for name in unseen})
        for reason, count in left_out.items():
            _log.warning(
                "payloads.left_out",
                model=policy.name,
                reason=reason,
                count=count,
                fix=REMEDIES[reason],
            )
        if down:
            place, why = min(down.items())
            raise SourceFailed(
                f"Inputs of {policy.name} could not be fetched from {place}: {why}. Nothing was"
                " built, and what serves goes on serving. Mend it and retry the run, or take the"
                " place out of `payload.allow`.",
                model=policy.name,
                source=place,
            )

    def _fetch_one(
        self, uri: str, *, allow: tuple[str, ...], closely: bool, down: dict[str, str]
    ) -> tuple[Fetched, Looks] | None:
        place = _place(uri)
        if place in down:
            return None
        try:
            data = self.fetcher.fetch(uri, allow)
            look = look_at(data, closely=closely)
        except PayloadSourceDown as error:
            down[place] = error.detail
            return None
        except PayloadUnusable as error:
            return Fetched(uri=uri, reason=error.reason, detail=error.detail), {}
        except UnreadableImage as error:
            why = Fetched(uri=uri, reason=Reason.PAYLOAD_UNREADABLE, detail=error.detail)
            return why, {}
        sha256 = digest(data)
        self.objects.put(payload_key(sha256), data)
        return Fetched(uri=uri, sha256=sha256), {sha256: look}

    def _look(self, sha256: str, *, closely: bool) -> Mapping[str, Look | None]:
        """Look at a content of our own; one that is not there yet may come."""
        try:
            return {sha256: look_at(self.objects.get(payload_key(sha256)), closely=closely)}
        except UnreadableImage:
            return {sha256: None}
        except ObjectNotFound:
            return {}


def _place(uri: str) -> str:
    """Return where a URI's bytes lie, as far as all of it may be down at once.

    >>> _place("https://photos.example:8443/7.jpg?token=1"), _place("file:///mnt/photos/7.jpg")
    ('https://photos.example:8443', 'file:///mnt/photos')
    """
    parts = urlsplit(uri)
    folder = parts.path.rpartition("/")[0] if parts.scheme == "file" else ""
    return f"{parts.scheme}://{parts.netloc}{folder}"


def _shown(uri: str) -> str:
    """Return a URI without its query, which may hold a signature."""
    return uri.partition("?")[0]
