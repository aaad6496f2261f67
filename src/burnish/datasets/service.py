"""Building dataset versions, and reading them back."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from burnish.datasets import manifest as files
from burnish.datasets.accounting import Totals
from burnish.datasets.blanking import without
from burnish.datasets.contents import Contents, known
from burnish.datasets.digests import digest_of, from_text, to_text
from burnish.datasets.growth import Before, Grown, grow
from burnish.datasets.layers import History, Layer
from burnish.datasets.looking import Missing, World, absent
from burnish.datasets.looks import budget
from burnish.datasets.manifest import Corrections, File, Manifest, Source, State
from burnish.datasets.model import Dataset, DatasetError, Fate, OffsetsAhead, Reason, Row
from burnish.datasets.ports import DatasetUnit, Reader
from burnish.datasets.reading import Asked, Read
from burnish.datasets.sides import ledger_of
from burnish.datasets.splits import Ledger, judges
from burnish.datasets.versions import load_fates, load_rows
from burnish.feedback.erasure import Identity
from burnish.feedback.ports import RawLog
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.clock import Clock
from burnish.kernel.errors import Stale
from burnish.kernel.ids import DatasetId
from burnish.kernel.objects import Objects
from burnish.kernel.policy import ModelPolicy

BUILD_ATTEMPTS = 3  # against other builds of the same model that finish first


@dataclass(frozen=True, kw_only=True)
class DatasetService:
    """Builds versions from the raw log and hands out what they hold."""

    raw_log: RawLog
    reader: Reader
    objects: Objects
    units: Callable[[], DatasetUnit]
    clock: Clock
    tools: Mapping[str, str] = field(default_factory=dict)  # name -> version, for the manifest
    missing: Missing | None = None  # tells which contents have no bytes; None: ask `objects`

    def build(self, policy: ModelPolicy, offsets: Offsets, *, actor: Actor = SYSTEM) -> Dataset:
        """Return the version of the policy's model up to these offsets, building it if need be.

        The same offsets and policy always return the same version, and so do other offsets that
        lead to the same rows. The version becomes visible, whole, with its row in the database.

        Raises OffsetsAhead, RawLogGap, LabelOutsideSet, ClassTooSmall or EmptySplit; Stale if
        other builds of this model kept finishing first.
        """
        for attempt in range(1, BUILD_ATTEMPTS + 1):
            with self.units() as unit:
                known = unit.datasets.built(policy.name, offsets, policy.digest)
                if known and unit.tombstones.since(policy.name, known.created_at):
                    known = None  # it may hold what was erased
                parent = unit.datasets.newest(policy.name)
                spent = parent and budget(unit.looks, parent, policy.dataset).spent
            if known is not None:
                return known
            below, grown, erased = self._grow(policy, offsets, parent, spent=bool(spent))
            dataset = self._store(policy, offsets, parent, below, grown, erased=erased)
            try:
                return self._publish(dataset, actor)
            except Stale:
                if attempt == BUILD_ATTEMPTS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def get(self, dataset: DatasetId) -> Dataset:
        """Return one version. Raises DatasetNotFound."""
        with self.units() as unit:
            return unit.datasets.get(dataset)

    def versions(self, model: str | None = None) -> list[Dataset]:
        """Return the versions of one model or of all, newest first."""
        with self.units() as unit:
            return unit.datasets.list(model)

    def rows(self, dataset: Dataset) -> Iterator[Row]:
        """Yield the examples, sorted by subject. Raises DatasetCorrupt before the first."""
        yield from load_rows(self.objects, dataset)

    def manifest(self, dataset: Dataset) -> Manifest:
        """Return what the version was built from and by. Raises DatasetCorrupt."""
        return files.load_manifest(self.objects, dataset)

    def fates(self, dataset: Dataset) -> Iterator[Fate]:
        """Yield what became of each line of the raw log that the build read, by place."""
        yield from load_fates(self.objects, dataset)

    def ledger(self, dataset: Dataset) -> Ledger:
        """Return every side that a subject or a content was on up to this version."""
        manifest = self.manifest(dataset)
        state = files.load_value(self.objects, manifest.state, State)
        return ledger_of(files.load_history(self.objects, manifest), state.rest)

    def effective_since(self, dataset: Dataset, offsets: Offsets) -> int:
        """Count the effective corrections of a version whose verdicts lie beyond the offsets."""
        return sum(fate.effective and fate.beyond(offsets) for fate in self.fates(dataset))

    def rebuilt(self, policy: ModelPolicy, dataset: Dataset) -> str:
        """Return the digest that the raw log gives today for a version's policy and offsets.

        It is another one if a record or a payload was erased since. Raises as `build` does.
        """
        parent = self.get(dataset.parent) if dataset.parent else None
        rotated = parent is not None and dataset.epoch > parent.epoch
        spent = rotated or Reason.RESERVED.value in dataset.left_out
        self._check_persisted(dataset.offsets)
        with self.units() as unit:
            erased = unit.tombstones.identities(policy.name)
        totals = self._from_nothing(policy, dataset.offsets, parent, erased, spent=spent).totals
        return digest_of(totals.sum, totals.rows, policy.digest)

    def _grow(
        self, policy: ModelPolicy, offsets: Offsets, parent: Dataset | None, *, spent: bool
    ) -> tuple[list[tuple[File, Layer]], Grown, int]:
        """Return the parent's layers that the version keeps, what it adds, and what it leaves out.

        The last is the number of records that were erased.
        """
        self._check_persisted(offsets)
        with self.units() as unit:
            erased = unit.tombstones.identities(policy.name)
        if parent is not None and not spent and _continues(parent, policy, offsets):
            manifest = self.manifest(parent)
            state = files.load_value(self.objects, manifest.state, State)
            if state.rest == state.rest.under(policy.dataset) and state.erased == len(erased):
                layers = files.load_layers(self.objects, manifest, check=False)
                grown = grow(
                    History(policy.name, [layer for _, layer in layers]),
                    without(self._read(policy, parent.offsets, offsets, parent.epoch), erased),
                    policy,
                    ledger=state.rest,
                    world=self._world(policy),
                    before=Before(
                        totals=_totals(manifest),
                        offsets=parent.offsets,
                        open=state.open,
                        standings=state.standings,
                    ),
                )
                return layers, grown, len(erased)
        return [], self._from_nothing(policy, offsets, parent, erased, spent=spent), len(erased)

    def _from_nothing(
        self,
        policy: ModelPolicy,
        offsets: Offsets,
        parent: Dataset | None,
        erased: Collection[Identity],
        *,
        spent: bool,
    ) -> Grown:
        """Return a build of the whole raw log, which keeps to the parent's ledger at most."""
        rules = policy.dataset
        former = Ledger(holdout_source=rules.holdout_source)
        if parent is not None:
            former = self.ledger(parent)
        ledger = former.under(rules)

        def built(ledger: Ledger, *, worn: bool = False) -> Grown:
            return grow(
                History(policy.name, []),
                without(self._read(policy, {}, offsets, ledger.epoch), erased),
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

        return World(self._predictions, self.missing or partial(absent, self.objects), contents)

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

    def _predictions(self, ids: Collection[str]) -> Mapping[str, Prediction]:
        with self.units() as unit:
            return unit.predictions.lookup(ids)

    def _store(
        self,
        policy: ModelPolicy,
        offsets: Offsets,
        parent: Dataset | None,
        below: list[tuple[File, Layer]],
        grown: Grown,
        *,
        erased: int,
    ) -> Dataset:
        """Put every file of the version; nobody sees them until its row appears."""
        number = 1 if parent is None else parent.number + 1
        id_ = DatasetId(f"{policy.name}@{number}")
        totals = grown.totals
        digest = digest_of(totals.sum, totals.rows, policy.digest)
        state = State(
            rest=grown.rest,
            open=grown.open.tolist(),
            standings=list(grown.standings),
            erased=erased,
        )
        contents = Manifest(
            format=files.FORMAT,
            id=id_,
            model=policy.name,
            digest=digest,
            policy_digest=policy.digest,
            parent=None if parent is None else parent.id,
            epoch=grown.rest.epoch,
            sources=[Source(kind="raw_log", offsets=offsets, records=totals.records)],
            counts=totals.counts,
            corrections=Corrections(effective=totals.effective, since_parent=grown.since),
            left_out=totals.left_out,
            sum=to_text(totals.sum),
            layers=files.store_layers(self.objects, digest, below, grown.layer),
            state=files.store_value(self.objects, digest, "state", state),
            tools=dict(self.tools),
        )
        manifest = files.store_value(self.objects, digest, "manifest", contents)
        return Dataset(
            id=id_,
            model=policy.name,
            number=number,
            digest=digest,
            policy_digest=policy.digest,
            parent=None if parent is None else parent.id,
            offsets=offsets,
            counts=totals.counts,
            corrections=totals.effective,
            left_out=totals.left_out,
            manifest=manifest.sha256,
            created_at=self.clock(),
            epoch=grown.rest.epoch,
        )

    def _publish(self, dataset: Dataset, actor: Actor) -> Dataset:
        with self.units() as unit:
            same = unit.datasets.with_digest(dataset.model, dataset.digest)
            if same is not None:
                return same
            unit.datasets.add(dataset)
            facts = {
                "digest": dataset.digest,
                "counts": dataset.counts,
                "corrections": dataset.corrections,
                "left_out": dataset.left_out,
            }
            unit.audit.record(actor, "dataset.built", f"dataset:{dataset.id}", after=facts)
            unit.outbox.publish("DatasetBuilt", dataset.model, dataset.id, facts)
            unit.commit()
        return dataset


def _continues(parent: Dataset, policy: ModelPolicy, offsets: Offsets) -> bool:
    """Tell whether a build may go on from its parent by offsets and policy: no line less."""
    return parent.policy_digest == policy.digest and all(
        offsets.get(shard, 0) >= end for shard, end in parent.offsets.items()
    )


def _totals(manifest: Manifest) -> Totals:
    return Totals(
        sum=from_text(manifest.sum),
        counts=manifest.counts,
        left_out=manifest.left_out,
        effective=manifest.corrections.effective,
        records=manifest.sources[0].records,
    )
