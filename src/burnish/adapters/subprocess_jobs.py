"""Training attempts as processes of this machine.

An attempt holds a lock on a file in its folder for as long as it lives, whoever its parent is by
then: so a restarted worker knows what still runs, and nothing is started twice.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from burnish.adapters.crash import crash_point
from burnish.kernel.ids import JobId
from burnish.training.model import Job

MODULES: Final[Mapping[str, str]] = {"image-classifier": "burnish.trainers.image_classifier"}
LOG_TAIL_BYTES: Final = 1 << 20
NICENESS: Final = 10  # serving shares the machine and comes first

# It notes its own id before it becomes the trainer: nobody need outlive its start to know it.
NOTE_AND_BECOME: Final = 'echo $$ > pid.new && mv pid.new pid && exec "$@"'

# What an attempt may know of the worker's environment: how to find programs, and nothing secret.
INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV")


class SubprocessLauncher:
    """Implements `training.ports.Launcher` under a folder of the data directory."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache
        self._children: dict[Path, subprocess.Popen[bytes]] = {}

    def launch(self, job: Job, environment: Mapping[str, str]) -> None:
        """Start the job's current attempt in a process group of its own, unless it was before."""
        self._reap()
        folder = self._attempt(job)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "pid").exists():
            return
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            crash_point("attempt.before_start")
            trainer = ["nice", "-n", str(NICENESS), sys.executable, "-m", MODULES[job.trainer]]
            with (folder / "log").open("ab") as log:
                child = subprocess.Popen(  # noqa: S603  a module of ours, named by the table above
                    ["/bin/sh", "-c", NOTE_AND_BECOME, "attempt", *trainer],
                    env=self._environment(environment),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                )
        except BlockingIOError:
            return
        finally:
            os.close(lock)
        crash_point("attempt.after_start")
        self._children[folder] = child

    def is_alive(self, job: Job) -> bool:
        """Tell whether the current attempt still runs, or whether its starting is under way."""
        self._reap()
        return _is_held(self._attempt(job) / "lock")

    def was_launched(self, job: Job) -> bool:
        """Tell whether the current attempt was ever started."""
        return (self._attempt(job) / "pid").exists()

    def living(self) -> list[tuple[JobId, int]]:
        """Return every attempt that still runs, whoever started it: job and number."""
        return [
            (JobId(lock.parent.parent.name), int(lock.parent.name))
            for lock in self._folder.glob("*/*/lock")
            if _is_held(lock)
        ]

    def stop(self, job: Job) -> None:
        """End the current attempt and whatever it started; it may be over already."""
        if not self.is_alive(job):
            return
        folder = self._attempt(job)
        child = self._children.get(folder)
        try:
            group = child.pid if child is not None else int((folder / "pid").read_text())
            os.killpg(group, signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            return

    def log(self, job: Job) -> str:
        """Return what the current attempt has printed so far, at most its last megabyte."""
        path = self._attempt(job) / "log"
        if not path.exists():
            return ""
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")

    def _reap(self) -> None:
        """Take note of the ends of our own children, so that none stays a zombie for long."""
        for folder, child in list(self._children.items()):
            if child.poll() is not None:
                self._children.pop(folder, None)

    def _attempt(self, job: Job) -> Path:
        return self._folder / job.id / str(job.attempt)

    def _environment(self, given: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**inherited, **given, "BURNISH_CACHE_DIR": str(self._cache)}


def _is_held(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
