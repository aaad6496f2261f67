"""Named points at which a test may kill this process, as a power cut would: without warning."""

import os
import signal
from typing import Final

POINTS: Final = frozenset(
    {
        "ingest.before_write",  # a group is taken, nothing of it is on disk
        "ingest.after_write",  # it is written, not synced
        "ingest.after_sync",  # it is synced, nobody has an answer
        "ingest.after_rotate",  # a new segment exists, empty
        "ingest.after_quarantine",  # rejections are synced locally, nobody has an answer
        "ingest.after_seal",  # the sealed file is synced locally
        "ingest.after_upload",  # the object is stored, not listed
        "ingest.after_commit",  # it is listed, the spool does not know
        "ingest.after_persisted",  # the spool knows, nothing is deleted
        "ingest.after_delete",  # everything is done
        "ingest.after_ledger",  # identities are in the ledger, in no run
        "ingest.after_run",  # their run is written, not listed
        "ingest.after_flush",  # it is listed
        "ingest.after_merge",  # runs are merged, the merged one is not listed
        "ingest.after_merge_listed",  # it is listed, the old ones are not deleted
    }
)
_AT: Final = os.environ.get("BURNISH_CRASH_AT", "")


def crash_point(name: str) -> None:
    """Kill this process by SIGKILL if `BURNISH_CRASH_AT` names this point."""
    if _AT and name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)
