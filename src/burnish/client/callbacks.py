"""How a training attempt reports: numbered callbacks in order, and heartbeats on a thread."""

import json
import threading
from collections.abc import Mapping
from typing import Any, Final

from burnish.client.http import ONCE, ApiProblem, Http, Retry

HEARTBEAT_SECONDS: Final = 8.0  # between two at most; the server asks for one every 10 s
_NOTICE_SECONDS: Final = 1.0  # between two at least, while the progress changes


class JobStopped(Exception):
    """The control plane wants nothing more of this attempt: it is cancelled, lost or replaced."""

    code = "job_stopped"


class Callbacks:
    """The three callbacks of one attempt; safe in any thread.

    Sequence numbers grow by one over all three kinds, and a repetition keeps its number. Once the
    control plane has refused one for good (401, 409, …), `check` raises JobStopped. With an
    empty `url` nothing is sent.
    """

    def __init__(self, http: Http, url: str, *, token: str, traceparent: str = "") -> None:
        self._http, self._url = http, url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if traceparent:
            self._headers["traceparent"] = traceparent
        self._sending = threading.Lock()
        self._sequence = 0
        self._stopped: str | None = None
        self._progress: Mapping[str, Any] = {
            "progress": 0.0,
            "epoch": None,
            "metrics": {},
            "message": "",
        }
        self._changed = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @property
    def stopped(self) -> bool:
        """Tell whether a callback was refused."""
        return self._stopped is not None

    def check(self) -> None:
        """Raise JobStopped if a callback was refused."""
        if self._stopped is not None:
            raise JobStopped(self._stopped)

    def start(self) -> None:
        """Send the first heartbeat, and go on sending them."""
        if self._url:
            self._thread.start()

    def end(self) -> None:
        """Send no more heartbeats; one that is under way is waited for."""
        self._ending.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join()

    def note(self, progress: Mapping[str, Any]) -> None:
        """Have the next heartbeat say this, within about a second."""
        self._progress = progress
        self._changed.set()

    def send(self, callback: str, body: Mapping[str, Any], patience: Retry) -> None:
        """Send one callback. Raises JobStopped if it is refused, OSError if nobody takes it."""
        if not self._url:
            return
        with self._sending:
            self._sequence += 1
            try:
                self._http.request(
                    "POST",
                    f"{self._url}/{callback}",
                    json.dumps({"sequence": self._sequence, **body}).encode(),
                    self._headers,
                    retry=patience,
                    idempotent=True,  # by its sequence number
                )
            except ApiProblem as problem:
                said = f"The {callback} was answered {problem.status} {problem.code}."
                if problem.passing:
                    raise ConnectionError(said) from problem
                self._stopped = said
        self.check()

    def _beat(self) -> None:
        """Send heartbeats until the end: soon after the progress changed, and else regularly."""
        while True:
            self._changed.clear()
            try:
                self.send("heartbeat", self._progress, ONCE)
            except JobStopped:
                return
            except OSError:
                pass  # the control plane restarts: the next heartbeat says the same and more
            if self._ending.wait(_NOTICE_SECONDS):
                return
            self._changed.wait(HEARTBEAT_SECONDS - _NOTICE_SECONDS)
