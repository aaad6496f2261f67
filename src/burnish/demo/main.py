"""`burnish demo`: a platform of its own in a scratch directory, a story told on it, the proof."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import FrameType
from typing import Final

import msgspec
from rich.console import Console

from burnish.client.api import ApiProblem, Unreachable
from burnish.demo import laundry, solar
from burnish.demo.album import Album, DemoError
from burnish.demo.platform import Platform
from burnish.demo.policy import policy
from burnish.demo.result import Result
from burnish.demo.screen import Screen
from burnish.demo.story import Story

ALBUMS: Final[Mapping[str, Callable[[], Album]]] = {
    "solar": solar.album,
    "laundry": laundry.album,
}
TROUBLE: Final = (DemoError, ApiProblem, Unreachable)
INTERRUPTED: Final = 130  # the exit code of a program that Ctrl-C ended


def run(*, model: str = "solar", json_path: Path | None = None, keep: Path | None = None) -> int:
    """Tell the story of a model and return the exit code: 0 if everything held.

    `json_path` gets the numbers as JSON. `keep` names a directory, empty or not there yet, that the
    platform runs in and that stays; without it everything is gone at the end.
    """
    console = Console()
    try:
        with _directory(keep) as data, _terminable():
            result = _tell(_album(model), data, console)
    except TROUBLE as error:
        console.print(f"[red]✗[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything is stopped and cleaned up.")
        return INTERRUPTED
    if json_path is not None:
        text = msgspec.json.format(msgspec.json.encode(result.document()), indent=2)
        json_path.write_bytes(text + b"\n")
        console.print(f"The numbers are in {json_path}.", highlight=False)
    if keep is not None:
        console.print(f"See it again with: burnish up --data {keep}", highlight=False)
    return 1 if result.faults else 0


def _tell(album: Album, data: Path, console: Console) -> Result:
    began = time.monotonic()
    models = data / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / f"{album.model}.toml").write_text(policy(album))
    with Screen(console) as screen, Platform(data) as platform:
        screen.say(f"[bold]Burnish: {album.title}")
        for sentence in album.cast:
            screen.say(f"  {sentence}")
        try:
            with screen.phase("starting") as phase:
                platform.wait_ready(album.model)
                phase.note = "ingest, control, worker and serve are up"
            story = Story(album, platform, screen, clock=_now, random=Random(0))  # noqa: S311
            try:
                story.tell()
                result = story.result(time.monotonic() - began)
            finally:
                story.close()
        except TROUBLE:
            screen.console.print(
                platform.tails(), style="dim", markup=False, highlight=False, soft_wrap=True
            )
            raise
        with screen.phase("stopping"):
            platform.stop()
    screen.results(result)
    return result


def _album(model: str) -> Album:
    if model not in ALBUMS:
        raise DemoError(f"There is no demo {model!r}; there is: {', '.join(ALBUMS)}.")
    return ALBUMS[model]()


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


@contextmanager
def _directory(keep: Path | None) -> Iterator[Path]:
    """Yield the directory to run in; a scratch one is removed afterwards."""
    if keep is None:
        scratch = Path(tempfile.mkdtemp(prefix="burnish-demo-"))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return
    if keep.exists() and any(keep.iterdir()):
        raise DemoError(f"{keep} is not empty: name a directory that is, or that is not there yet.")
    yield keep.absolute()


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and a closed terminal clean up just as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A signal that is ignored stays so: that is what nohup asks for.
    signals = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
