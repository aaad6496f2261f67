"""The data plane behind every protocol: lease, predict, sign, note."""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from burnish.feedback.prediction import Prediction
from burnish.inference.errors import NotFinite
from burnish.inference.metrics import InferenceMetrics
from burnish.inference.recent import RecentRing
from burnish.kernel.clock import Clock
from burnish.kernel.digest import digest, hexadecimal
from burnish.kernel.ids import Ids
from burnish.serving.model import VersionUnknown
from burnish.serving.ports import PredictionLog
from burnish.serving.router import Router, Slot


class Verdict(Struct, frozen=True, kw_only=True):
    """What the model says of one image."""

    prediction_id: str
    label: str
    confidence: float
    probabilities: tuple[float, ...]  # in the order of the answer's labels
    payload_sha256: str | None


class Answer(Struct, frozen=True, kw_only=True):
    """What one release says of a batch; everything in it comes from one slot."""

    model: str
    model_version: str
    release: str
    generation: int
    labels: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


class DataPlane:
    """Answers from the release that serves. Safe in any thread; computes in the caller's."""

    def __init__(
        self,
        router: Router,
        predictions: PredictionLog,
        *,
        captured: Callable[[str], float],
        recent: RecentRing,
        metrics: InferenceMetrics,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """Take the parts; `captured` tells which share of a model's inputs is to be kept."""
        self.router = router
        self._predictions = predictions
        self._captured = captured
        self._recent = recent
        self._metrics = metrics
        self._clock = clock
        self._ids = ids

    def answer(
        self,
        model: str,
        images: NDArray[np.uint8],
        *,
        payloads: Sequence[bytes] = (),
        version: str | None = None,
    ) -> Answer:
        """Classify images [n, 224, 224, 3]; `payloads`, if any, are the bytes they came from.

        Raises ModelUnknown, ModelNotReady, VersionUnknown or NotFinite.
        """
        with self.router.lease(model) as slot:
            check_version(slot, version)
            rows = slot.resident.model.predict(images)
        if not np.isfinite(rows).all():
            raise NotFinite(f"{model!r} {slot.model_version} failed on this input.", model=model)
        verdicts = []
        for index, row in enumerate(rows):
            payload = payloads[index] if payloads else None
            verdicts.append(self._sign(slot, row, payload))
        self._recent.add(model, images[0].copy())
        return Answer(
            model=model,
            model_version=slot.model_version,
            release=slot.release,
            generation=slot.generation,
            labels=slot.labels,
            verdicts=tuple(verdicts),
        )

    def _sign(self, slot: Slot, row: NDArray[np.float32], payload: bytes | None) -> Verdict:
        best = int(row.argmax())
        verdict = Verdict(
            prediction_id=f"{slot.generation}.{self._ids()}",
            label=slot.labels[best],
            confidence=float(row[best]),
            probabilities=tuple(row.tolist()),
            payload_sha256=digest(payload) if payload is not None else None,
        )
        kept = self._predictions.offer(
            Prediction(
                id=verdict.prediction_id,
                model=slot.model,
                release=slot.release,
                generation=slot.generation,
                model_version=slot.model_version,
                label=verdict.label,
                confidence=verdict.confidence,
                at=self._clock(),
                payload_sha256=verdict.payload_sha256,
            ),
            payload if self._captures(verdict.payload_sha256, slot.model) else None,
        )
        if not kept:
            self._metrics.prediction_dropped()
        return verdict

    def _captures(self, sha256: str | None, model: str) -> bool:
        """Draw by the input itself: every replica keeps the same ones, and whole."""
        return sha256 is not None and _share(sha256) < self._captured(model)


def _share(sha256: str) -> float:
    """Return where in [0, 1) an input lies.

    >>> _share("sha256:80000000" + 56 * "0")
    0.5
    """
    return int(hexadecimal(sha256)[:8], 16) / 2**32


def check_version(slot: Slot, version: str | None) -> None:
    """Raise VersionUnknown if a version is asked for that does not serve."""
    if version is not None and version != slot.model_version:
        raise VersionUnknown(
            f"{slot.model!r} serves version {slot.model_version}, not {version}.", model=slot.model
        )
