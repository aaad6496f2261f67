"""Entry point of a training attempt: `python -m burnish.trainers.image_classifier`."""

import logging
import os
import sys
from typing import Final

from burnish.client.trainer import Job
from burnish.trainers.image_classifier.training import train

_NICENESS: Final = 10  # serving shares the machine and comes first
_LOG: Final = logging.getLogger("burnish.trainer")


def main() -> int:
    """Run the job in the environment and return 0; what fails it is reported, and raised."""
    os.nice(_NICENESS)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    with Job.from_environment() as job:
        _LOG.info("job %s, dataset %s, trace %s", job.id, job.dataset, job.trace_id)
        train(job)
    return 0


if __name__ == "__main__":
    sys.exit(main())
