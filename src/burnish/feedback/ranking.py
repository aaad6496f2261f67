"""What a person says of a ranked answer: grades, against the ranking that was shown."""

from collections.abc import Mapping, Sequence
from itertools import pairwise


def agrees(predicted: Sequence[str], grades: Mapping[str, float]) -> bool:
    """Tell whether grades leave a ranking as it is, so that nothing was corrected.

    They do if every graded document was shown and has a grade above zero, and none stands above one
    with a better grade. Documents without a grade were not judged.

    >>> agrees(["a", "b", "c"], {"a": 3, "c": 1})
    True
    >>> agrees(["a", "b"], {"a": 1, "b": 2}), agrees(["a"], {"a": 0}), agrees(["a"], {"z": 1})
    (False, False, False)
    """
    judged = [grades[document] for document in predicted if document in grades]
    return (
        len(judged) == len(grades)
        and all(grade > 0 for grade in judged)
        and all(above >= below for above, below in pairwise(judged))
    )
