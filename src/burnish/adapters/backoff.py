"""Waiting between attempts: capped exponential back-off with full jitter, cut short by a stop."""

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable
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


async def keep_trying(
    attempt: Callable[[], Awaitable[Result]],
    *,
    stop: asyncio.Event,
    failed: Callable[[Exception], None],
    first_s: float = FIRST_S,
    cap_s: float = CAP_S,
) -> Result:
    """Return what `attempt` returns: `retry_forever` for an event loop.

    An attempt that lasted longer than `cap_s` had worked, as a connection does before it is lost:
    after it the waits begin anew. An error that says `retry_after` is heeded, up to `cap_s`.
    """
    wait = first_s
    while True:
        began = time.monotonic()
        try:
            return await attempt()
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a retry is never exhausted into loss
            failed(error)
            asked = error.facts.get("retry_after") if isinstance(error, Unavailable) else None
        if time.monotonic() - began > cap_s:
            wait = first_s
        least = min(cap_s, float(asked)) if asked else 0.0
        pause = max(least, wait / 2) + random.uniform(0, wait / 2)  # noqa: S311 - jitter is no secret
        if await until(stop, timeout_s=pause):
            raise Stopped("Stopped before it succeeded.")
        wait = min(cap_s, wait * 2)


async def until(event: asyncio.Event, *, timeout_s: float) -> bool:
    """Wait for an event, so many seconds at most; tell whether it has come."""
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
