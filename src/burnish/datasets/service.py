"""Building dataset versions, and reading them back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from burnish.datasets import manifest as files
from burnish.datasets.building import Builder, Built
from burnish.datasets.digests import digest_of, to_text
from burnish.datasets.looking import Missing
from burnish.datasets.looks import budget
from burnish.datasets.manifest import Corrections, Manifest, Source, State
from burnish.datasets.model import Dataset, Fate, Reason, Row
from burnish.datasets.ports import DatasetUnit, Reader
from burnish.datasets.splits import Ledger
from burnish.datasets.versions import load_fates, load_ledger, load_rows
from burnish.datasets.watermarks import sql_sources
from burnish.feedback.ports import RawLog
from burnish.feedback.verdict import Offsets
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
            began = self.clock()  # what is erased from here on may be in it
            with self.units() as unit:
                known = unit.datasets.built(policy.name, offsets, policy.digest)
                if known and unit.tombstones.since(policy.name, known.created_at):
                    known = None  # it may hold what was erased
                parent = unit.datasets.newest(policy.name)
                spent = parent and budget(unit.looks, parent, policy.dataset).spent
            if known is not None:
                return known
            built = self._builder.build(policy, offsets, parent, spent=bool(spent))
            dataset = self._store(policy, offsets, parent, built, at=began)
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
        return load_ledger(self.objects, dataset)

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
        built = self._builder.from_nothing(policy, dataset.offsets, parent, spent=spent)
        totals = built.totals
        return digest_of(totals.sum, totals.rows, policy.digest)

    @property
    def _builder(self) -> Builder:
        return Builder(
            raw_log=self.raw_log,
            reader=self.reader,
            objects=self.objects,
            units=self.units,
            missing=self.missing,
        )

    def _store(
        self,
        policy: ModelPolicy,
        offsets: Offsets,
        parent: Dataset | None,
        built: Built,
        *,
        at: datetime,
    ) -> Dataset:
        """Put every file of the version; nobody sees them until its row appears."""
        number = 1 if parent is None else parent.number + 1
        id_ = DatasetId(f"{policy.name}@{number}")
        grown, totals = built.grown, built.grown.totals
        digest = digest_of(totals.sum, totals.rows, policy.digest)
        state = State(
            rest=grown.rest,
            open=grown.open.tolist(),
            standings=list(grown.standings),
            erased=built.erased,
            noted=built.noted,
        )
        contents = Manifest(
            format=files.FORMAT,
            id=id_,
            model=policy.name,
            digest=digest,
            policy_digest=policy.digest,
            parent=None if parent is None else parent.id,
            epoch=grown.rest.epoch,
            sources=[
                Source(kind="raw_log", offsets=offsets, records=totals.records),
                *sql_sources(self.raw_log, policy.name, offsets),
            ],
            counts=totals.counts,
            corrections=Corrections(effective=totals.effective, since_parent=grown.since),
            left_out=totals.left_out,
            sum=to_text(totals.sum),
            layers=files.store_layers(self.objects, digest, built.below, grown.layer),
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
            created_at=at,
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
