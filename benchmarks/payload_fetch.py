"""Does fetching photos keep up with a bare loop that reads, decodes and resizes them?

1,500 JPEGs of 1280 x 960, in a folder. The bare loop is two processes, each with half of the
files: read, `cv2.imdecode`, `cv2.resize` to 224 x 224 by area, BGR to RGB. Once it decodes in full,
as most loops do, and once reduced by 4, as we do. Ours is what a worker does, in threads of one
process; in the last row it also stores each photo, synced, and notes what it shows.
"""

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path

import cv2
import numpy as np
from kit.photos import HEIGHT, WIDTH, drawn
from kit.rounds import (
    QUICK_ROUNDS,
    ROUNDS,
    arguments,
    interleaved,
    median,
    ratio,
    table,
    timed,
    verdict,
)

from burnish.adapters.objects import LocalObjects
from burnish.adapters.payloads.fetch import Bucketry, PayloadFetcher
from burnish.adapters.payloads.pictures import Pictures, look_at
from burnish.adapters.payloads.web import Web
from burnish.adapters.sql.engine import make_engine
from burnish.adapters.sql.payloads import Fetched, SqlPayloads
from burnish.adapters.sql.schema import metadata
from burnish.adapters.system import utc_now
from burnish.imaging import SIDE, decode
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.settings import PayloadsSettings

PHOTOS = 1500
QUICK_PHOTOS = 200
SCENES = 50
PROCESSES = 2
AT_LEAST = 0.8
MOST_BYTES = 32 << 20


def draw(folder: Path, number: int) -> list[Path]:
    """Write photos of `SCENES` scenes, each file its own bytes."""
    rng = np.random.default_rng(7)
    scenes = [drawn(rng) for _ in range(SCENES)]
    paths = [folder / f"{at}.jpg" for at in range(number)]
    for at, path in enumerate(paths):
        path.write_bytes(scenes[at % SCENES] + at.to_bytes(4, "big"))  # behind the end marker
    return paths


def bare(paths: Sequence[Path], flag: int) -> int:
    cv2.setNumThreads(1)  # two processes have two cores
    total = 0
    for path in paths:
        image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flag)
        small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        total += int(cv2.cvtColor(small, cv2.COLOR_BGR2RGB).shape[0])
    return total


def bare_loop(pool: Pool, paths: Sequence[Path], flag: int) -> None:
    halves = [paths[start::PROCESSES] for start in range(PROCESSES)]
    assert sum(pool.starmap(bare, [(half, flag) for half in halves])) == SIDE * len(paths)


class Ours:
    """A worker's way to photos in a folder."""

    def __init__(self, paths: Sequence[Path]) -> None:
        settings = PayloadsSettings()
        self._uris = [f"file://{path}" for path in paths]
        self._allow = (f"file://{paths[0].parent}",)
        self._parallel = settings.parallel
        self._fetcher = PayloadFetcher(
            Web(max_bytes=MOST_BYTES, timeout_s=30),
            Bucketry(),
            max_bytes=MOST_BYTES,
            timeout_s=30,
        )

    def fetched(self) -> None:
        with ThreadPoolExecutor(self._parallel) as pool:
            photos = pool.map(self._decoded, self._uris)
            assert sum(photo.shape[0] for photo in photos) == SIDE * len(self._uris)

    def kept(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            engine = make_engine(f"sqlite:///{folder / 'burnish.db'}")
            metadata.create_all(engine)
            objects = LocalObjects(folder / "objects", base_url="", secret=b"", clock=utc_now)
            payloads = SqlPayloads(engine)
            with ThreadPoolExecutor(self._parallel) as pool:
                found = dict(pool.map(partial(self._keep, objects), self._uris))
            payloads.note(
                [Fetched(uri=uri, sha256=name) for uri, (name, _) in found.items()], now=utc_now()
            )
            Pictures(payloads, objects).note(dict(found.values()))
            engine.dispose()

    def _decoded(self, uri: str) -> np.ndarray:
        return decode(self._fetcher.fetch(uri, self._allow))

    def _keep(self, objects: LocalObjects, uri: str) -> tuple[str, tuple[str, object]]:
        data = self._fetcher.fetch(uri, self._allow)
        look, name = look_at(data, closely=False), digest(data)
        objects.put(payload_key(name), data)
        return uri, (name, look)


def main() -> None:
    asked = arguments(__doc__.partition("\n")[0])
    number, rounds = (QUICK_PHOTOS, QUICK_ROUNDS) if asked.quick else (PHOTOS, ROUNDS)
    with (
        tempfile.TemporaryDirectory(dir=asked.folder) as name,
        multiprocessing.get_context("spawn").Pool(PROCESSES) as pool,
    ):
        paths = draw(Path(name), number)
        ours = Ours(paths)
        full = partial(bare_loop, pool, paths, cv2.IMREAD_COLOR)
        reduced = partial(bare_loop, pool, paths, cv2.IMREAD_REDUCED_COLOR_4)
        contenders = {"full": full, "reduced": reduced, "fetched": ours.fetched, "kept": ours.kept}
        bare_loop(pool, paths[:PROCESSES], cv2.IMREAD_COLOR)  # once the processes are there
        times = interleaved(
            {name: partial(timed, work) for name, work in contenders.items()}, rounds=rounds
        )
    rows = [["way", "photos/s", "of the bare loop, full", "of the bare loop, reduced"]]
    titles = {
        "full": "bare loop, decoded in full",
        "reduced": "bare loop, decoded reduced",
        "fetched": "fetched, decoded, resized",
        "kept": "the same, stored synced and noted",
    }
    for name, title in titles.items():
        judged = {"at_least": AT_LEAST} if name == "fetched" else {}
        rows.append(
            [
                title,
                f"{number / median(times[name]):.0f}",
                verdict(ratio(times["full"], times[name]), **judged),
                f"{ratio(times['reduced'], times[name]):.2f}",
            ]
        )
    table(f"{number} photos of {WIDTH} x {HEIGHT}, {rounds} rounds, medians", rows)


if __name__ == "__main__":
    main()
