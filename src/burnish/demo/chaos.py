"""Chaos: in every round the worker, the feedback front and the control plane die once, by SIGKILL.

When they die is drawn from the seed: a phase of the round, and how far into it. So every phase has
its turn, the short ones too, and the same seed makes the same plan.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

from msgspec import Struct

from burnish.demo.album import DemoError
from burnish.demo.result import Kill
from burnish.demo.screen import Screen

VICTIMS: Final = ("worker", "ingest", "control")  # serving answers on: nothing kills it here
SEEDS: Final = 2**32

# The phases of a round, and how long each lasts on two cores, in seconds.
ROUND: Final = {
    "photos arriving": 4.0,
    "confirming": 0.3,
    "correcting": 0.05,
    "persisting": 1.2,
    "training": 7.0,
    "judging": 4.5,
    "releasing": 0.6,
}
FIRST: Final = {"uploading": 3.0} | {
    name: ROUND[name] for name in ("persisting", "training", "judging", "releasing")
}

ACT: Final = {name: ROUND[name] for name in ("persisting", "training", "judging", "releasing")} | {
    "photos arriving": 1.0,
    "weighing": 1.5,
}

GONE_S: Final = 120.0  # within which a role that is away plays again
_LOOK_S: Final = 0.05


class Strike(Struct, frozen=True, kw_only=True):
    """One kill to come."""

    role: str
    phase: str
    delay: float  # seconds, after the phase has begun


def plan(seed: int, number: int, phases: dict[str, float]) -> tuple[Strike, ...]:
    """Draw who dies when in a round: each victim once.

    `phases` are those of the round, with how long each is expected to last, in seconds.
    """
    random = Random(f"{seed}/{number}")  # noqa: S311  (a repeatable draw, no secret)
    strikes = []
    for role in VICTIMS:
        phase = random.choice(list(phases))
        strikes.append(Strike(role=role, phase=phase, delay=random.random() * phases[phase]))
    return tuple(strikes)


class Chaos:
    """Kills by plan, in threads of its own; without a seed it does nothing at all."""

    def __init__(
        self, seed: int | None, *, kill: Callable[[str], int | None], screen: Screen
    ) -> None:
        """Listen to `screen` for phases; `kill` kills a role and returns its pid, None if away."""
        self._seed, self._kill, self._screen = seed, kill, screen
        self.kills: list[Kill] = []
        self._number = 0
        self._phase = ""
        self._plan: list[Strike] = []  # strikes whose phase has not begun
        self._timers: dict[Strike, threading.Timer] = {}
        self._lock = threading.Lock()
        self._failures: list[str] = []
        screen.listen(self._enter)

    @contextmanager
    def round(self, number: int, phases: dict[str, float] | None = None) -> Iterator[None]:
        """Let every victim die once within the block; what is not dead by its end dies then."""
        if self._seed is None:
            yield
            return
        with self._lock:
            self._number, self._plan = number, list(plan(self._seed, number, phases or ROUND))
        try:
            yield
        finally:
            late = self._disarm()
        for strike in late:
            self._strike(strike)
        if self._failures:
            raise DemoError(self._failures[0])

    def _enter(self, phase: str) -> None:
        with self._lock:
            self._phase = phase
            due = [strike for strike in self._plan if strike.phase == phase]
            self._plan = [strike for strike in self._plan if strike.phase != phase]
            for strike in due:
                timer = threading.Timer(strike.delay, self._strike, (strike,))
                timer.daemon = True
                self._timers[strike] = timer
                timer.start()

    def _disarm(self) -> Sequence[Strike]:
        """Take back every strike that has not begun and return them; wait for those that have."""
        with self._lock:
            timers, self._timers = self._timers, {}
            late, self._plan = self._plan, []
        for timer in timers.values():
            timer.cancel()
            timer.join()
        done = {kill.role for kill in self.kills if kill.round == self._number}
        return [*(strike for strike in timers if strike.role not in done), *late]

    def _strike(self, strike: Strike) -> None:
        """Kill now; a role that is just being started again is waited for."""
        deadline = time.monotonic() + GONE_S
        while (pid := self._kill(strike.role)) is None:
            if time.monotonic() > deadline:
                self._failures.append(f"No {strike.role} came back within {GONE_S:.0f} s.")
                return
            time.sleep(_LOOK_S)
        kill = Kill(
            at=time.monotonic(),
            round=self._number,
            role=strike.role,
            phase=self._phase,
            pid=pid,
        )
        self.kills.append(kill)
        self._screen.say(f"  [red]✗ {kill.role} killed while {kill.phase}[/]")
