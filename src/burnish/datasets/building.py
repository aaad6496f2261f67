"""Building: what a version adds to its parent, or all of it where it cannot go on from one."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from burnish.datasets import manifest as files
from burnish.datasets.accounting import Totals
from burnish.datasets.blanking import without
from burnish.datasets.columns import Asked
from burnish.datasets.contents import Contents, Noted, known, replaced
from burnish.datasets.digests import from_text
from burnish.datasets.growth import Before, Grown, grow
from burnish.datasets.layers import History, Layer
from burnish.datasets.looking import Missing, World, absent
from burnish.datasets.manifest import File, Manifest, State
from burnish.datasets.model import Dataset, DatasetError, OffsetsAhead, Reason
from burnish.datasets.ports import DatasetUnit, Reader
from burnish.datasets.reading import Read
from burnish.datasets.splits import Ledger, judges
from burnish.datasets.versions import load_ledger
from burnish.feedback.erasure import Identity
from burnish.feedback.ports import RawLog
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.objects import Objects
from burnish.kernel.policy import ModelPolicy


@dataclass(frozen=True, kw_only=True)
class Built:
    """A version that has no number yet."""

    below: list[tuple[File, Layer]]  # layers of the parent that it keeps
    grown: Grown
    erased: int  # records that it was built without
    noted: Noted  # how much of its inputs was noted when it began


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Makes versions of what the world says; fields as of `DatasetService`."""

    raw_log: RawLog
    reader: Reader
    objects: Objects
    units: Callable[[], DatasetUnit]
    missing: Missing | None

    def build(
        self, policy: ModelPolicy, offsets: Offsets, parent: Dataset | None, *, spent: bool
    ) -> Built:
        """Return the version of these offsets; it goes on from its parent if it can.

        Args:
            policy: the model's.
            offsets: up to where to read.
            parent: the version whose sides it keeps.
            spent: whether the parent's holdout is worn.

        Raises as `DatasetService.build` does, but for Stale.
        """
        self._check_persisted(offsets)
        with self.units() as unit:
            erased = unit.tombstones.identities(policy.name)
            noted = unit.payloads.noted()
        built: Grown | None = None
        below: list[tuple[File, Layer]] = []
        if parent is not None and not spent and _continues(parent, policy, offsets):
            manifest = files.load_manifest(self.objects, parent)
            state = files.load_value(self.objects, manifest.state, State)
            # What is erased is never given back: as many records are the same records.
            if state.rest == state.rest.under(policy.dataset) and state.erased == len(erased):
                below = files.load_layers(self.objects, manifest, check=False)
                built = self._grown(policy, offsets, erased, (manifest, state), below)
        if built is None:
            built = self._from_nothing(policy, offsets, parent, erased, spent=spent)
        return Built(below=below, grown=built, erased=len(erased), noted=noted)

    def from_nothing(
        self, policy: ModelPolicy, offsets: Offsets, parent: Dataset | None, *, spent: bool
    ) -> Grown:
        """Return what `build` would if it could not go on from the parent."""
        self._check_persisted(offsets)
        with self.units() as unit:
            erased = unit.tombstones.identities(policy.name)
        return self._from_nothing(policy, offsets, parent, erased, spent=spent)

    def _grown(
        self,
        policy: ModelPolicy,
        offsets: Offsets,
        erased: Collection[Identity],
        parent: tuple[Manifest, State],
        below: list[tuple[File, Layer]],
    ) -> Grown:
        manifest, state = parent
        since = manifest.sources[0].offsets
        with self.units() as unit:
            news = unit.payloads.replaced(policy.dataset.near_duplicate, since=state.noted)
        return grow(
            History(policy.name, [layer for _, layer in below]),
            without(self._read(policy, since, offsets, manifest.epoch), erased),
            policy,
            ledger=state.rest,
            world=self._world(policy),
            before=Before(
                totals=_totals(manifest),
                offsets=since,
                open=state.open,
                standings=state.standings,
                replaced=news,
            ),
        )

    def _from_nothing(
        self,
        policy: ModelPolicy,
        offsets: Offsets,
        parent: Dataset | None,
        erased: Collection[Identity],
        *,
        spent: bool,
    ) -> Grown:
        """Return a build of the whole raw log; of the parent it keeps the ledger."""
        rules = policy.dataset
        former = Ledger(holdout_source=rules.holdout_source)
        if parent is not None:
            former = load_ledger(self.objects, parent)
        ledger = former.under(rules)

        def built(ledger: Ledger, *, worn: bool = False) -> Grown:
            read = without(self._read(policy, {}, offsets, ledger.epoch), erased)
            return grow(
                History(policy.name, []),
                read,
                policy,
                ledger=ledger,
                world=self._world(policy),
                before=Before(
                    totals=Totals.none(policy.labels),
                    offsets={} if parent is None else parent.offsets,
                ),
                worn=worn,
            )

        if spent and ledger.epoch == former.epoch and not rules.holdout_source:
            with suppress(DatasetError):
                fresh = built(ledger.rotated())
                if judges(fresh.totals.held, rules):
                    return fresh
            return built(ledger, worn=True)
        return built(ledger)

    def _read(self, policy: ModelPolicy, since: Offsets, offsets: Offsets, epoch: int) -> Read:
        asked = Asked(
            model=policy.name,
            labels=policy.labels,
            validation=policy.dataset.validation,
            epoch=epoch,
            exam=policy.dataset.holdout_source,
        )
        return self.reader.read(asked, since, offsets)

    def _world(self, policy: ModelPolicy) -> World:
        def contents(verdicts: Sequence[Verdict], named: Mapping[str, Prediction]) -> Contents:
            with self.units() as unit:
                return known(unit.payloads, policy, verdicts, named)

        def others(asked: Collection[str]) -> Mapping[str, str | Reason]:
            with self.units() as unit:
                return replaced(unit.payloads, asked, policy.dataset.near_duplicate)

        missing = self.missing or partial(absent, self.objects)
        return World(self._predictions, missing, contents, others)

    def _predictions(self, ids: Collection[str]) -> Mapping[str, Prediction]:
        with self.units() as unit:
            return unit.predictions.lookup(ids)

    def _check_persisted(self, offsets: Offsets) -> None:
        persisted = self.raw_log.end()
        for shard, end in sorted(offsets.items()):
            if end > persisted.get(shard, 0):
                raise OffsetsAhead(
                    f"Shard {shard!r} is persisted up to offset {persisted.get(shard, 0)}, not"
                    f" {end}: seal what ingest has accepted, then build again.",
                    shard=shard,
                    persisted=persisted.get(shard, 0),
                    asked=end,
                )


def _continues(parent: Dataset, policy: ModelPolicy, offsets: Offsets) -> bool:
    """Tell whether a build may go on from its parent: same rules, no line less, nobody waiting."""
    return (
        parent.policy_digest == policy.digest
        and Reason.RESERVED.value not in parent.left_out
        and all(offsets.get(shard, 0) >= end for shard, end in parent.offsets.items())
    )


def _totals(manifest: Manifest) -> Totals:
    return Totals(
        sum=from_text(manifest.sum),
        counts=manifest.counts,
        left_out=manifest.left_out,
        effective=manifest.corrections.effective,
        records=manifest.sources[0].records,
    )
