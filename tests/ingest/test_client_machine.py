"""Whatever goes wrong on the way: what the client promised is in the raw log, exactly once."""

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from burnish.client.feedback import Feedback, Result
from support.flaky_proxy import Fault, FlakyProxy

BEARER: Final = "a-token"
DEADLINE_S: Final = 60
FAULTS: Final = st.lists(st.sampled_from(Fault), max_size=3)


@pytest.fixture(name="proxy")
def _proxy(lasting: Any) -> Iterator[FlakyProxy]:
    proxy = FlakyProxy(lasting.url)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("keeps", [False, True], ids=["in memory", "with an outbox"])
def test_promised_is_kept_exactly_once(
    lasting: Any, record: Any, proxy: FlakyProxy, keeps: bool
) -> None:
    lives = count()

    class Client(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.source = f"{keeps}-{next(lives)}"
            self.numbers = count()
            self.good: list[str] = []  # ids that were promised
            self.bad: list[str] = []
            self.waiting: list[tuple[bool, Future[Result]]] = []
            self.folder = Path(tempfile.mkdtemp()) if keeps else None
            self.open()

        def open(self) -> None:
            self.feedback = Feedback(
                proxy.url,
                BEARER,
                source=self.source,
                outbox=self.folder,
                batch_records=4,
                linger_s=0.01,
            )

        def made(self, good: bool) -> dict[str, Any]:
            number = next(self.numbers)
            made: dict[str, Any] = record(number, source=..., final="defect" if good else "ugly")
            (self.good if good else self.bad).append(made["id"])
            return made

        @rule(faults=FAULTS)
        def trouble(self, faults: list[Fault]) -> None:
            turn = iter(faults)
            proxy.plan = lambda: next(turn, Fault.NONE)

        @rule(many=st.lists(st.booleans(), min_size=1, max_size=9))
        def send_many(self, many: list[bool]) -> None:
            results = self.feedback.send_many([self.made(good) for good in many])
            assert [one.accepted or keeps for one in results] == [good or keeps for good in many]

        @rule(good=st.booleans())
        def submit(self, good: bool) -> None:
            self.waiting.append((good, self.feedback.submit(self.made(good))))

        @rule()
        def flush(self) -> None:
            self.feedback.flush(DEADLINE_S)
            for good, future in self.waiting:
                assert future.result(0).accepted == good
            self.waiting.clear()

        @rule(again=st.integers(0, 100))
        def send_again(self, again: int) -> None:
            if self.good:
                id_ = self.good[again % len(self.good)]
                self.feedback.send(record(int(id_.removeprefix("r-")), source=...))

        @rule()
        def start_anew(self) -> None:
            self.feedback.close()
            self.waiting.clear()
            self.open()

        @invariant()
        def nothing_waits_for_ever(self) -> None:
            assert all(not one.cancelled() for _, one in self.waiting)

        def teardown(self) -> None:
            if not hasattr(self, "feedback"):
                return
            proxy.plan = lambda: Fault.NONE
            self.feedback.flush(DEADLINE_S)
            self.feedback.close()
            lasting.post("/v1/seal", b"")
            kept = [one.id for one in lasting.raw_log() if one.source == self.source]
            assert sorted(kept) == sorted(self.good)
            if self.folder is not None:
                assert [path.name for path in self.folder.iterdir()] == ["lock"]
                shutil.rmtree(self.folder)

    run_state_machine_as_test(
        Client,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
