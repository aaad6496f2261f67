"""How well the head does on the validation rows, as plain JSON."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def scores(
    probabilities: NDArray[np.float64], targets: NDArray[np.int64], labels: tuple[str, ...]
) -> dict[str, Any]:
    """Return accuracy, macro F1, recall and more of each label, and the confusion matrix.

    `confusion[i][j]` counts the photos of label i that were called label j. What cannot be
    divided (a label without photos, no photos at all) is None.

    >>> scores(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]), ("good", "bad"))["accuracy"]
    0.5
    """
    size = len(labels)
    called = probabilities.argmax(axis=1)
    confusion = np.zeros((size, size), np.int64)
    np.add.at(confusion, (targets, called), 1)
    per_class = {}
    for index, label in enumerate(labels):
        right, support = int(confusion[index, index]), int(confusion[index].sum())
        named = int(confusion[:, index].sum())
        per_class[label] = {
            "recall": _share(right, support),
            "precision": _share(right, named),
            "f1": _share(2 * right, support + named),
            "support": support,
        }
    known = [entry["f1"] for entry in per_class.values() if entry["f1"] is not None]
    return {
        "accuracy": _share(int(np.trace(confusion)), len(targets)),
        "n": len(targets),
        "f1": round(sum(known) / len(known), 6) if known else None,
        "per_class": per_class,
        "confusion": confusion.tolist(),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
