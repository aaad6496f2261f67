"""Doing the same thing in several threads at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Value = TypeVar("Value")
THREADS = 8
PATIENCE_S = 60


def at_once(
    work: Callable[[int], Value], *, threads: int = THREADS
) -> tuple[list[Value], list[Exception]]:
    """Call `work` with 0, 1, 2 … in as many threads; return what it returned and what it raised."""
    barrier = Barrier(threads)
    values: list[Value] = []
    errors: list[Exception] = []

    def one(number: int) -> None:
        barrier.wait(PATIENCE_S)
        try:
            values.append(work(number))
        except Exception as error:  # noqa: BLE001  whoever called looks at each
            errors.append(error)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, range(threads), timeout=PATIENCE_S))
    return values, errors
