"""Brings the inputs of a model's records into our own store, and looks at what they show.

Both are noted, and done once for each URI and each content, however many records name it. So it
costs in proportion to what is new.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog

from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.adapters.payloads.fetch import PayloadFetcher
from burnish.adapters.payloads.pictures import Look, Pictures, look_at
from burnish.adapters.sources.places import SourceFailed
from burnish.adapters.sql.payloads import Fetched, SqlPayloads
from burnish.datasets.advice import ADVICE
from burnish.datasets.contents import Names, place_of
from burnish.datasets.model import Reason
from burnish.feedback.admission import payload_allowed
from burnish.feedback.ports import FeedbackUnit
from burnish.feedback.prediction import PredictionStore
from burnish.feedback.verdict import Offsets
from burnish.imaging import UnreadableImage
from burnish.kernel.clock import Clock
from burnish.kernel.digest import digest
from burnish.kernel.errors import BurnishError
from burnish.kernel.objects import ObjectNotFound, Objects, payload_key
from burnish.kernel.policy import ModelPolicy, NearDuplicate

_log = structlog.get_logger("burnish.payloads")

PAGE: Final = 200  # records whose inputs are looked up at a time, before it is others' turn
_AGAIN: Final = 1000  # URIs that gave nothing, tried again by a run
_BATCH: Final = 100  # inputs that are noted at a time: until then, nobody knows of them

Down = dict[str, str]  # place -> why; who waits in vain for one input waits for no other there
Each = Callable[[Callable[[str], Any]], Callable[[str], Any]]  # what to do where one fails
Looks = dict[str, Look | None]  # digest -> what it shows, None if it is no image


class PayloadUnit(FeedbackUnit, Protocol):
    """One transaction that reads verdicts and the predictions that they name."""

    @property
    def predictions(self) -> PredictionStore:
        """What serving answered, with its captured inputs."""
        ...


def _strict(one: Callable[[str], Any]) -> Callable[[str], Any]:
    """Fail with the first input that fails: a build must not begin without it."""
    return one


def _forgiving(one: Callable[[str], Any]) -> Callable[[str], Any]:
    """Log what nobody foresaw, and go on: one input must not keep all others from counting."""

    def tried(name: str) -> Any:
        try:
            return one(name)
        except BurnishError:  # our own store is down, say: all would fail
            raise
        except Exception:  # noqa: BLE001  it is tried again
            _log.exception("payload.failed", name=_shown(name))
            return None

    return tried


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
        """Fetch and look at the inputs of all records beyond some offsets.

        Args:
            policy: the model's; only what its `payload.allow` covers is fetched.
            since: where to begin, per shard.
            again: whether URIs that gave nothing before are tried anew, a thousand at most.

        Returns the offsets up to which it has looked. Raises SourceFailed if a place where inputs
        lie does not answer; what the other places gave is kept.
        """
        down: Down = {}
        looked = since
        with closing(self.fetcher), self._pool() as pool:
            if again:
                self._fetch(pool, policy, self.payloads.failed(limit=_AGAIN), down)
            with self.views() as view:
                ends = view.feedback.offsets()
            while (page := self.page(policy.name, looked, ends)) is not None:
                names, looked = page
                self._fetch(pool, policy, self._new(names), down)
                self._look(pool, policy, names)
        if down:
            place, why = min(down.items())
            raise SourceFailed(
                f"Inputs of {policy.name} could not be fetched from {place}: {why}. Nothing was"
                " built, and what serves goes on serving. Mend it and retry the run, or take the"
                " place out of `payload.allow`.",
                model=policy.name,
                source=place,
            )
        return looked

    def page(self, model: str, since: Offsets, upto: Offsets) -> tuple[Names, Offsets] | None:
        """Return what the next records name, and the offsets behind them; None at the end."""
        for shard, end in sorted(upto.items()):
            first = since.get(shard, 0)
            if first >= end:
                continue
            with self.views() as view:
                page = view.feedback.of_shard(shard, first, model=model, limit=PAGE)
            behind = page[-1].offset + 1 if len(page) == PAGE else end
            return Names.of(one for one in page if one.offset < end), {**since, shard: behind}
        return None

    def look(self, policy: ModelPolicy, names: Names) -> Names:
        """Look at what lies in our own store; return what is not there yet, or not known yet.

        What was never fetched is none of it.
        """
        with self._pool() as pool:
            return self._look(pool, policy, names, each=_forgiving)

    def fetch(self, policy: ModelPolicy, names: Names) -> Names:
        """Fetch and look at what lies elsewhere; return what a place that is down did not give."""
        allow, down = policy.payload.allow, Down()
        new = frozenset(uri for uri in self._new(names) if payload_allowed(uri, allow))
        if new:
            with closing(self.fetcher), self._pool() as pool:
                self._fetch(pool, policy, new, down, each=_forgiving)
        for place, why in sorted(down.items()):
            _log.warning("payloads.down", model=policy.name, place=place, why=why)
        return Names(uris=self._new(Names(uris=new)))

    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.parallel, "payload")

    def _new(self, names: Names) -> frozenset[str]:
        return names.uris - self.payloads.fetched(names.uris).keys()

    def _look(
        self, pool: Executor, policy: ModelPolicy, names: Names, *, each: Each = _strict
    ) -> Names:
        how = policy.dataset.near_duplicate
        with self.views() as view:
            predictions = view.predictions.lookup(names.predictions)
        captured = (one.payload_sha256 for one in predictions.values())
        given = (*self.payloads.fetched(names.uris).values(), *captured)
        contents = names.contents | {
            one for one in given if one is not None and not isinstance(one, Reason)
        }
        look = partial(self._look_at, closely=how is NearDuplicate.PERCEPTUAL)
        gone: set[str] = set()
        for batch in _batches(self.payloads.unseen(contents, how)):
            looks: Looks = {}
            for one in pool.map(each(look), batch):
                looks |= one or {}
            self.pictures.note(looks)
            gone |= set(batch) - looks.keys()
        return Names(contents=frozenset(gone), predictions=names.predictions - predictions.keys())

    def _fetch(
        self,
        pool: Executor,
        policy: ModelPolicy,
        uris: Collection[str],
        down: Down,
        *,
        each: Each = _strict,
    ) -> None:
        """Fetch what is allowed, look at it, and note both; `down` gains places that fail."""
        allow = policy.payload.allow
        wanted = sorted(uri for uri in uris if payload_allowed(uri, allow))
        closely = policy.dataset.near_duplicate is NearDuplicate.PERCEPTUAL
        one = partial(self._fetch_one, allow=allow, closely=closely, down=down)
        left_out: Counter[Reason] = Counter()
        for batch in _batches(wanted):
            page = [found for found in pool.map(each(one), batch) if found]
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
                fix=ADVICE[reason],
            )

    def _fetch_one(
        self, uri: str, *, allow: tuple[str, ...], closely: bool, down: Down
    ) -> tuple[Fetched, Looks] | None:
        place = place_of(uri)
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

    def _look_at(self, sha256: str, *, closely: bool) -> Mapping[str, Look | None]:
        """Look at a content of our own; one that is not there yet may come."""
        try:
            return {sha256: look_at(self.objects.get(payload_key(sha256)), closely=closely)}
        except UnreadableImage:
            return {sha256: None}
        except ObjectNotFound:
            return {}


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _BATCH] for start in range(0, len(names), _BATCH))


def _shown(uri: str) -> str:
    """Return a URI without its query, which may hold a signature."""
    return uri.partition("?")[0]
