"""The published directory: one signed file of models and keys, from control plane to ingest."""

import hashlib
import hmac
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from burnish.adapters.crash import crash_point
from burnish.adapters.files import write_durably
from burnish.feedback.model import Published
from burnish.kernel.digest import canonical
from burnish.kernel.errors import Unavailable

_log = structlog.get_logger("burnish.directory")


class _Signed(Struct):
    payload: dict[str, Any]
    signature: str  # hex HMAC-SHA256 of the canonical payload


class DirectoryUnavailable(Unavailable):
    """No directory has been published yet, or none that we signed."""

    code = "directory.unavailable"


class PublishedDirectory:
    """`published/directory.json`, written by the control plane, read by ingest; safe in any thread.

    A reader keeps the last good one: a file that is torn, foreign or gone never unseats it.
    """

    def __init__(self, path: Path, secret: bytes) -> None:
        self._path, self._name = path, str(path)
        self._secret = secret
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None  # inode, size, mtime of the file last read
        self._current: Published | None = None
        self._problem = "it is not there yet"

    def publish(self, payload: dict[str, Any]) -> None:
        """Sign and write a directory: {"models": {name: ModelFacts}, "keys": [Key]}.

        Raises msgspec.ValidationError if it is not one.
        """
        msgspec.convert(payload, Published)
        signed = _Signed(payload=payload, signature=self._sign(payload))
        crash_point("directory.before_publish")
        write_durably(self._path, canonical(signed))
        crash_point("directory.after_publish")

    def current(self) -> Published:
        """Return the newest directory that is properly signed. Raises DirectoryUnavailable."""
        with self._lock:
            self._refresh()
            if self._current is None:
                raise DirectoryUnavailable(
                    f"No directory of models: {self._problem}. Start the control plane once.",
                    retry_after=1,
                )
            return self._current

    def _refresh(self) -> None:
        try:
            stat = os.stat(self._name)  # noqa: PTH116 - at each request; Path costs twice as much
            seen = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if seen == self._seen:
                return
            signed = msgspec.json.decode(self._path.read_bytes(), type=_Signed)
            if not hmac.compare_digest(
                self._sign(signed.payload).encode(), signed.signature.encode()
            ):
                self._keep(seen, "its signature does not fit the secret")
                return
            self._current = msgspec.convert(signed.payload, Published)
            self._seen = seen
        except FileNotFoundError:
            return
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            self._keep(None, str(error))

    def _keep(self, seen: tuple[int, int, int] | None, problem: str) -> None:
        self._seen = seen
        self._problem = problem
        _log.error("directory.refused", path=str(self._path), problem=problem)

    def _sign(self, payload: dict[str, Any]) -> str:
        return hmac.new(self._secret, canonical(payload), hashlib.sha256).hexdigest()
