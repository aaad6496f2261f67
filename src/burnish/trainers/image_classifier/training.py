"""The fast path from rows to an uploaded model."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from burnish.client.trainer import DataUnavailable, Job, Row
from burnish.imaging import PREPROCESSING, UnreadableImage, decode
from burnish.kernel.errors import InvalidInput
from burnish.trainers import lite0
from burnish.trainers.image_classifier import graph, head
from burnish.trainers.image_classifier.facts import cores, facts
from burnish.trainers.image_classifier.features import Backbone, FeatureCache, Vector
from burnish.trainers.image_classifier.scores import scores

_LOG: Final = logging.getLogger(__name__)
_THREADS_PER_CORE: Final = 2  # one waits for bytes while the other decodes and computes
_FEWEST_LABELS: Final = 2
_PARITY_PHOTOS: Final = 16
# A share of photos that cannot be decoded is left out by name; more means that something is wrong.
_UNREADABLE_SHARE: Final = 0.01
_EXTRACTION: Final = (0.02, 0.80)  # of the progress
_CHOSEN: Final = 0.92
_EXPORTED: Final = 0.97


class Settings(NamedTuple):
    """What the job's hyperparameters say."""

    labels: tuple[str, ...]
    seed: int
    balanced: bool  # weigh labels by their rarity; off, as it spoils the probabilities


class Extracted(NamedTuple):
    """Features by payload digest, and how they came about."""

    features: dict[str, Vector]
    hits: int
    computed: int
    unreadable: dict[str, str]  # reason by payload digest
    seconds: float


class Part(NamedTuple):
    """One split as matrices."""

    rows: list[Row]
    features: NDArray[np.float32]
    targets: NDArray[np.int64]


def settings(hyperparameters: dict[str, Any]) -> Settings:
    """Read the hyperparameters. Raises InvalidInput, which names the field."""
    labels = hyperparameters.get("labels")
    if (
        not isinstance(labels, list)
        or len(labels) < _FEWEST_LABELS
        or len(set(labels)) != len(labels)
    ):
        raise InvalidInput.of("hyperparameters.labels", labels, "name two or more distinct labels")
    if (path := hyperparameters.get("path", "fast")) != "fast":
        raise InvalidInput.of("hyperparameters.path", path, 'this trainer knows only "fast"')
    weight = hyperparameters.get("class_weight", "none")
    if weight not in {"none", "balanced"}:
        raise InvalidInput.of("hyperparameters.class_weight", weight, 'use "none" or "balanced"')
    seed = hyperparameters.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise InvalidInput.of("hyperparameters.seed", seed, "use a whole number from 0")
    return Settings(tuple(map(str, labels)), seed, weight == "balanced")


def train(job: Job) -> None:
    """Train the job's model and report it. Raises what ends the job as failed, with its code."""
    wanted = settings(job.hyperparameters)
    rows = readable_rows(job, wanted.labels)
    cv2.setNumThreads(1)  # the photos themselves run in parallel
    network = lite0.load()
    backbone = Backbone(network.SerializeToString(deterministic=True))
    cache = FeatureCache(Path(job.cache_dir) if job.cache_dir else None, backbone.digest)
    job.event("dataset_read", rows=len(rows))
    extracted = extract(job, rows, backbone, cache)
    used = [row for row in rows if row.payload_sha256 in extracted.features]
    training = part(used, "train", wanted.labels, extracted.features)
    validation = part(used, "validation", wanted.labels, extracted.features)
    head.require_enough(training.targets, wanted.labels)

    begun = time.monotonic()
    choice = head.choose(
        training.features, training.targets, seed=wanted.seed, balanced=wanted.balanced
    )
    chosen_seconds = time.monotonic() - begun
    job.progress(_CHOSEN, message=f"C = {choice.c:g} chosen by cross-validation")
    fitted = head.fit(training.features, training.targets, c=choice.c, balanced=wanted.balanced)
    recipe = {
        "trainer": "image-classifier",
        "path": "fast",
        "backbone": lite0.NAME,
        "backbone_digest": backbone.digest,
        "preprocessing": PREPROCESSING,
        "dataset": job.dataset,
        "seed": wanted.seed,
        "c": choice.c,
        "class_weight": "balanced" if wanted.balanced else "none",
        "train_n": len(training.rows),
        **facts(),
    }
    artifact = graph.compose(network, fitted, labels=wanted.labels, trainer=recipe)
    difference = verify(job, artifact, training, fitted)
    job.progress(_EXPORTED, message="graph exported and checked")
    job.upload(artifact)
    metrics = scores(fitted.probabilities(validation.features), validation.targets, wanted.labels)
    job.done(
        metrics=metrics,
        details={
            **recipe,
            "validation_n": len(validation.rows),
            "cross_validation": {
                "folds": choice.folds,
                "brier": {f"{c:g}": score for c, score in choice.scores.items()},
                "accuracy": round(choice.accuracy, 6),
                "seconds": round(chosen_seconds, 3),
            },
            "features": {
                "cache_hits": extracted.hits,
                "computed": extracted.computed,
                "seconds": round(extracted.seconds, 3),
            },
            "left_out": extracted.unreadable,
            "parity": {"photos": min(_PARITY_PHOTOS, len(training.rows)), "difference": difference},
        },
    )
    _LOG.info("done: C %g, validation accuracy %s", choice.c, metrics["accuracy"])


def readable_rows(job: Job, labels: tuple[str, ...]) -> list[Row]:
    """Return the rows by subject. Raises DataUnavailable if one has a foreign label or split."""
    rows = sorted(job.rows(), key=lambda row: row.subject)
    for row in rows:
        if row.label not in labels or row.split not in {"train", "validation"}:
            raise DataUnavailable(
                f"Subject {row.subject!r} has label {row.label!r} and split {row.split!r}: "
                f"labels are {list(labels)}, splits train and validation.",
                code="dataset_unreadable",
            )
    return rows


def extract(job: Job, rows: Sequence[Row], backbone: Backbone, cache: FeatureCache) -> Extracted:
    """Return the features of every payload; those not cached are fetched and computed in parallel.

    A photo that cannot be decoded is left out and named in an event; beyond a small share of them
    raises UnreadableImage. Raises DataUnavailable for one that cannot be had.
    """
    begun = time.monotonic()
    payloads = {row.payload_sha256: row for row in rows}
    features = {payload: found for payload in payloads if (found := cache.get(payload)) is not None}
    hits = len(features)
    unreadable: dict[str, str] = {}
    missing = [row for payload, row in payloads.items() if payload not in features]

    def compute(row: Row) -> Vector:
        found = backbone.features(job.fetch(row))
        cache.put(row.payload_sha256, found)
        return found

    pool = ThreadPoolExecutor(cores() * _THREADS_PER_CORE, thread_name_prefix="features")
    try:
        pending: dict[Future[Vector], Row] = {pool.submit(compute, row): row for row in missing}
        low, high = _EXTRACTION
        for count, future in enumerate(as_completed(pending), 1):
            row = pending[future]
            try:
                features[row.payload_sha256] = future.result()
            except UnreadableImage as error:
                unreadable[row.payload_sha256] = error.detail
                _leave_out(job, row, error, left_out=len(unreadable), of=len(payloads))
            job.progress(
                low + (high - low) * count / len(missing),
                message=f"features of {hits + count} of {len(payloads)} photos",
            )
    finally:
        pool.shutdown(cancel_futures=True)
    return Extracted(features, hits, len(missing), unreadable, time.monotonic() - begun)


def part(
    rows: Sequence[Row], split: str, labels: tuple[str, ...], features: dict[str, Vector]
) -> Part:
    """Return the rows of one split as matrices, in the order given."""
    chosen = [row for row in rows if row.split == split]
    matrix = np.empty((len(chosen), lite0.FEATURES), np.float32)
    for index, row in enumerate(chosen):
        matrix[index] = features[row.payload_sha256]
    targets = np.array([labels.index(row.label) for row in chosen], np.int64)
    return Part(chosen, matrix, targets)


def verify(job: Job, artifact: bytes, training: Part, fitted: head.Head) -> float:
    """Compare graph and head on photos taken evenly from the train rows, from their bytes on."""
    count = min(_PARITY_PHOTOS, len(training.rows))
    picked = np.linspace(0, len(training.rows) - 1, count).astype(int)
    images = np.stack([decode(job.fetch(training.rows[index])) for index in picked])
    return graph.check_parity(artifact, images, fitted.probabilities(training.features[picked]))


def _leave_out(job: Job, row: Row, error: UnreadableImage, *, left_out: int, of: int) -> None:
    """Name an unreadable photo; raise UnreadableImage once there are too many of them."""
    _LOG.warning("left out payload %s of subject %s: %s", row.payload_sha256, row.subject, error)
    job.event(
        "payload_left_out",
        payload=row.payload_sha256,
        subject=row.subject,
        reason=error.detail,
    )
    if left_out > max(1, int(of * _UNREADABLE_SHARE)):
        raise UnreadableImage(
            f"{left_out} of {of} photos cannot be decoded, the last of them payload "
            f"{row.payload_sha256} of subject {row.subject!r}: {error.detail}"
        )
