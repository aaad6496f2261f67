"""What the audience sees: a line per phase with its progress, and tables at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from burnish.demo.result import Proof, Result

NAME_WIDTH: Final = 22
_STYLES: Final = {"PASS": "green", "FAIL": "red", "INCONCLUSIVE": "yellow"}


class Phase:
    """One line that is being worked on."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        """Belongs to a screen; see `Screen.phase`."""
        self._progress, self._task = progress, task
        self.note = ""  # what to say when it is done

    def advance(self, *, steps: int = 1) -> None:
        """Move on by so many of the steps that were announced."""
        self._progress.advance(self._task, steps)

    def show(self, share: float, note: str = "") -> None:
        """Show a share of the work as done, and say something about it."""
        self._progress.update(self._task, total=1.0, completed=share, note=note)


class Screen:
    """The terminal; lines stay plain where it is none."""

    def __init__(self, console: Console) -> None:
        """Draw on `console`, once entered."""
        self.console = console
        self._listener: Callable[[str], None] = lambda _phase: None
        self._progress = Progress(
            TextColumn(f"  [cyan]{{task.description:<{NAME_WIDTH}}}"),
            BarColumn(bar_width=40),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()

    def say(self, text: str = "") -> None:
        """Print a line above the moving ones."""
        self.console.print(text, highlight=False)

    def headline(self, text: str) -> None:
        """Begin a chapter."""
        self.say()
        self.say(f"[bold]{text}")

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have a listener told the name of every phase as it begins; it must return at once."""
        self._listener = listener

    @contextmanager
    def phase(self, name: str, *, total: int | None = None) -> Iterator[Phase]:
        """Show a phase while it lasts, with a bar that pulses until a share of it is known."""
        task = self._progress.add_task(name, total=total, note="")
        phase, began = Phase(self._progress, task), time.monotonic()
        self._listener(name)
        try:
            yield phase
        finally:
            self._progress.remove_task(task)
        self.done(name, time.monotonic() - began, phase.note)

    def done(self, name: str, seconds: float, note: str = "") -> None:
        """Leave a finished phase's line behind."""
        self.say(f"  [green]✓[/] {name:<{NAME_WIDTH}}{seconds:6.1f} s  [dim]{note}")

    def results(self, result: Result) -> None:
        """Print what the story proved."""
        self.say()
        self.console.print(_rounds(result))
        self.say()
        self.console.print(_swaps(result))
        self.say()
        serving = result.serving
        near = "-" if serving.p99_swap_ms is None else f"{serving.p99_swap_ms:.1f} ms"
        self.say(
            f"[bold]{serving.requests}[/] requests, [bold]{serving.failed}[/] failed,"
            f" [bold]{serving.mixed}[/] mixed.\n"
            f"Background latency: p50 {serving.p50_ms:.1f} ms, p99 {serving.p99_ms:.1f} ms,"
            f" p99 within 1 s of a swap {near}."
        )
        if result.proof is not None:
            self.say(_proven(result.proof))
        if result.chaos is not None:
            self.say(
                f"Chaos with seed [bold]{result.chaos.seed}[/] killed"
                f" [bold]{len(result.chaos.kills)}[/] processes."
            )
        for fault in result.faults:
            self.say(f"[red]✗ {fault}")
        self.say(f"The whole story took {result.wall_seconds:.0f} s.")


def _proven(proof: Proof) -> str:
    return (
        f"Of [bold]{proof.accepted}[/] accepted records [bold]{proof.missing}[/] are missing in the"
        f" raw log and [bold]{proof.duplicates}[/] are in it twice.\n"
        f"Of [bold]{proof.steps}[/] finished steps [bold]{proof.steps_repeated}[/] ran again."
    )


def _rounds(result: Result) -> Table:
    table = _table("The loop, round by round")
    for name in ("round", "model", "dataset"):
        table.add_column(name)
    for name in ("correc-\ntions", "trained\non", "holdout accuracy\n(95 % interval)"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    table.add_column("train\ns", justify="right")
    table.add_column("loop\ns", justify="right")
    for turn in result.rounds:
        verdict = turn.verdict or "-"
        table.add_row(
            str(turn.round) if turn.round else "first",
            turn.model_version or "-",
            turn.dataset or "-",
            str(turn.corrections),
            str(turn.train_n),
            _accuracy(turn.holdout_accuracy, turn.holdout_low, turn.holdout_high),
            f"[{_STYLES.get(verdict, 'white')}]{verdict}",
            _seconds(turn.train_seconds),
            _seconds(turn.loop_seconds),
        )
    judged = max(turn.holdout_n for turn in result.rounds)
    table.caption = f"The holdout: {judged} photos that no round trains on."
    return table


def _swaps(result: Result) -> Table:
    table = _table("Hot swaps")
    for name in ("from", "to"):
        table.add_column(name)
    table.add_column("pointer moved in, µs", justify="right")
    table.add_column("made ready in, s", justify="right")
    for swap in result.swaps:
        table.add_row(
            swap.source or "-",
            swap.target or "-",
            "-" if swap.swap_us is None else f"{swap.swap_us:.0f}",
            "-" if swap.ready_seconds is None else f"{swap.ready_seconds:.2f}",
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        header_style="cyan",
        box=None,  # so that the widest row fits a terminal of 80 columns
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _accuracy(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "-"
    if low is None or high is None:
        return f"{value:.3f}"
    low_digits, high_digits = (f"{edge:.3f}".removeprefix("0") for edge in (low, high))
    return f"{value:.3f} [dim]({low_digits}-{high_digits})[/]"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
