"""The job machine, driven at random by trainers that repeat, lie and die."""

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from burnish.adapters.system import new_id
from burnish.kernel.audit import SYSTEM
from burnish.kernel.auth import TokenEnded
from burnish.kernel.errors import IllegalTransition
from burnish.kernel.ids import JobId, RunId
from burnish.training import service
from burnish.training.model import (
    TRANSITIONS,
    Artifact,
    Done,
    Failure,
    Heartbeat,
    Job,
    JobState,
    Outcome,
    TrainerEvent,
)
from support.ledger import Ledger

RETRIES = 2
ENDS = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
ARTIFACT = Artifact(name="model.onnx", sha256="sha256:" + "0" * 64, bytes=1)


def submit(ledger: Ledger, run: str) -> Job:
    return service.submit(
        ledger.unit(),
        id_=JobId(new_id()),
        run=RunId(run),
        model="laundry",
        dataset="laundry@1",
        trainer="image-classifier",
        hyperparameters={},
        max_retries=RETRIES,
        trace_id="0" * 32,
        now=ledger.now,
    )


def job_machine(new_ledger: Callable[[], Ledger]) -> type[RuleBasedStateMachine]:
    class Jobs(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.ledger = new_ledger()
            self.run = new_id()
            self.id = submit(self.ledger, self.run).id
            self.seen = [self.job()]

        def job(self) -> Job:
            with self.ledger.view() as view:
                return view.jobs.get(self.id)

        def running(self) -> bool:
            return self.job().state is JobState.RUNNING

        @rule()
        def submitting_again_changes_nothing(self) -> None:
            assert submit(self.ledger, self.run).id == self.id

        @rule()
        def start_an_attempt(self) -> None:
            before = self.job()
            if before.state is JobState.QUEUED:
                started = service.start_attempt(self.ledger.unit(), self.id, now=self.ledger.tick())
                assert started.attempt == before.attempt + 1
            else:
                with pytest.raises(IllegalTransition):
                    service.start_attempt(self.ledger.unit(), self.id, now=self.ledger.now)

        @precondition(running)
        @rule(progress=st.floats(0, 1), replay=st.booleans())
        def heartbeat(self, progress: float, replay: bool) -> None:
            job = self.job()
            beat = Heartbeat(sequence=job.sequence + (not replay), progress=progress)
            service.heartbeat(
                self.ledger.unit(), self.id, job.attempt, beat, now=self.ledger.tick()
            )
            assert self.job().progress == (job.progress if replay else progress)

        @precondition(running)
        @rule()
        def event(self) -> None:
            job = self.job()
            event = TrainerEvent(sequence=job.sequence + 1, kind="epoch_end")
            service.note(self.ledger.unit(), self.id, job.attempt, event, now=self.ledger.tick())

        @rule(sequence=st.integers(1, 50))
        def an_ended_attempt_is_told_to_stop(self, sequence: int) -> None:
            job = self.job()
            attempt = job.attempt if job.state is not JobState.RUNNING else job.attempt - 1
            with pytest.raises(TokenEnded):
                service.heartbeat(
                    self.ledger.unit(),
                    self.id,
                    attempt,
                    Heartbeat(sequence=sequence),
                    now=self.ledger.now,
                )

        @precondition(running)
        @rule(outcome=st.sampled_from(Outcome))
        def done_said_twice_counts_once(self, outcome: Outcome) -> None:
            job = self.job()
            word = Done(sequence=job.sequence + 1, outcome=outcome, artifacts=(ARTIFACT,))
            now = self.ledger.tick()
            first = service.done(self.ledger.unit(), self.id, job.attempt, word, now=now)
            after = self.job()
            again = service.done(self.ledger.unit(), self.id, job.attempt, word, now=now)
            assert again is first
            assert self.job() == after

        @rule(stale=st.integers(0, 1))
        def the_attempt_is_lost(self, stale: int) -> None:
            before = self.job()
            failure = Failure(code="exited", message="gone")
            service.attempt_lost(
                self.ledger.unit(),
                self.id,
                before.attempt - stale,
                failure,
                now=self.ledger.tick(),
            )
            if stale or before.state is not JobState.RUNNING:
                assert self.job() == before
            else:
                assert self.job().failure == failure

        @rule(sure=st.integers(0, 5))
        def cancel(self, sure: int) -> None:
            if sure:
                return
            if self.job().state in ENDS:
                with pytest.raises(IllegalTransition):
                    self.do_cancel()
            else:
                self.do_cancel()

        def do_cancel(self) -> None:
            service.cancel(
                self.ledger.unit(), self.id, actor=SYSTEM, reason="enough", now=self.ledger.now
            )

        @invariant()
        def it_only_ever_follows_an_arrow(self) -> None:
            job = self.job()
            before = self.seen[-1]
            if job.state is not before.state:
                two_steps = {
                    after
                    for middle in TRANSITIONS[before.state].values()
                    for after in {middle, *TRANSITIONS[middle].values()}
                }
                assert job.state in two_steps
            assert not (before.state in ENDS and job != before)
            self.seen.append(job)

        @invariant()
        def attempts_grow_up_to_their_number(self) -> None:
            attempts = [job.attempt for job in self.seen]
            assert attempts == sorted(attempts)
            assert attempts[-1] <= 1 + RETRIES

        @invariant()
        def only_a_success_has_artifacts(self) -> None:
            job = self.job()
            assert bool(job.artifacts) == (job.state is JobState.SUCCEEDED)
            assert (job.completed_at is not None) == (job.state in ENDS)

        @invariant()
        def the_run_is_woken_for_every_end_once(self) -> None:
            keys = [key for run, key in self.ledger.messages.woken if run == self.run]
            assert len(keys) == len(set(keys))
            if self.job().state in ENDS:
                assert keys[-1].endswith(self.job().state)

    return Jobs


def test_the_job_machine_holds_its_promises(new_ledger: Callable[[], Ledger]) -> None:
    run_state_machine_as_test(
        job_machine(new_ledger), settings=settings(max_examples=30, stateful_step_count=30)
    )


def test_every_state_has_its_arrows_and_ends_have_none() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert {state for state, arrows in TRANSITIONS.items() if not arrows} == ENDS
