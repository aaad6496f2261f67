"""The callers: steady background traffic on threads of its own, and single predictions."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from threading import Condition, Event, Thread
from typing import Final

import msgspec

from burnish.client.http import ApiProblem, Http, Unreachable
from burnish.demo.album import DemoError, Photo
from burnish.demo.answers import NO_ANSWER, Answer

RATE: Final = 20.0  # requests a second; leaves most of two cores to the loop
CALLERS: Final = 8  # threads; a stall of half a second still meets a free one


class _Body(msgspec.Struct, frozen=True):
    model_version: str
    release: str
    generation: int
    prediction_id: str
    label: str
    probabilities: dict[str, float]
    payload_sha256: str = ""


def predict(http: Http, serve: str, model: str, photo: Photo, data: bytes) -> Answer:
    """Ask for one prediction, once, and record whatever comes of it."""
    url = f"{serve}/v1/models/{model}/predict"
    started = time.monotonic()
    said = b""
    try:
        headers = {"Content-Type": photo.media_type}
        reply = http.request("POST", url, data, headers, idempotent=True)
        status, said = reply.status, reply.body
    except ApiProblem as problem:
        status = problem.status
    except Unreachable:
        status = NO_ANSWER
    latency = time.monotonic() - started
    bare = Answer(photo=photo.name, started=started, latency_s=latency, status=status)
    if bare.failed:
        return bare
    try:
        body = msgspec.json.decode(said, type=_Body)
    except msgspec.MsgspecError:  # a success that says nothing is a failure too
        return msgspec.structs.replace(bare, status=NO_ANSWER)
    return msgspec.structs.replace(bare, **msgspec.structs.asdict(body))


class Traffic:
    """Background traffic at a steady rate: request i leaves at its own time, come what may."""

    def __init__(
        self, serve: str, model: str, photos: Sequence[Photo], *, rate: float = RATE
    ) -> None:
        """Prepare to send `photos` in turn; read once, so that no disk is in the latencies."""
        self.answers: list[Answer] = []  # appended to by the callers; grows until `stop`
        self._serve, self._model, self._rate = serve, model, rate
        self._photos = [(photo, photo.read()) for photo in photos]
        self._tickets = count()
        self._stopped = Event()
        self._news = Condition()
        self._first_seen: dict[int, float] = {}  # generation -> when its first answer came
        self._threads = [Thread(target=self._call, daemon=True) for _ in range(CALLERS)]
        self._began = 0.0

    def start(self) -> None:
        """Begin to call."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Call no more; returns when the last answer is in."""
        self._stopped.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def first_answer(
        self, generation: int, *, timeout_s: float, meanwhile: Callable[[], None]
    ) -> float:
        """Wait for a generation's first answer and return when it came, monotonic.

        `meanwhile` is called now and then, to raise what makes waiting pointless. Raises DemoError
        after `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            with self._news:
                if self._news.wait_for(lambda: generation in self._first_seen, timeout=0.25):
                    return self._first_seen[generation]
            meanwhile()
            if time.monotonic() > deadline:
                raise DemoError(f"Generation {generation} did not answer within {timeout_s:.0f} s.")

    def _call(self) -> None:
        with Http() as http:
            while True:
                ticket = next(self._tickets)  # atomic: one call of a C iterator
                wait = self._began + ticket / self._rate - time.monotonic()
                if self._stopped.wait(max(0.0, wait)):
                    break
                photo, data = self._photos[ticket % len(self._photos)]
                self._note(predict(http, self._serve, self._model, photo, data))

    def _note(self, answer: Answer) -> None:
        self.answers.append(answer)
        if not answer.failed and answer.generation not in self._first_seen:
            with self._news:
                self._first_seen.setdefault(answer.generation, answer.ended)
                self._news.notify_all()
