"""What each reason to leave a record out means, and what a person can do about it."""

from collections.abc import Mapping
from typing import Final

from burnish.datasets.model import Reason

ADVICE: Final[Mapping[Reason, str]] = {
    Reason.DUPLICATE: "The same record came twice: nothing to do.",
    Reason.IDENTITY_CONFLICT: "Its source and id belong to an earlier record that says otherwise:"
    " give each record an id of its own.",
    Reason.SUPERSEDED: "A later verdict on the subject counts: nothing to do.",
    Reason.CONTRADICTION: "People disagree: see `burnish dataset contradictions`.",
    Reason.NEAR_DUPLICATE: "Another subject shows the same: nothing to do.",
    Reason.PREDICTION_UNKNOWN: "It names a prediction that serving did not give: send the"
    " `prediction_id` as serving returned it, or none.",
    Reason.PREDICTION_FOREIGN: "It names another model's prediction: send it for that model.",
    Reason.PREDICTION_EXPIRED: "It came too late: send corrections sooner, or raise"
    " `feedback.window_days`.",
    Reason.PAYLOAD_MISSING: "Nothing says what was judged, or its bytes are gone: upload the photo"
    " and send its URI as `payload`, or raise `capture.sample`.",
    Reason.PAYLOAD_NOT_STORED: "Its payload lies elsewhere, and nobody has fetched it: a run does,"
    " before it builds.",
    Reason.PAYLOAD_NOT_ALLOWED: "Its payload lies where nobody may read: add the place to"
    " `payload.allow`, or upload the photo.",
    Reason.PAYLOAD_TOO_LARGE: "Its payload is too large: send a smaller photo, or raise"
    " `payloads.max_bytes`.",
    Reason.PAYLOAD_UNREADABLE: "Its payload is no image that can be decoded: send a whole JPEG, PNG"
    " or WebP photo in a record with a new id.",
    Reason.UNCERTAIN_IN_HOLDOUT: "Uncertainty asked for it, and its subject judges models: nothing"
    " to do.",
    Reason.HELD_OUT: "Its subject or photo judges models: nothing to do.",
    Reason.TRAINED_BEFORE: "It would judge models, but it has trained one: send the exam on other"
    " subjects.",
    Reason.RESERVED: "It waits for the next holdout, since the present one is worn: send more"
    " verdicts on new subjects.",
    Reason.ACTOR_SHARE: "One person sent too large a share of the corrections: let others correct"
    " too, or raise `dataset.actor_share`.",
    Reason.ERASED: "It was erased: nothing to do.",
    Reason.PAYLOAD_NOT_SEEN: "No worker has looked at its photo yet: one does within seconds of"
    " the photo's arrival; if it does not, see the worker's log.",
    Reason.UNREADABLE: "Its line breaks the schema that it names: send it again as that says.",
}


def is_to_do(reason: Reason) -> bool:
    """Tell whether there is anything that a person can do about a reason."""
    return not ADVICE[reason].endswith("nothing to do.")
