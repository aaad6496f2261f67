"""Records in the raw log of a data directory, as ingest leaves them there."""

from datetime import timedelta

from burnish.adapters.raw_object import encode, object_key
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.system import utc_now
from burnish.bootstrap.house import House
from burnish.feedback.model import FeedbackRecord, RawObject, RawRecord
from burnish.feedback.parse import PLAIN
from burnish.kernel.digest import digest
from support.world import body


def persist(house: House, *records: FeedbackRecord) -> None:
    """Persist records as one object of shard 0."""
    manifest, now = SqlManifest(house.engine), utc_now()
    first = manifest.end().get("0", 0)
    lines = [
        RawRecord(
            offset=offset,
            received_at=now + timedelta(microseconds=offset),
            source=said.source,
            id=said.id,
            content_type=PLAIN,
            body=body(said),
        )
        for offset, said in enumerate(records, first)
    ]
    data, last = encode(lines), lines[-1].offset
    key = object_key("0", first, last, now)
    house.objects.put(key, data)
    manifest.commit(
        RawObject(
            shard="0",
            first_offset=first,
            last_offset=last,
            key=key,
            sha256=digest(data),
            records=len(lines),
            bytes=len(data),
        )
    )
