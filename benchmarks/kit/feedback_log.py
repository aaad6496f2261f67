"""A raw log of any length, written as the shipper writes it, of people who judge photos."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import zstandard

from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_object import object_key
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.feedback.model import RawObject
from burnish.kernel.digest import digest

SHARD = "0"
PER_OBJECT = 50_000  # lines: some 23 MB, as a busy front seals them
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
COPIES, AGAIN, SAME_PHOTO = 0.02, 0.05, 0.01  # shares of the lines

_LINE = (
    '{"offset":%d,"received_at":"%sZ","source":"https://shop.example/branch/%d",'
    '"id":"0192f0c1-7000-7000-8000-%012d","content_type":"application/json",'
    '"body":"{\\"source\\":\\"https://shop.example/branch/%d\\",'
    '\\"id\\":\\"0192f0c1-7000-7000-8000-%012d\\",\\"model\\":\\"laundry\\",'
    '\\"subject_id\\":\\"task-%08d\\",\\"predicted\\":\\"%s\\",\\"final\\":\\"%s\\",'
    '\\"corrected\\":true,\\"actor\\":\\"kim-%d\\",'
    '\\"reason\\":\\"the stain on the left sleeve is still there\\",'
    '\\"occurred_at\\":\\"%s+00:00\\",\\"payload\\":\\"burnish:sha256:%s\\"}"}\n'
)


class FeedbackLog:
    """Grows a raw log in a folder, object by object, always the same lines."""

    def __init__(self, folder: Path, *, loudest: float = 0.0) -> None:
        """Begin an empty log; one person gives a share of the verdicts, 200 others the rest."""
        self._loudest = loudest
        self.objects = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(self.engine)
        self.manifest = SqlManifest(self.engine)
        self.files = str(folder / "objects" / "raw" / "*" / "*" / SHARD / "*.zst")
        self._random = Random(7)  # noqa: S311  the same lines every time
        self._end = 0

    @property
    def end(self) -> int:
        """The offset after the last line's."""
        return self._end

    def grow(self, lines: int) -> None:
        """Add lines, sealed in as many objects as they need."""
        stop = self._end + lines
        while self._end < stop:
            self._seal(min(PER_OBJECT, stop - self._end))

    def _seal(self, count: int) -> None:
        first, last = self._end, self._end + count - 1
        text = "".join(self._lines(first, count)).encode()
        data = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(text)
        key = object_key(SHARD, first, last, NOON)
        self.objects.put(key, data)
        self.manifest.commit(
            RawObject(
                shard=SHARD,
                first_offset=first,
                last_offset=last,
                key=key,
                sha256=digest(data),
                records=count,
                bytes=len(data),
            )
        )
        self._end += count

    def _lines(self, first: int, count: int) -> Iterator[str]:
        draw = self._random.random
        for offset in range(first, first + count):
            happens = draw()
            # A copy comes a little after its record, anybody may be judged again.
            number = max(0, offset - 1 - int(draw() * 1000)) if happens < COPIES else offset
            yield _line(offset, number, self._loudest)


def _line(offset: int, number: int, loudest: float) -> str:
    """Return a line at an offset that holds the record of a number."""
    fate = int.from_bytes(sha256(b"%d" % number).digest()[:8], "big") / (1 << 64)
    subject = int(fate * 1e9) % (number + 1) if fate < AGAIN else number
    photo = int(fate * 1e9) % (number + 1) if fate > 1 - SAME_PHOTO else subject
    final, predicted = ("good", "defect") if photo % 2 else ("defect", "good")
    said = (NOON + timedelta(seconds=number)).replace(tzinfo=None).isoformat()
    got = (NOON + timedelta(days=400, seconds=offset)).replace(tzinfo=None).isoformat()
    branch = number % 50
    return _LINE % (
        offset,
        got,
        branch,
        number,
        branch,
        number,
        subject,
        predicted,
        final,
        0 if number % 100 < 100 * loudest else 1 + number % 200,
        said,
        sha256(b"photo %d" % photo).hexdigest(),
    )
