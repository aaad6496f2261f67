"""Datasets: immutable, content-addressed sets of examples; and why a record is in none.

DatasetError                   code                    meaning
├── ClassTooSmall              dataset.too_small       a label has too few examples to learn from
├── EmptySplit                 dataset.empty_split     nothing to validate or to judge with
├── LabelOutsideSet            dataset.unknown_label   a verdict that the policy has no label for
DatasetNotFound                dataset.not_found       no such version
OffsetsAhead                   dataset.offsets_ahead   the raw log does not reach so far yet
DatasetCorrupt                 dataset.corrupt         stored bytes are not what their digest says
NoHoldout                      holdout.none            nothing is held out that could be worn
HoldoutBySource                holdout.by_source       its owner replaces it, and nobody else
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from burnish.feedback.verdict import Offsets, Verdict
from burnish.kernel.errors import Conflict, InvalidInput, NotFound, Unavailable
from burnish.kernel.ids import DatasetId

MIN_CLASS_EXAMPLES = 5  # in training: fewer than one for each fold of a five-fold cross-validation


class DatasetError(InvalidInput):
    """The records do not make a dataset that a model can be trained and judged on."""

    code = "dataset.invalid"


class ClassTooSmall(DatasetError):
    """A label has no or too few examples to train on."""

    code = "dataset.too_small"


class EmptySplit(DatasetError):
    """A split that the policy asks for has no example."""

    code = "dataset.empty_split"


class LabelOutsideSet(DatasetError):
    """The last verdict on a subject is no label of the policy."""

    code = "dataset.unknown_label"


class DatasetNotFound(NotFound):
    """There is no such dataset version."""

    code = "dataset.not_found"


class OffsetsAhead(Conflict):
    """The build was asked for records that are not persisted yet."""

    code = "dataset.offsets_ahead"


class DatasetCorrupt(Unavailable):
    """What the object store returns is not what was put there."""

    code = "dataset.corrupt"


class NoHoldout(Conflict):
    """The model's newest version holds nothing out, or there is no version yet."""

    code = "holdout.none"


class HoldoutBySource(Conflict):
    """The policy names the source that the holdout is made of: its owner replaces it."""

    code = "holdout.by_source"


class Split(StrEnum):
    """What an example is for. A subject stays on its side: held out, or not."""

    TRAIN = "train"
    VALIDATION = "validation"
    HOLDOUT = "holdout"  # judges candidates; never leaves the platform, never trains


class Reason(StrEnum):
    """Why a record of the raw log is no example of a dataset."""

    DUPLICATE = "duplicate"  # another copy of the same record
    IDENTITY_CONFLICT = "identity_conflict"  # same identity, other content, received later
    SUPERSEDED = "superseded"  # a later verdict on the same subject
    CONTRADICTION = "contradiction"  # people disagree on the subject or on its exact content
    NEAR_DUPLICATE = "near_duplicate"  # the same content counts already, under another subject
    PREDICTION_UNKNOWN = "prediction_unknown"  # names a prediction that nobody gave
    PREDICTION_FOREIGN = "prediction_foreign"  # names a prediction of another model
    PREDICTION_EXPIRED = "prediction_expired"  # came later than a prediction may be judged
    PAYLOAD_MISSING = "payload_missing"  # nothing says what was judged, or its bytes are gone
    PAYLOAD_NOT_STORED = "payload_not_stored"  # the input lies elsewhere, and was not fetched yet
    PAYLOAD_NOT_ALLOWED = "payload_not_allowed"  # it lies where the policy lets nobody read
    PAYLOAD_TOO_LARGE = "payload_too_large"  # it has more bytes than we take
    PAYLOAD_UNREADABLE = "payload_unreadable"  # its bytes are no image that can be decoded
    UNCERTAIN_IN_HOLDOUT = "uncertain_in_holdout"  # chosen by uncertainty, on a held-out subject
    HELD_OUT = "held_out"  # its subject or content is held out, on another record's word
    TRAINED_BEFORE = "trained_before"  # would be held out, but it or its content has trained
    RESERVED = "reserved"  # kept for the next holdout, since the present one is worn
    ACTOR_SHARE = "actor_share"  # one actor's corrections beyond the share that counts
    ERASED = "erased"  # taken out for good: a person's right
    UNREADABLE = "unreadable"  # the line breaks the schema that it names
    # Layers number the reasons in this order: new ones stand at the end.
    PAYLOAD_NOT_SEEN = "payload_not_seen"  # nobody has looked yet at what it shows; in counts only


# gc=False here and below: builds hold many at once, and none can be part of a cycle.
class Row(Struct, frozen=True, kw_only=True, gc=False):
    """One example. A dataset's digest is made of these, sorted by subject, and of the policy."""

    subject: str
    label: str
    payload_sha256: str  # "sha256:<hex>"
    split: Split


class Example(Struct, frozen=True, kw_only=True, gc=False):
    """A record that survived curation, with the content that it judges; not yet on a side."""

    verdict: Verdict
    payload_sha256: str
    uncertain: bool  # the model's own uncertainty chose the subject or its content at least once

    @property
    def subject(self) -> str:
        """The thing judged, by which splits are made."""
        return self.verdict.subject_id


class Fate(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What became of one line of the raw log: the split that it is in, or why it is in none."""

    shard: str
    offset: int
    source: str
    id: str
    subject: str = ""  # empty if unreadable
    corrected: bool = False
    split: Split | None = None
    reason: Reason | None = None

    @property
    def effective(self) -> bool:
        """Whether it counts as a correction: it is an example, corrects, and is not held out."""
        return self.corrected and self.split in {Split.TRAIN, Split.VALIDATION}

    def beyond(self, offsets: Offsets) -> bool:
        """Tell whether its line lies at or after the given offset of its shard."""
        return self.offset >= offsets.get(self.shard, 0)


class Dataset(Struct, frozen=True, kw_only=True):
    """One immutable version: a row of table `datasets`; its files lie in the object store."""

    id: DatasetId
    model: str
    number: int  # 1 is the first, no gaps
    digest: str
    policy_digest: str
    parent: DatasetId | None  # the version whose sides it keeps
    offsets: Offsets  # shard -> first offset that is not in it
    counts: dict[str, dict[str, int]]  # split -> label -> examples
    corrections: int  # effective, all told
    left_out: dict[str, int]  # reason -> records
    manifest: str  # digest of manifest.json, under which it is stored
    created_at: datetime
    epoch: int = 1  # of its holdout

    @property
    def held(self) -> int:
        """How many examples are held out."""
        return sum(self.counts.get(Split.HOLDOUT, {}).values())
