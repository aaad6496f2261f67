"""Waiting between attempts: capped exponential back-off with full jitter, cut short by a stop."""

import random
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from burnish.kernel.errors import Unavailable

Result = TypeVar("Result")

FIRST_S: Final = 0.1
CAP_S: Final = 15.0


class Stopped(Unavailable):
    """The wait was cut short because the process is going down; what was tried is still undone."""

    code = "stopped"


def retry_forever(
    attempt: Callable[[], Result],
    *,
    stop: threading.Event,
    failed: Callable[[Exception], None],
    first_s: float = FIRST_S,
    cap_s: float = CAP_S,
) -> Result:
    """Return what `attempt` returns, however many failures that takes.

    Args:
        attempt: may raise anything; each time it does, `failed` is told.
        stop: once set, the next failure raises Stopped.
        failed: told of each failure; must not raise.
        first_s: greatest wait after the first failure, in seconds; it doubles each time.
        cap_s: greatest wait of all, in seconds.
    """
    wait = first_s
    while True:
        try:
            return attempt()
        except Stopped:  # of an attempt within this one
            raise
        except Exception as error:  # noqa: BLE001 - a retry is never exhausted into loss
            failed(error)
        if stop.wait(random.uniform(wait / 2, wait)):  # noqa: S311 - jitter is no secret
            raise Stopped("Stopped before it succeeded.")
        wait = min(cap_s, wait * 2)
