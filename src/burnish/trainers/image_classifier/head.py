"""The linear head: logistic regression on standardised features, its strength cross-validated.

Everything here runs on one BLAS thread. That makes the result repeatable, and it is faster too:
the matrices are small, and on two busy cores the threads waited for each other (0.7 s instead of
18 s for a thousand photos).
"""

import warnings
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from burnish.kernel.errors import InvalidInput

BLAS_THREADS: Final = 1
FOLDS: Final = 5
MIN_PER_LABEL: Final = 2  # photos; so that every label is learnt from in every fold
# Inverse strength of the L2 penalty, strongest first: half-decades around where 1280 standardised
# features of hundreds to thousands of photos have their optimum.
GRID: Final = tuple(float(f"{10 ** (half / 2):.4g}") for half in range(-8, 1))

_MAX_ITERATIONS: Final = 2000
_FLAT: Final = 1e-6  # a feature that varies less carries nothing; dividing by it would blow it up

Matrix = NDArray[np.float64]
Targets = NDArray[np.int64]


class TooLittleData(InvalidInput):
    """A label has too few photos to learn it from."""

    code = "too_little_data"


class Head(NamedTuple):
    """A fitted head; `weights` [labels, features] and `bias` [labels] act on raw features."""

    weights: Matrix
    bias: NDArray[np.float64]
    standardizer: "Standardizer"
    model: LogisticRegression

    def probabilities(self, features: NDArray[np.float32]) -> Matrix:
        """Return what scikit-learn says of raw features: [n, labels]."""
        return np.asarray(self.model.predict_proba(self.standardizer(features)), np.float64)


class Standardizer(NamedTuple):
    """Shifts every feature to mean 0 and stretches it to deviation 1, as on the train rows."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    def __call__(self, features: NDArray[np.float32]) -> Matrix:
        """Return standardised features, in double precision."""
        return (features.astype(np.float64) - self.mean) / self.deviation


class Choice(NamedTuple):
    """Which strength cross-validation chose, and the score of each: mean Brier score, less wins."""

    c: float
    scores: dict[float, float]
    accuracy: float  # of the chosen one, cross-validated
    folds: int


def require_enough(targets: Targets, labels: tuple[str, ...]) -> None:
    """Raise TooLittleData, naming the labels, unless every label has its least number of rows."""
    counts = np.bincount(targets, minlength=len(labels))
    short = {
        label: int(count)
        for label, count in zip(labels, counts, strict=True)
        if count < MIN_PER_LABEL
    }
    if short:
        raise TooLittleData(
            f"Too few train photos: {short}: every label needs at least {MIN_PER_LABEL}; "
            "collect more feedback on these labels or leave them out of the policy."
        )


def assign_folds(targets: Targets, *, seed: int, folds: int = FOLDS) -> Targets:
    """Return each row's fold: every label spread evenly, in an order that the seed shuffles.

    A label with fewer rows than folds is simply absent from some of them. A subject is one row,
    so no subject is on both sides.
    """
    shuffle = np.random.default_rng(seed)
    assigned = np.empty(len(targets), np.int64)
    for label in np.unique(targets):
        rows = shuffle.permutation(np.flatnonzero(targets == label))
        assigned[rows] = np.arange(len(rows)) % folds
    return assigned


def choose(
    features: NDArray[np.float32], targets: Targets, *, seed: int, balanced: bool = False
) -> Choice:
    """Choose the strength by cross-validation on these rows.

    The score is the Brier score: proper, like the likelihood, but bounded, so that a few
    overconfident mistakes on hard, uncertain photos do not decide. Each fit starts from the next
    stronger one.
    """
    assigned = assign_folds(targets, seed=seed)
    labels = int(targets.max()) + 1
    found = np.zeros((len(GRID), len(targets), labels))
    for fold in np.unique(assigned):
        held = assigned == fold
        standardize = standardizer(features[~held])
        inside, outside = standardize(features[~held]), standardize(features[held])
        model = _regression(balanced=balanced)
        for index, c in enumerate(GRID):
            model.set_params(C=c)
            _fit(model, inside, targets[~held])
            found[index, held] = model.predict_proba(outside)
    truth = np.eye(labels)[targets]
    brier = ((found - truth) ** 2).sum(axis=2).mean(axis=1)
    best = int(brier.argmin())
    return Choice(
        c=GRID[best],
        scores={c: round(float(score), 6) for c, score in zip(GRID, brier, strict=True)},
        accuracy=float((found[best].argmax(axis=1) == targets).mean()),
        folds=len(np.unique(assigned)),
    )


def fit(
    features: NDArray[np.float32], targets: Targets, *, c: float, balanced: bool = False
) -> Head:
    """Fit the head on these rows with a given strength, and fold the standardisation into it."""
    standardize = standardizer(features)
    model = _regression(balanced=balanced)
    model.set_params(C=c)
    _fit(model, standardize(features), targets)
    coefficients = np.asarray(model.coef_, np.float64)
    intercepts = np.asarray(model.intercept_, np.float64)
    if len(coefficients) == 1:  # two labels: sigmoid(z) is the softmax of (0, z)
        coefficients = np.vstack([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([np.zeros_like(intercepts), intercepts])
    weights = coefficients / standardize.deviation
    return Head(weights, intercepts - weights @ standardize.mean, standardize, model)


def standardizer(features: NDArray[np.float32]) -> Standardizer:
    """Learn the standardisation of these rows; a constant feature is left as wide as it is."""
    wide = features.astype(np.float64)
    deviation = wide.std(axis=0)
    return Standardizer(wide.mean(axis=0), np.where(deviation < _FLAT, 1.0, deviation))


def _regression(*, balanced: bool) -> LogisticRegression:
    return LogisticRegression(
        max_iter=_MAX_ITERATIONS,
        warm_start=True,
        class_weight="balanced" if balanced else None,
    )


def _fit(model: LogisticRegression, features: Matrix, targets: Targets) -> None:
    """Fit in place. Running out of iterations is no error: the scores judge what was reached."""
    with threadpool_limits(BLAS_THREADS), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, targets)
