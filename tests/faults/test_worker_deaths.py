"""The worker dies at every point on its way, is started again, and the loop completes."""

import signal

import pytest

from support.deaths import CORRECTED, FAILED, REFUSED, RETRIED, ROLLED_BACK, ways
from support.roles import Platform
from support.whole import assert_whole

pytestmark = pytest.mark.timeout(600)

Deaths = tuple[str, ...]


@pytest.mark.parametrize("deaths", ways(*CORRECTED))
def test_corrections_lead_to_a_release(platform: Platform, deaths: Deaths) -> None:
    before = platform.active("plain")["generation"]
    with platform.following("plain") as following:
        platform.dies("worker", deaths, lambda: platform.label("plain", "plain-more"))
        run = following.ends("SUCCEEDED")
    assert platform.active("plain")["run"] == run["id"]
    assert platform.active("plain")["generation"] == before + 1
    assert {step["step"]: step["state"] for step in run["steps"]} == dict.fromkeys(
        ("collect", "prepare", "train", "evaluate", "release"), "done"
    )
    assert [row.attempt for row in platform.rows("jobs", run=run["id"])] == [1]
    platform.serves("plain")
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(RETRIED))
def test_an_attempt_that_was_killed_is_made_again_once(platform: Platform, deaths: Deaths) -> None:
    def kill_the_first_attempt() -> None:
        platform.label("plain", "plain-more")
        platform.signal_attempt(following.job(), signal.SIGKILL)

    with platform.following("plain") as following:
        platform.dies("worker", deaths, kill_the_first_attempt)
        run = following.ends("SUCCEEDED")
    assert [row.attempt for row in platform.rows("jobs", run=run["id"])] == [2]
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(REFUSED))
def test_a_candidate_that_fails_its_gates_is_refused(platform: Platform, deaths: Deaths) -> None:
    with platform.following("strict") as following:
        platform.dies("worker", deaths, lambda: platform.ask_for_run("strict"))
        run = following.ends("REJECTED")
    assert platform.rows("outbox", type="ModelVerificationFailed", subject=run["id"])
    assert platform.rows("releases", run=run["id"]) == []
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(FAILED))
def test_a_release_that_no_replica_can_load_is_given_up(platform: Platform, deaths: Deaths) -> None:
    # Given a refused candidate whose artifact has rotted, which an operator forces through
    refused = platform.refused()
    before = platform.rows("models", name="strict")[0].generation
    key = platform.rows("model_versions", run=refused["id"])[0].artifact_key
    (platform.data / "objects" / key).write_bytes(b"rotten")
    with platform.following("strict") as following:
        platform.dies("worker", deaths, lambda: platform.decide(refused, "override"))
        run = following.ends("FAILED")
    assert run["failure"]["code"] == "release.refused"
    platform.until(lambda: platform.rows("releases", run=run["id"])[0].state == "FAILED")
    assert platform.rows("models", name="strict")[0].generation == before
    assert_whole(platform)


@pytest.mark.parametrize("deaths", ways(ROLLED_BACK))
def test_a_release_that_answers_badly_is_rolled_back_once(
    platform: Platform, deaths: Deaths
) -> None:
    platform.forced_twice()
    bad = platform.active("strict")
    platform.serves("strict")
    platform.dies("worker", deaths, lambda: platform.judge("strict", 20, wrong=True))
    platform.until(lambda: platform.active("strict")["generation"] == bad["generation"] + 1)
    assert platform.rows("releases", id=bad["id"])[0].state == "WITHDRAWN"
    platform.serves("strict")
    assert_whole(platform)
