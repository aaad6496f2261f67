"""Builds a dataset version on a Ray node of its own: `ray_build.py FOLDER OFFSETS`.

Prints the version's digest. It is a process of its own, since Daft runs in one place in each.
"""

import json
import sys
from pathlib import Path

import ray

from burnish.adapters.daft_datasets import DaftReader
from burnish.adapters.objects import LocalObjects
from burnish.adapters.raw_log import RawLogReader
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id, utc_now
from burnish.datasets.service import DatasetService
from burnish.feedback.parse import record_of
from support.ledger import Messages
from support.samples import policy


def main() -> None:
    folder, offsets = Path(sys.argv[1]), json.loads(sys.argv[2])
    engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
    objects = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
    ray.init(_node_ip_address="127.0.0.1", include_dashboard=False, num_cpus=2)
    try:
        service = DatasetService(
            raw_log=RawLogReader(objects, engine),
            reader=DaftReader(
                objects.folder,
                SqlManifest(engine),
                record_of,
                engine="ray://127.0.0.1:0",  # the node that this process is connected to already
                processes=2,
            ),
            objects=objects,
            units=lambda: SqlUnit(engine, clock=utc_now, ids=new_id, messenger=Messages()),
            clock=utc_now,
        )
        print(service.build(policy(), offsets).digest, file=sys.stderr)  # noqa: T201
    finally:
        ray.shutdown()


if __name__ == "__main__":
    main()
