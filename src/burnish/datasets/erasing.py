"""Erasing: what a request touches, how it is noted, and how the bytes go afterwards.

A request is one transaction: from it on no build reads the records, and nobody is shown them. The
bytes, which lie in the raw log and in the object store, go after it, in as many attempts as that
takes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from msgspec import Struct, structs

from burnish.datasets.contents import Contents, PayloadStore, elsewhere
from burnish.datasets.curation import locate
from burnish.datasets.model import Dataset, Reason
from burnish.datasets.versions import find_fate
from burnish.feedback.erasure import ErasableLog, Erasure, ErasureUnit, Tombstone
from burnish.feedback.prediction import Prediction
from burnish.feedback.verdict import Verdict
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.clock import Clock
from burnish.kernel.objects import Objects, payload_key
from burnish.kernel.policy import ModelPolicy


class EraserUnit(ErasureUnit, Protocol):
    """One transaction over erasures, and what is known of payloads."""

    @property
    def payloads(self) -> PayloadStore:
        """What was found out about payloads."""
        ...


class Request(Struct, frozen=True, kw_only=True):
    """What somebody asks for: who, why, and under which id."""

    id: str
    actor: Actor
    reason: str
    at: datetime


def touched(
    objects: Objects, versions: Iterable[Dataset], verdicts: Sequence[Verdict]
) -> list[str]:
    """Return the versions that hold one of the records as an example, in the order given.

    Raises DatasetCorrupt.
    """
    return [
        version.id
        for version in versions
        if any(_is_example(objects, version, verdict) for verdict in verdicts)
    ]


def tombstones(
    request: Request,
    verdicts: Sequence[Verdict],
    predictions: Mapping[str, Prediction],
    policies: Mapping[str, ModelPolicy],
    payloads: PayloadStore,
) -> list[Tombstone]:
    """Return what is to stand in place of the records.

    Args:
        request: that asks for it.
        verdicts: the records.
        predictions: those that they name, by id, as far as they are known.
        policies: of their models, by name.
        payloads: where URIs led. The bytes meant are the record's own, not those that stand for
            them.
    """
    contents = Contents(fetched=payloads.fetched(elsewhere(verdicts)))
    placed = []
    for verdict in verdicts:
        window = policies[verdict.model].feedback.window
        shown = locate([verdict], predictions, window, contents=contents)[verdict.place]
        placed.append(
            Tombstone(
                source=verdict.source,
                id=verdict.id,
                erasure=request.id,
                model=verdict.model,
                payload_sha256=None if isinstance(shown, Reason) else shown,
                at=request.at,
            )
        )
    return placed


def erase(
    unit: ErasureUnit,
    request: Request,
    placed: Sequence[Tombstone],
    *,
    datasets: Sequence[str],
    models: Sequence[str],
) -> Erasure:
    """Take records out, in one transaction; their bytes go later.

    Args:
        unit: the transaction.
        request: who asks for it, and why.
        placed: what stands in place of the records.
        datasets: the versions that hold one of them.
        models: the model versions that were trained on those.
    """
    erasure = Erasure(
        id=request.id,
        at=request.at,
        actor=request.actor.name,
        reason=request.reason,
        records=len(placed),
        datasets=tuple(datasets),
        models=tuple(models),
    )
    with unit:
        unit.tombstones.add(erasure, placed)
        unit.feedback.forget({tombstone.identity for tombstone in placed})
        facts = {"records": len(placed), "datasets": list(datasets), "models": list(models)}
        unit.audit.record(
            request.actor,
            "erasure.requested",
            f"erasure:{erasure.id}",
            after=facts,
            reason=request.reason,
        )
        for model in sorted({tombstone.model for tombstone in placed}):
            unit.outbox.publish("RecordsErased", model, erasure.id, facts)
        unit.commit()
    return erasure


@dataclass(frozen=True, kw_only=True)
class Eraser:
    """Takes away the bytes of what was erased; run anywhere, at any time, also twice at once."""

    units: Callable[[], EraserUnit]
    objects: Objects
    raw_log: ErasableLog
    clock: Clock

    def look(self) -> int:
        """Finish every request that is not; return how many there were."""
        with self.units() as unit:
            unfinished = unit.tombstones.unfinished()
        for erasure in unfinished:
            self._finish(erasure)
        return len(unfinished)

    def _finish(self, erasure: Erasure) -> None:
        with self.units() as unit:
            placed = unit.tombstones.of(erasure.id)
            payloads = {one.payload_sha256 for one in placed if one.payload_sha256 is not None}
            needed = unit.feedback.judging(payloads)
            known = unit.payloads
        needed |= known.represented(payloads)
        self.raw_log.redact({tombstone.identity for tombstone in placed}, erasure.id)
        for sha256 in sorted(payloads - needed):
            self.objects.delete(payload_key(sha256))
        known.forget(payloads - needed)
        done = structs.replace(
            erasure,
            payloads_removed=len(payloads - needed),
            payloads_kept=len(needed),
            finished_at=self.clock(),
        )
        with self.units() as unit:
            unit.tombstones.finish(done)
            unit.audit.record(
                SYSTEM,
                "erasure.finished",
                f"erasure:{erasure.id}",
                after={
                    "payloads_removed": done.payloads_removed,
                    "payloads_kept": done.payloads_kept,
                },
            )
            unit.commit()


def _is_example(objects: Objects, version: Dataset, verdict: Verdict) -> bool:
    if version.model != verdict.model or verdict.beyond(version.offsets):
        return False
    fate = find_fate(objects, version, verdict.shard, verdict.offset)
    return fate is not None and fate.split is not None
