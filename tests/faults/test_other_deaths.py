"""Control, serve and ingest die at every point on their way, and the loop completes."""

import contextlib
import signal
from collections.abc import Callable
from typing import Any, Final

import pytest

from burnish.client.api import ApiProblem, Unreachable
from support.deaths import (
    ANSWERED,
    ASKED,
    CANCELLED,
    FOLLOWED,
    LOADED,
    OVERRIDDEN,
    SHIPPED,
    STARTED,
    STOPPED,
    TAKEN_BACK,
    TAUGHT,
    ways,
)
from support.roles import Platform
from support.whole import assert_whole

pytestmark = pytest.mark.timeout(600)

MANY: Final = 2000

Deaths = tuple[str, ...]


@pytest.mark.parametrize("deaths", ways(TAUGHT, *FOLLOWED))
def test_control_takes_photos_reports_and_artifacts(platform: Platform, deaths: Deaths) -> None:
    with platform.following("plain") as following:
        platform.dies("control", deaths, lambda: platform.label("plain", "plain-more"))
        run = following.ends("SUCCEEDED")
    assert [row.attempt for row in platform.rows("jobs", run=run["id"])] == [1]
    assert platform.active("plain")["run"] == run["id"]
    platform.serves("plain")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(ASKED))
def test_a_run_that_an_operator_asks_for_starts_once(platform: Platform, deaths: Deaths) -> None:
    with platform.following("strict") as following:
        platform.dies("control", deaths, lambda: platform.ask_for_run("strict"))
        following.ends("REJECTED")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(OVERRIDDEN))
def test_an_override_releases_once(platform: Platform, deaths: Deaths) -> None:
    refused = platform.refused()
    with platform.following("strict") as following:
        insist = _until_so(platform, lambda: platform.decide(refused, "override"), following.fresh)
        platform.dies("control", deaths, insist)
        run = following.ends("SUCCEEDED")
    assert len(platform.rows("audit", action="run.overridden", subject=f"run:{refused['id']}")) == 1
    assert platform.active("strict")["run"] == run["id"]
    platform.serves("strict")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(CANCELLED, STOPPED))
def test_a_run_that_was_cancelled_leaves_no_job(platform: Platform, deaths: Deaths) -> None:
    # Given a run whose training goes on for as long as it is let
    platform.label("strict", "strict-more", 2)
    with platform.following("strict") as following:
        platform.ask_for_run("strict")
        job = following.job()
        platform.signal_attempt(job, signal.SIGSTOP)
        (run,) = following.fresh()
        insist = _until_so(
            platform,
            lambda: platform.decide(run, "cancel"),
            lambda: following.fresh()[0]["state"] == "CANCELLED",
        )
        # Control ends the run; the worker then ends its job, and stops the process.
        role = "control" if set(deaths) <= set(CANCELLED) else "worker"
        platform.dies(role, deaths, insist)
        following.ends("CANCELLED")
    platform.until(lambda: platform.rows("jobs", id=job)[0].state == "CANCELLED")
    platform.until(lambda: not platform.attempt_lives(job))
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(TAKEN_BACK))
def test_an_operator_rolls_back_once(platform: Platform, deaths: Deaths) -> None:
    platform.forced_twice()
    bad = platform.active("strict")

    def gone() -> bool:
        return bool(platform.active("strict")["id"] != bad["id"])

    insist = _until_so(platform, lambda: platform.roll_back("strict", bad["generation"]), gone)
    platform.dies("control", deaths, insist)
    assert platform.active("strict")["generation"] == bad["generation"] + 1
    platform.serves("strict")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(STARTED))
def test_control_takes_up_a_changed_policy(platform: Platform, deaths: Deaths) -> None:
    digest = platform.rows("models", name="strict")[0].policy_digest
    platform.change_policy()
    platform.dies("control", deaths, lambda: None)
    platform.until(lambda: platform.rows("models", name="strict")[0].policy_digest != digest)
    platform.label("strict", "strict-more", 2)  # which ingest takes by what was published
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(LOADED))
def test_a_replica_takes_up_a_release(platform: Platform, deaths: Deaths) -> None:
    with platform.following("plain") as following:
        platform.dies("serve", deaths, lambda: platform.label("plain", "plain-more"))
        run = following.ends("SUCCEEDED")
    assert platform.active("plain")["run"] == run["id"]
    platform.serves("plain")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(ANSWERED))
def test_a_replica_logs_its_answers_inputs_first(platform: Platform, deaths: Deaths) -> None:
    said: list[dict[str, Any]] = []

    def ask() -> None:
        for _ in deaths:
            known = platform.starts("serve")
            platform.predict("plain")
            platform.until(lambda known=known: platform.starts("serve") != known)
        said.append(platform.predict("plain"))

    platform.dies("serve", deaths, ask)
    (last,) = said
    platform.until(lambda: platform.rows("predictions", id=last["prediction_id"]))
    for row in platform.rows("predictions"):
        assert platform.keeps(row.payload_sha256)
    with platform.following("plain") as following:
        platform.judge("plain", 4, wrong=True)
        platform.label("plain", "plain-more")
        following.ends("SUCCEEDED")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(SHIPPED))
def test_ingest_loses_and_doubles_nothing(platform: Platform, deaths: Deaths) -> None:
    def send() -> None:
        before = platform.starts("ingest")
        for _ in range(MANY):  # each way needs a new record
            platform.label("strict", "strict-more", 1)
            if platform.starts("ingest") == before + len(deaths):
                break

    platform.dies("ingest", deaths, send)
    with platform.following("plain") as following:
        platform.label("plain", "plain-more")
        following.ends("SUCCEEDED")
    assert_whole(platform)


def _until_so(
    platform: Platform, ask: Callable[[], object], so: Callable[[], object]
) -> Callable[[], object]:
    """Return what an operator does who gets no answer: look whether it is so, else ask again."""

    def insist() -> object:
        def asked() -> object:
            if so():
                return True
            with contextlib.suppress(ApiProblem, Unreachable):
                ask()
            return so()

        return platform.until(asked)

    return insist
