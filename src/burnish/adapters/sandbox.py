"""The sandbox: a candidate answers in a child process, measured, and cut off from everything.

The child has an emptied environment, resource limits and a deadline, and no network where we run as
root. It loads at once, then waits for our word, so that the timed section can come when all is
quiet.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from burnish.evaluation.model import Performance

ARTIFACT: Final = "artifact.onnx"
PHOTOS: Final = "photos.npy"
SINGLE: Final = b"single\n"  # our word: measure requests one at a time
CROWD: Final = b"crowd\n"  # and then several at a time
CHILD: Final = "burnish.adapters.sandboxed"
DEADLINE_S: Final = 60.0  # from our word; the child needs two seconds for a model that is fit
_TAIL: Final = 300  # bytes of its last words that a report can bear


class ChildSandbox:
    """Implements `evaluation.ports.Sandbox`; a candidate computes on `threads` threads a call."""

    def __init__(self, *, threads: int, deadline_s: float = DEADLINE_S) -> None:
        self._threads = threads
        self._deadline_s = deadline_s

    def open(self, artifact: bytes, photos: NDArray[np.uint8]) -> "ChildTrial":
        """Start to load an artifact, which will be asked about these photos [n, 224, 224, 3]."""
        return ChildTrial(artifact, photos, threads=self._threads, deadline_s=self._deadline_s)


class ChildTrial:
    """Implements `evaluation.ports.Trial` with a child that dies at the end of the block."""

    def __init__(
        self, artifact: bytes, photos: NDArray[np.uint8], *, threads: int, deadline_s: float
    ) -> None:
        self._deadline_s = deadline_s
        self._folder = tempfile.TemporaryDirectory(prefix="burnish-trial-")
        folder = Path(self._folder.name)
        (folder / ARTIFACT).write_bytes(artifact)
        np.save(folder / PHOTOS, photos)
        self._words = folder / "words"
        try:
            with self._words.open("wb") as words:
                self.process = subprocess.Popen(  # noqa: S603  a module of ours
                    [sys.executable, "-B", "-m", CHILD, str(os.getpid()), str(threads)],
                    cwd=folder,
                    env=_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    start_new_session=True,
                )
        except OSError:
            self._folder.cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the child, and whatever it started, and remove its folder."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()
        self._folder.cleanup()

    def measure(self, *, crowd: bool) -> Performance:
        """Give the word and return what the child measured, or why it did not."""
        try:
            said, _ = self.process.communicate(CROWD if crowd else SINGLE, timeout=self._deadline_s)
        except subprocess.TimeoutExpired:
            return Performance(failure=f"no answer in the sandbox within {self._deadline_s:g} s")
        if self.process.returncode != 0:
            words = self._words.read_bytes()[-_TAIL:].decode(errors="replace").strip()
            how = _ending(self.process.returncode)
            return Performance(failure=f"the sandboxed process {how}: {words or 'no last words'}")
        return msgspec.json.decode(said, type=Performance)


def _ending(code: int) -> str:
    """Say how a process ended.

    >>> _ending(-9), _ending(1)
    ('was ended by SIGKILL', 'ended with status 1')
    """
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _environment() -> Mapping[str, str]:
    """Return all that the child may know: where our code lies."""
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
