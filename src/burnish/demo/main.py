"""`burnish demo`: a platform of its own in a scratch directory, a story told on it, the proof."""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random, SystemRandom
from types import FrameType
from typing import Final

import msgspec
from rich.console import Console
from sqlalchemy import make_url

from burnish.client.api import ApiProblem, Unreachable
from burnish.demo import laundry, solar
from burnish.demo.album import Album, DemoError
from burnish.demo.chaos import SEEDS, VICTIMS, Chaos
from burnish.demo.footprints import check_empty
from burnish.demo.platform import Platform
from burnish.demo.policy import policy
from burnish.demo.proof import prove
from burnish.demo.report import Kind, Moment, Tale, write
from burnish.demo.result import ChaosSummary
from burnish.demo.screen import Screen
from burnish.demo.story import Story

ALBUMS: Final[Mapping[str, Callable[[], Album]]] = {
    "solar": solar.album,
    "laundry": laundry.album,
}
TROUBLE: Final = (DemoError, ApiProblem, Unreachable)
INTERRUPTED: Final = 130  # the exit code of a program that Ctrl-C ended


def run(
    *,
    model: str = "solar",
    json_path: Path | None = None,
    report: Path | None = None,
    keep: Path | None = None,
    database: str | None = None,
    chaos: bool = False,
    seed: int | None = None,
) -> int:
    """Tell the story of a model and return the exit code: 0 if everything held.

    `json_path` gets the numbers as JSON, the directory `report` the story as an HTML page. `keep`
    names a directory, empty or not there yet, that the platform runs in and that stays; without it
    everything is gone at the end. `database` is the URL of an empty database; without it there is
    one in the directory. With `chaos`, processes are killed at moments drawn from `seed`, or from
    one of its own that it tells.
    """
    console = Console()
    try:
        album, drawn = _album(model), _seed(seed, chaos=chaos)
        if database is not None:
            check_empty(database)
        with _directory(keep) as data, _terminable():
            tale = _tell(album, data, console, database=database, seed=drawn)
    except TROUBLE as error:
        console.print(f"[red]✗[/] {error}", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; everything is stopped and cleaned up.")
        return INTERRUPTED
    if json_path is not None:
        text = msgspec.json.format(msgspec.json.encode(tale.result.document()), indent=2)
        json_path.write_bytes(text + b"\n")
        console.print(f"The numbers are in {json_path}.", highlight=False)
    if report is not None:
        console.print(f"The report is {write(report, tale)}.", highlight=False, soft_wrap=True)
    if keep is not None:
        told = f" --database {make_url(database)}" if database else ""  # hides a password
        console.print(f"See it again with: burnish up --data {keep}{told}", highlight=False)
    return 1 if tale.result.faults else 0


def _tell(
    album: Album, data: Path, console: Console, *, database: str | None, seed: int | None
) -> Tale:
    began = time.monotonic()
    models = data / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / f"{album.model}.toml").write_text(policy(album))
    with Screen(console) as screen, Platform(data, database) as platform:
        screen.say(f"[bold]Burnish: {album.title}")
        for sentence in album.cast:
            screen.say(f"  {sentence}")
        if seed is not None:
            screen.say(
                f"  Chaos: every round, {', '.join(VICTIMS)} are killed once each."
                f" Again: --chaos --seed {seed}"
            )
        try:
            with screen.phase("starting") as phase:
                platform.wait_ready(album.model)
                phase.note = "ingest, control, worker and serve are up"
            chaos = Chaos(seed, kill=platform.kill, screen=screen)
            random = Random(0)  # noqa: S311
            story = Story(album, platform, screen, chaos, clock=_now, random=random)
            try:
                story.tell()
                tale = story.tale(began)
            finally:
                story.close()
        except TROUBLE:
            screen.console.print(
                platform.tails(), style="dim", markup=False, highlight=False, soft_wrap=True
            )
            raise
        with screen.phase("stopping"):
            platform.stop()
        with screen.phase("proving"):
            proof = prove(story.accepted, platform.footprints())
    killed = None if seed is None else ChaosSummary(seed=seed, began=began, kills=chaos.kills)
    result = msgspec.structs.replace(tale.result, proof=proof, chaos=killed)
    screen.results(result)
    return msgspec.structs.replace(
        tale,
        result=result,
        moments=tuple(
            Moment(at=kill.at, kind=Kind.KILL, label=f"{kill.role} killed") for kill in chaos.kills
        ),
        command=f"burnish demo --model {album.model}"
        + ("" if seed is None else f" --chaos --seed {seed}"),
        told_at=_now(),
    )


def _seed(given: int | None, *, chaos: bool) -> int | None:
    """Return the seed of the chaos, None if there is to be none."""
    if given is not None and not chaos:
        raise DemoError("--seed draws the moments of --chaos: give both, or neither.")
    if not chaos:
        return None
    return SystemRandom().randrange(SEEDS) if given is None else given


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
