"""Building dataset versions, and reading them back."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from burnish.datasets import manifest as files
from burnish.datasets.assembly import Assembled, assemble
from burnish.datasets.contents import known
from burnish.datasets.curation import locate
from burnish.datasets.looks import budget
from burnish.datasets.manifest import Corrections, Manifest, Source
from burnish.datasets.model import Dataset, Fate, OffsetsAhead, Reason, Row
from burnish.datasets.ports import DatasetUnit
from burnish.datasets.splits import Ledger
from burnish.feedback.model import RawRecord
from burnish.feedback.ports import Parse, RawLog
from burnish.feedback.service import interpret, read
from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.clock import Clock
from burnish.kernel.errors import Stale
from burnish.kernel.ids import DatasetId
from burnish.kernel.objects import Objects, payload_key
from burnish.kernel.policy import ModelPolicy

BUILD_ATTEMPTS = 3  # against other builds of the same model that finish first


@dataclass(frozen=True, kw_only=True)
class DatasetService:
    """Builds versions from the raw log and hands out what they hold."""

    raw_log: RawLog
    parse: Parse
    objects: Objects
    units: Callable[[], DatasetUnit]
    clock: Clock
    tools: Mapping[str, str] = field(default_factory=dict)  # name -> version, for the manifest

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
            assembled = self._assemble(policy, offsets, parent, spent=bool(spent))
            dataset = self._store(policy, offsets, parent, assembled)
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
        yield from files.load_rows(self.objects, dataset)

    def manifest(self, dataset: Dataset) -> Manifest:
        """Return what the version was built from and by. Raises DatasetCorrupt."""
        return files.load_manifest(self.objects, dataset)

    def fates(self, dataset: Dataset) -> Iterator[Fate]:
        """Yield what became of each line of the raw log that the build read, by place."""
        for block in self.manifest(dataset).fates:
            yield from files.load_lines(self.objects, block.file, Fate)

    def effective_since(self, dataset: Dataset, offsets: Offsets) -> int:
        """Count the effective corrections of a version whose verdicts lie beyond the offsets."""
        return _effective(self.fates(dataset), offsets)

    def rebuilt(self, policy: ModelPolicy, dataset: Dataset) -> str:
        """Return the digest that the raw log gives today for a version's policy and offsets.

        It is another one if a record or a payload was erased since. Raises as `build` does.
        """
        parent = self.get(dataset.parent) if dataset.parent else None
        rotated = parent is not None and dataset.epoch > parent.epoch
        spent = rotated or Reason.RESERVED.value in dataset.left_out
        return self._assemble(policy, dataset.offsets, parent, spent=spent).digest

    def _assemble(
        self, policy: ModelPolicy, offsets: Offsets, parent: Dataset | None, *, spent: bool
    ) -> Assembled:
        verdicts, unreadable = self._read(policy.name, offsets)
        named = {verdict.prediction_id for verdict in verdicts}
        with self.units() as unit:
            predictions = unit.predictions.lookup({name for name in named if name is not None})
            erased = unit.tombstones.identities(policy.name)
            contents = known(unit.payloads, policy, verdicts)
        inputs = {
            found
            for found in locate(
                verdicts, predictions, policy.feedback.window, contents=contents
            ).values()
            if not isinstance(found, Reason)
        }
        return assemble(
            verdicts,
            policy,
            self._ledger(policy, parent),
            predictions=predictions,
            gone={found for found in inputs if not self.objects.exists(payload_key(found))},
            contents=contents,
            unreadable=unreadable,
            erased=erased,
            spent=spent,
        )

    def _read(
        self, model: str, offsets: Offsets
    ) -> tuple[list[Verdict], list[tuple[str, RawRecord]]]:
        persisted = self.raw_log.end()
        verdicts: list[Verdict] = []
        unreadable: list[tuple[str, RawRecord]] = []
        for shard, end in sorted(offsets.items()):
            if end > persisted.get(shard, 0):
                raise OffsetsAhead(
                    f"Shard {shard!r} is persisted up to offset {persisted.get(shard, 0)}, not"
                    f" {end}: seal what ingest has accepted, then build again.",
                    shard=shard,
                    persisted=persisted.get(shard, 0),
                    asked=end,
                )
            said, broken = interpret(self.parse, shard, read(self.raw_log, shard, 0, end))
            verdicts += [verdict for verdict in said if verdict.model == model]
            unreadable += [(shard, raw) for raw in broken]
        return verdicts, unreadable

    def _ledger(self, policy: ModelPolicy, parent: Dataset | None) -> Ledger:
        if parent is None:
            return Ledger(holdout_source=policy.dataset.holdout_source)
        return files.load_value(self.objects, self.manifest(parent).ledger, Ledger)

    def _store(
        self, policy: ModelPolicy, offsets: Offsets, parent: Dataset | None, built: Assembled
    ) -> Dataset:
        """Put every file of the version; nobody sees them until its row appears."""
        number = 1 if parent is None else parent.number + 1
        id_ = DatasetId(f"{policy.name}@{number}")
        counts = files.tally(built.rows, policy.labels)
        left_out = files.left_out(built.fates)
        contents = Manifest(
            format=files.FORMAT,
            id=id_,
            model=policy.name,
            digest=built.digest,
            policy_digest=policy.digest,
            parent=None if parent is None else parent.id,
            epoch=built.ledger.epoch,
            sources=[Source(kind="raw_log", offsets=offsets, records=len(built.fates))],
            counts=counts,
            corrections=Corrections(
                effective=_effective(built.fates, {}),
                since_parent=_effective(built.fates, {} if parent is None else parent.offsets),
            ),
            left_out=left_out,
            payloads=sorted(row.payload_sha256 for row in built.rows),
            rows=files.store_rows(self.objects, built.digest, built.rows),
            fates=files.store_fates(self.objects, built.digest, built.fates),
            ledger=files.store_value(self.objects, built.digest, "ledger", built.ledger),
            tools=dict(self.tools),
        )
        manifest = files.store_value(self.objects, built.digest, "manifest", contents)
        dataset = Dataset(
            id=id_,
            model=policy.name,
            number=number,
            digest=built.digest,
            policy_digest=policy.digest,
            parent=None if parent is None else parent.id,
            offsets=offsets,
            counts=counts,
            corrections=contents.corrections.effective,
            left_out=left_out,
            manifest=manifest.sha256,
            created_at=self.clock(),
            epoch=built.ledger.epoch,
        )
        files.store_fate_index(self.objects, dataset, contents.fates)
        return dataset

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


def _effective(fates: Iterator[Fate] | list[Fate], since: Offsets) -> int:
    return sum(fate.effective and fate.beyond(since) for fate in fates)
