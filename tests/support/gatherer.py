"""A worker's gathering alone, as a process that may be killed: `python -m support.gatherer DIR`.

DIR holds a shop's database, a folder of photos, and our data.
"""

import sys
from pathlib import Path

from burnish.adapters.gathering import Gathering
from burnish.adapters.objects import LocalObjects
from burnish.adapters.payloads.collector import PayloadCollector
from burnish.adapters.payloads.fetch import Bucketry, PayloadFetcher
from burnish.adapters.payloads.pictures import Pictures
from burnish.adapters.payloads.web import Web
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sources.collector import SourceCollector
from burnish.adapters.sources.places import Places
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.payloads import SqlPayloads
from burnish.adapters.sql.schema import metadata
from burnish.adapters.sql.sources import SqlSources
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id, utc_now
from burnish.feedback.parse import record_of
from burnish.feedback.service import project
from burnish.kernel.policy import ModelPolicy, policy_of
from support.ledger import Messages


class Desk:
    """The parts of a worker that gather, over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
        metadata.create_all(self.engine)
        self.objects = LocalObjects(
            folder / "objects", base_url="http://here", secret=b"s" * 32, clock=utc_now
        )
        self.raw_log = RawLogReader(self.objects, self.engine)
        self.payloads = SqlPayloads(self.engine)
        self.gathering = Gathering(
            sources=SourceCollector(
                objects=self.objects,
                sources=SqlSources(self.engine),
                places=Places(folder / "none", {"BURNISH_SOURCE_SHOP": self.shop}),
                clock=utc_now,
            ),
            payloads=PayloadCollector(
                views=self.view,
                payloads=self.payloads,
                objects=self.objects,
                fetcher=PayloadFetcher(
                    Web(max_bytes=1 << 20, timeout_s=20),
                    Bucketry(),
                    max_bytes=1 << 20,
                    timeout_s=20,
                ),
                pictures=Pictures(self.payloads, self.objects),
                clock=utc_now,
                parallel=2,
            ),
            raw_log=self.raw_log,
            project=lambda: project(self.raw_log, self.unit, record_of),
            newest=lambda _: None,
            every_s=60,
        )

    @property
    def shop(self) -> str:
        return f"sqlite:///{self.folder / 'shop.db'}"

    @property
    def policy(self) -> ModelPolicy:
        query = "SELECT id, photo AS subject_id, label AS final, 'kim' AS actor, '2026-05-01' AS"
        query += f" occurred_at, 'file://{self.folder}/photos/' || photo AS payload FROM judged"
        return policy_of(
            {
                "name": "laundry",
                "kind": "image-classification",
                "labels": ["good", "defect"],
                "dataset": {"near_duplicate": "perceptual"},
                "payload": {"allow": [f"file://{self.folder}/photos"]},
                "sources": {
                    "tasks": {
                        "database": "shop",
                        "query": query,
                        "watermark": "id",
                        "key": "id",
                        "row_limit": 6,
                    }
                },
            }
        )

    def unit(self) -> SqlUnit:
        return SqlUnit(self.engine, clock=utc_now, ids=new_id, messenger=Messages())

    def view(self) -> SqlUnit:
        return SqlUnit(
            self.engine, clock=utc_now, ids=new_id, messenger=Messages(), reads_only=True
        )


if __name__ == "__main__":
    desk = Desk(Path(sys.argv[1]))
    desk.gathering.for_run(desk.policy)
    desk.engine.dispose()
