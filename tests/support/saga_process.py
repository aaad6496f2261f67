"""A process that drives sagas by the real durable engine; tests kill it and start it again.

Usage: saga_process.py DATABASE_URL EFFECTS_FILE [STEP_TO_DIE_IN]
Each step appends a line to the effects file; in the named step it dies by SIGKILL, once.
"""

import os
import signal
import sys
import time
from pathlib import Path

from burnish.adapters.durable import DbosEngine
from burnish.adapters.sql.engine import make_engine
from burnish.kernel.ids import RunId
from burnish.pipeline.saga import Progress, Step


class Effects:
    """Performs each step by writing a line; `train` waits until it has been looked at twice."""

    def __init__(self, file: Path, die_in: str | None) -> None:
        self.file = file
        self.die_in = die_in

    def perform(self, step: Step, run: RunId) -> Progress:
        looks = self.file.read_text().splitlines().count(f"{run} {step.name}")
        with self.file.open("a") as file:
            file.write(f"{run} {step.name}\n")
        if step.name == self.die_in:
            os.kill(os.getpid(), signal.SIGKILL)
        return Progress.WAIT if step.name == "train" and looks == 0 else Progress.DONE


def main() -> None:
    url, file, *die_in = sys.argv[1:]
    performer = Effects(Path(file), die_in[0] if die_in else None)
    engine = DbosEngine(make_engine(url), executor="worker-0", concurrency=4, performer=performer)
    engine.launch()
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
