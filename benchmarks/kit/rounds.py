"""Rounds of contenders that take turns, so that a busy machine slows all of them alike."""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

ROUNDS = 7
QUICK_ROUNDS = 3
REST_S, BUSY = 0.5, 0.05  # at rest is who takes a twentieth of a processor for half a second
LONGEST_REST_S = 60.0


def arguments(
    question: str, more: Callable[[argparse.ArgumentParser], object] = lambda _: None
) -> argparse.Namespace:
    """Return `--quick` and `--folder` of the command line, and whatever `more` adds."""
    parser = argparse.ArgumentParser(description=question)
    more(parser)
    parser.add_argument(
        "--quick", action="store_true", help="smaller and fewer: only to see it run"
    )
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk to be measured (default: temporary)"
    )
    return parser.parse_args()


def interleaved(
    contenders: Mapping[str, Callable[[], float]], *, rounds: int
) -> dict[str, list[float]]:
    """Run every contender once a round, in alternating order; return what each returned."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            found[name].append(contenders[name]())
    return found


def rest(cpu_s: Callable[[], float]) -> None:
    """Wait until a contender has done what it put off, and the disk has it: the next one comes.

    `cpu_s` returns the seconds of processor time that it has taken so far.
    """
    os.sync()
    deadline = time.monotonic() + LONGEST_REST_S
    spent = REST_S
    while spent >= BUSY * REST_S and time.monotonic() < deadline:
        before = cpu_s()
        time.sleep(REST_S)
        spent = cpu_s() - before


def cpu_s(pid: int) -> float:
    """Return the seconds of processor time that a process has taken so far."""
    return _spent(_stat(Path(f"/proc/{pid}")))


def cpu_s_of_group(group: int) -> float:
    """Return the seconds of processor time that a group of processes has taken so far."""
    stats = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            stats.append(_stat(folder))
    return sum(_spent(stat) for stat in stats if int(stat[2]) == group)


def _stat(folder: Path) -> list[str]:
    """Return what the kernel says of a process, from its state on (proc(5), `stat`)."""
    return (folder / "stat").read_text().rpartition(")")[2].split()


def _spent(stat: Sequence[str]) -> float:
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the rounds' ratios: what slowed one round slowed both of its sides."""
    return statistics.median(one / other for one, other in zip(over, under, strict=True))


def verdict(value: float, *, at_least: float | None = None, at_most: float | None = None) -> str:
    if at_least is not None:
        return f"{value:.2f} (≥ {at_least:g}: {'met' if value >= at_least else 'MISSED'})"
    if at_most is not None:
        return f"{value:.2f} (≤ {at_most:g}: {'met' if value <= at_most else 'MISSED'})"
    return f"{value:.2f}"


def table(title: str, rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first of which is the header, as a Markdown table."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    print(f"\n{title}\n\n" + "\n".join(lines), flush=True)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
