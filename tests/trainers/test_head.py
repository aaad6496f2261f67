import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from burnish.trainers.image_classifier.head import (
    FOLDS,
    GRID,
    TooLittleData,
    assign_folds,
    choose,
    fit,
    require_enough,
)
from burnish.trainers.image_classifier.scores import scores

Features = NDArray[np.float32]
Targets = NDArray[np.int64]


def clouds(
    labels: int, *, rows: int = 30, width: int = 12, apart: float = 4.0
) -> tuple[Features, Targets]:
    """Make one cloud of points a label, `apart` deviations from each other."""
    random = np.random.default_rng(3)
    targets = np.repeat(np.arange(labels), rows)
    centres = random.permutation(np.eye(width))[:labels] * apart
    points = centres[targets] + random.normal(size=(len(targets), width))
    return (points * 7 + 100).astype(np.float32), targets


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_hold_every_label_evenly_and_leave_some_of_each_to_learn_from(
    counts: list[int], seed: int
) -> None:
    targets = np.repeat(np.arange(len(counts)), counts)
    assigned = assign_folds(targets, seed=seed)
    for label, count in enumerate(counts):
        sizes = np.bincount(assigned[targets == label], minlength=FOLDS)
        assert sizes.sum() == count
        assert sizes.max() - sizes.min() <= 1
        assert sizes.max() < count
    assert (assigned == assign_folds(targets, seed=seed)).all()


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_the_folded_head_says_what_scikit_learn_says(labels: int) -> None:
    features, targets = clouds(labels)
    features[:, 5] = 42  # one feature carries nothing
    head = fit(features, targets, c=0.1)
    logits = features @ head.weights.T + head.bias
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    assert head.weights.shape == (labels, features.shape[1])
    assert np.abs(shares - head.probabilities(features)).max() < 1e-9


@pytest.mark.parametrize("balanced", [False, True])
def test_clear_data_are_learnt_and_the_choice_repeats(balanced: bool) -> None:
    features, targets = clouds(3)
    choice = choose(features, targets, seed=5, balanced=balanced)
    assert choice.accuracy > 0.9
    assert set(choice.scores) == set(GRID)
    assert choice.scores[choice.c] == min(choice.scores.values())
    assert choice == choose(features, targets, seed=5, balanced=balanced)


def test_noise_is_met_with_the_strongest_penalties() -> None:
    features, targets = clouds(2, apart=0.0)
    assert choose(features, targets, seed=0).c <= 1e-2


def test_a_label_of_two_photos_is_still_learnt() -> None:
    features, targets = clouds(3)
    keep = np.r_[0:60, 60:62]
    choice = choose(features[keep], targets[keep], seed=0)
    head = fit(features[keep], targets[keep], c=choice.c)
    assert head.probabilities(features).shape == (90, 3)


def test_a_label_without_photos_is_named() -> None:
    with pytest.raises(TooLittleData, match=r"'stain': 1, 'tear': 0"):
        require_enough(np.array([0, 0, 1]), ("good", "stain", "tear"))


def test_scores_count_what_was_called_what() -> None:
    probabilities = np.array([[0.8, 0.2, 0], [0.4, 0.6, 0], [0.7, 0.3, 0], [0.1, 0.9, 0]])
    found = scores(probabilities, np.array([0, 0, 1, 1]), ("good", "defect", "rare"))
    assert (found["accuracy"], found["n"], found["f1"]) == (0.5, 4, 0.5)
    assert found["confusion"] == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert found["per_class"]["good"] == {"recall": 0.5, "precision": 0.5, "f1": 0.5, "support": 2}
    assert found["per_class"]["rare"]["recall"] is None


def test_scores_of_nothing_are_unknown() -> None:
    found = scores(np.empty((0, 2)), np.array([], np.int64), ("good", "defect"))
    assert (found["accuracy"], found["n"], found["f1"]) == (None, 0, None)
