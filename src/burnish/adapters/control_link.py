"""A replica's link to the control plane: assignments in, reports out, and a memory on disk.

Two threads, because an assignment is waited for (long poll) while a report is due every 2 s and
after every change. Neither failing stops the replica: it serves on what it has, and after a
restart on what it remembers.
"""

import http.client
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from burnish.adapters.artifact_cache import ArtifactCache
from burnish.adapters.crash import crash_point
from burnish.adapters.files import write_durably
from burnish.client.http import ApiProblem, Http
from burnish.releases.assignment import Assignment
from burnish.serving.follower import Follower

WAIT_S: Final = 20  # how long the control plane may hold a poll open
SLACK_S: Final = 10  # how much longer we wait for it to answer
REPORT_S: Final = 2.0  # between reports when nothing changes
REPORT_TIMEOUT_S: Final = 5.0
BACKOFF_S: Final = (0.1, 5.0)  # first and longest wait between attempts; doubled, with jitter
MEMORY: Final = "assignment.json"


class ControlLink:
    """Keeps a follower and the control plane in touch.

    `base_url` is the control plane's, `token` makes a fresh bearer token of scope `replica`,
    `folder` is this replica's own (`serve/<replica>/`).
    """

    def __init__(
        self,
        follower: Follower,
        *,
        base_url: str,
        replica: str,
        token: Callable[[], str],
        folder: Path,
        cache: ArtifactCache,
    ) -> None:
        self._follower = follower
        self._polls = Http(base_url, timeout=WAIT_S + SLACK_S)
        self._reports = Http(base_url, timeout=REPORT_TIMEOUT_S)
        self._replica = replica
        self._token = token
        self._memory = folder / MEMORY
        self._cache = cache
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._remembered = b""
        self._log = structlog.get_logger("control_link")
        self._threads = [
            threading.Thread(target=self._poll, name="control-poll", daemon=True),
            threading.Thread(target=self._report, name="control-report", daemon=True),
        ]

    def start(self) -> None:
        """Serve what is remembered, then get in touch."""
        self._recall()
        self._follower.subscribe(self._changed.set)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Hang up and end both threads."""
        self._stopping.set()
        self._changed.set()
        self._polls.close()  # a poll under way may have 30 s to go
        for thread in self._threads:
            thread.join()
        self._reports.close()

    def _poll(self) -> None:
        etag: str | None = None
        wait = BACKOFF_S[0]
        while not self._stopping.is_set():
            try:
                etag = self._poll_once(etag)
                wait = BACKOFF_S[0]
            except (OSError, ApiProblem, msgspec.DecodeError) as error:
                if self._stopping.is_set():
                    return
                self._log.warning("control plane out of reach", error=repr(error), retry_s=wait)
                self._stopping.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311  jitter, no secret
                wait = min(2 * wait, BACKOFF_S[1])

    def _poll_once(self, etag: str | None) -> str | None:
        """Ask for an assignment other than `etag`, follow it, and return its own."""
        headers = self._authorization()
        if etag is not None:
            headers["If-None-Match"] = etag
        answer = self._polls.request("GET", f"/v1/serving?wait={WAIT_S}", headers=headers)
        if answer.status == http.client.NOT_MODIFIED:
            return etag
        assignment = msgspec.json.decode(answer.body, type=Assignment)
        self._forget(assignment)
        self._follower.follow(assignment)
        return answer.headers.get("etag")

    def _report(self) -> None:
        while not self._stopping.is_set():
            self._changed.wait(REPORT_S)
            self._changed.clear()
            try:
                self._remember()
                self._report_once()
            except (OSError, ApiProblem) as error:
                self._log.debug("report not delivered", error=repr(error))
                self._stopping.wait(BACKOFF_S[0])

    def _report_once(self) -> None:
        path = f"/v1/replicas/{quote(self._replica, safe='')}"
        headers = self._authorization() | {"Content-Type": "application/json"}
        self._reports.request("PUT", path, msgspec.json.encode(self._follower.report()), headers)

    def _recall(self) -> None:
        """Follow what was remembered, if it can be read."""
        try:
            remembered = self._memory.read_bytes()
            assignment = msgspec.json.decode(remembered, type=Assignment)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            self._log.warning("remembered assignment unreadable", error=repr(error))
            return
        self._remembered = remembered
        self._follower.follow(assignment)

    def _remember(self) -> None:
        """Note on disk what serves, if that changed."""
        remembered = self._follower.remembered()
        content = msgspec.json.encode(remembered)
        if content == self._remembered or not remembered.models:
            return
        write_durably(self._memory, content)
        crash_point("assignment.after_remember")
        self._remembered = content

    def _forget(self, coming: Assignment) -> None:
        """Delete artifacts of neither what serves nor what comes, before the loader fetches it."""
        self._cache.keep_only(
            {
                assigned.artifact
                for assignment in (self._follower.remembered(), coming)
                for model in assignment.models.values()
                for assigned in model.wanted()
            }
        )

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}
