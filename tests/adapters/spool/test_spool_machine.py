"""The spool against a model of it: a dictionary of identities and a list of what was accepted."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from burnish.feedback.model import Outcome, Receipt

SEGMENT_BYTES = 400  # a few records: every run rotates

RECORDS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["{}", '{"other": 1}', '"%s"' % ("x" * 300)])),
    min_size=1,
    max_size=5,
)


class SpoolMachine(RuleBasedStateMachine):
    make_bench: Callable[..., Any]
    incoming: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.bench = self.make_bench(self.folder, segment=SEGMENT_BYTES)
        self.known: dict[str, tuple[int, str]] = {}
        self.accepted: list[tuple[str, str]] = []

    def expected(self, id_: str, body: str) -> Receipt:
        if id_ in self.known:
            offset, kept = self.known[id_]
            return Receipt(offset, Outcome.DUPLICATE if kept == body else Outcome.CONFLICT)
        offset = len(self.accepted)
        self.known[id_] = offset, body
        self.accepted.append((id_, body))
        return Receipt(offset, Outcome.ACCEPTED)

    @rule(records=RECORDS)
    def append(self, records: list[tuple[int, str]]) -> None:
        expected = [self.expected(f"r-{number}", body) for number, body in records]
        given = self.bench.append(*(self.incoming(number, body) for number, body in records))
        assert given == expected

    @rule(torn=st.binary(max_size=80), shipping=st.booleans())
    def crash(self, torn: bytes, shipping: bool) -> None:
        if shipping:
            self.bench.start_shipper(seal_seconds=0.0)
        self.bench.close()
        self.bench.tear(torn)
        self.bench.open()

    @rule(lost=st.integers(0, 2))
    def ship(self, lost: int) -> None:
        self.bench.objects.lose_answers = lost
        assert self.bench.ship() == len(self.accepted)
        assert [(one.id, one.body) for one in self.bench.persisted()] == self.accepted

    @invariant()
    def nothing_answered_is_missing(self) -> None:
        assert self.bench.spool.end == len(self.accepted)

    @invariant()
    def the_raw_log_is_a_prefix_of_what_was_accepted(self) -> None:
        found = [(one.id, one.body) for one in self.bench.persisted()]
        assert found == self.accepted[: len(found)]
        assert self.bench.spool.persisted_offset <= len(self.accepted)

    def teardown(self) -> None:
        self.bench.tear_down()
        shutil.rmtree(self.folder)


@pytest.mark.timeout(120)
def test_the_spool_does_what_its_model_does(
    make_bench: Callable[..., Any], incoming: Callable[..., Any]
) -> None:
    parts = {"make_bench": staticmethod(make_bench), "incoming": staticmethod(incoming)}
    run_state_machine_as_test(
        type("Machine", (SpoolMachine,), parts),
        settings=settings(
            max_examples=12,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
