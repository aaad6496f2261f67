"""The control plane's promises, over HTTP."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from burnish.adapters.system import utc_now
from burnish.api.app import ROUTES
from burnish.kernel.digest import digest
from support.plane import Plane

HOUR = timedelta(hours=1)
Problem = Callable[[httpx.Response, int, str], dict[str, Any]]


def test_a_policy_is_applied_shown_and_published_to_ingest(plane: Plane) -> None:
    answer = plane.apply()
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    shown = plane.ask("GET", "/v1/models/laundry").json()
    assert (shown["revision"], shown["active"], shown["run"]) == (1, None, None)
    assert shown["corrections"] == {"effective": 0, "needed": 100}
    assert plane.house.directory.current().models["laundry"].labels == ("good", "defect")


def test_the_same_policy_again_changes_nothing(plane: Plane) -> None:
    plane.apply()
    assert plane.apply().headers["etag"] == '"1"'


def test_a_change_must_start_from_what_was_seen(plane: Plane, problem: Problem) -> None:
    plane.apply()
    changed = 'labels = ["good", "stain"]\nname = "laundry"\nkind = "image-classification"\n'
    problem(plane.apply(changed), 428, "request.precondition_required")
    problem(plane.apply(changed, **{"If-Match": '"7"'}), 412, "state.stale")
    problem(plane.apply(changed, **{"If-Match": "1"}), 422, "input.invalid")
    assert plane.apply(changed, **{"If-Match": '"1"'}).headers["etag"] == '"2"'


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ('name="laundry"\nkind="image-classification"\nlabels=["good"]', "labels"),
        ('name="laundry"\nkind="sorcery"\nlabels=["good","defect"]', "kind"),
        ('name="laundry"\nkind="image-classification"\nlabels=["a","b"]\nspeed=9', "speed"),
        ('name="laundry"\nkind="image-classification"\nlabels=["a","b"]\n[gates]\nholdout=7', "7"),
        ("name=", "TOML"),
    ],
)
def test_a_bad_policy_is_named_and_nothing_changes(
    plane: Plane, problem: Problem, policy: str, says: str
) -> None:
    assert says in problem(plane.apply(policy), 422, "policy.invalid")["detail"]
    assert plane.ask("GET", "/v1/models").json() == {"items": []}


def test_what_is_not_there_is_not_found(plane: Plane, problem: Problem) -> None:
    for path, code in (
        ("/v1/models/nobody", "model.unknown"),
        ("/v1/runs/nobody", "not_found"),
        ("/v1/jobs/nobody", "not_found"),
        ("/v1/datasets/nobody@1", "dataset.not_found"),
        ("/v1/releases/nobody", "not_found"),
        ("/v1/evaluations/nobody", "not_found"),
        ("/v1/nothing", "not_found"),
    ):
        problem(plane.ask("GET", path), 404, code)


def test_every_route_of_the_api_asks_for_credentials(plane: Plane, problem: Problem) -> None:
    for route in ROUTES:
        for path in route.paths:
            for method in route.http_methods:
                concrete = path.replace("{", "").replace("}", "").replace(":str", "")
                answer = plane.client.request(method, concrete)
                problem(answer, 401, "auth.required")


def test_a_wrong_token_opens_nothing(plane: Plane, problem: Problem) -> None:
    wrong = {"Authorization": "Bearer bn_" + "x" * 43}
    problem(plane.ask("GET", "/v1/models", headers=wrong), 401, "auth.invalid")
    wrong = {"Authorization": "Bearer a.b.c"}
    problem(plane.ask("GET", "/v1/models", headers=wrong), 401, "auth.invalid")


def test_malformed_json_is_named(plane: Plane, problem: Problem) -> None:
    plane.apply()
    run = plane.run()
    answer = plane.ask(
        "POST",
        f"/v1/runs/{run.id}/cancel",
        content=b"{",
        headers={"Content-Type": "application/json", "If-Match": '"1"'},
    )
    problem(answer, 400, "request.malformed")


def test_an_operator_starts_one_run_at_a_time(plane: Plane, problem: Problem) -> None:
    plane.apply()
    started = plane.ask("POST", "/v1/models/laundry/runs", json={"reason": "new fabric"})
    assert (started.status_code, started.json()["cause"]["rule"]) == (202, "operator")
    again = plane.ask("POST", "/v1/models/laundry/runs", json={"reason": "impatient"})
    problem(again, 409, "run.active")
    decisions = plane.ask("GET", "/v1/models/laundry/decisions").json()["items"]
    assert [decision["fire"] for decision in decisions] == [False, True]


def test_two_approvals_have_one_effect(plane: Plane, problem: Problem) -> None:
    plane.apply()
    run = plane.awaiting()
    path, seen = f"/v1/runs/{run.id}", {"If-Match": f'"{run.revision}"'}
    shown = plane.ask("GET", path)
    assert shown.headers["etag"] == seen["If-Match"]
    first = plane.ask("POST", f"{path}/approve", json={"reason": "good"}, headers=seen)
    assert first.json()["state"] == "RELEASING"
    second = plane.ask("POST", f"{path}/approve", json={"reason": "good"}, headers=seen)
    problem(second, 412, "state.stale")
    problem(plane.ask("POST", f"{path}/approve", json={}), 400, "request.malformed")


def test_an_illegal_transition_is_refused(plane: Plane, problem: Problem) -> None:
    plane.apply()
    run = plane.run()
    answer = plane.ask(
        "POST",
        f"/v1/runs/{run.id}/approve",
        json={"reason": "too early"},
        headers={"If-Match": '"1"'},
    )
    document = problem(answer, 409, "state.illegal")
    assert "cannot release" in document["detail"]


def test_a_trainer_calls_back_with_its_own_token_only(plane: Plane, problem: Problem) -> None:
    job, headers = plane.job()
    other, _ = plane.job()
    beat = {"sequence": 1, "progress": 0.5}
    path = f"/v1/jobs/{job.id}/heartbeat"
    assert plane.ask("POST", path, json=beat, headers=headers).json() == {"state": "RUNNING"}
    problem(
        plane.ask("POST", f"/v1/jobs/{other.id}/heartbeat", json=beat, headers=headers),
        401,
        "auth.foreign",
    )
    problem(plane.ask("POST", path, json=beat), 401, "auth.invalid")
    for token, status, code in (
        (plane.token(job, hours=-1), 401, "auth.expired"),
        (plane.token(job, scope="replica"), 403, "auth.scope"),
        (plane.token(job)[:-3] + "abc", 401, "auth.invalid"),
    ):
        answer = plane.ask("POST", path, json=beat, headers={"Authorization": f"Bearer {token}"})
        problem(answer, status, code)


def test_a_trainers_last_word_ends_its_token(plane: Plane, problem: Problem) -> None:
    job, headers = plane.job()
    done = {
        "sequence": 2,
        "outcome": "succeeded",
        "artifacts": [{"name": "model.onnx", "sha256": "sha256:" + "0" * 64, "bytes": 1}],
        "metrics": {"accuracy": 0.9},
    }
    path = f"/v1/jobs/{job.id}"
    for _ in range(2):
        answer = plane.ask("POST", f"{path}/done", json=done, headers=headers)
        assert answer.json() == {"state": "SUCCEEDED"}
    problem(
        plane.ask("POST", f"{path}/event", json={"sequence": 3, "kind": "late"}, headers=headers),
        401,
        "auth.ended",
    )
    assert plane.ask("GET", path).json()["metrics"] == {"accuracy": 0.9}


def test_rollback_compares_generations_and_acts_once(plane: Plane, problem: Problem) -> None:
    plane.apply()
    problem(plane.ask("GET", "/v1/models/laundry/release"), 404, "release.none")
    plane.released("1.0.0")
    plane.released("1.1.0")
    path, why = "/v1/models/laundry/rollback", {"reason": "worse on towels"}
    assert plane.ask("GET", "/v1/models/laundry/release").headers["etag"] == '"2"'
    problem(plane.ask("POST", path, json=why), 428, "request.precondition_required")
    seen = {"If-Match": '"2"'}
    assert plane.ask("POST", path, json=why, headers=seen).json()["model_version"] == "1.0.0"
    problem(plane.ask("POST", path, json=why, headers=seen), 409, "release.no_predecessor")
    states = {
        release["model_version"]: release["state"]
        for release in plane.ask("GET", "/v1/releases?model=laundry").json()["items"]
    }
    assert states == {"1.0.0": "ACTIVE", "1.1.0": "WITHDRAWN"}
    newest = plane.ask("GET", "/v1/audit?limit=1").json()["items"][0]
    assert (newest["action"], newest["actor"], newest["reason"]) == (
        "release.rolled_back",
        "admin",
        "worse on towels",
    )


def test_replicas_are_told_what_to_serve_as_soon_as_it_changes(plane: Plane) -> None:
    plane.apply()
    replica = {
        "Authorization": "Bearer "
        + plane.house.tokens.issue("replica:0", "replica", now=utc_now(), lifetime=HOUR)
    }
    first = plane.ask("GET", "/v1/serving", headers=replica)
    assert first.json()["models"]["laundry"]["active"] is None
    same = plane.ask(
        "GET", "/v1/serving", headers=replica | {"If-None-Match": first.headers["etag"]}
    )
    assert same.status_code == 304
    plane.released("1.0.0")
    news = plane.ask(
        "GET", "/v1/serving?wait=20", headers=replica | {"If-None-Match": first.headers["etag"]}
    )
    assert news.json()["models"]["laundry"]["active"]["generation"] == 1
    report = {"url": "http://127.0.0.1:1", "models": {"laundry": {"serving": None}}}
    assert plane.ask("PUT", "/v1/replicas/r0", json=report, headers=replica).status_code == 204
    assert plane.ask("GET", "/v1/replicas").json()["items"][0]["models"] == report["models"]


def test_payloads_are_kept_by_content(plane: Plane, problem: Problem) -> None:
    photo = b"a photo"
    for _ in range(2):
        kept = plane.ask("POST", "/v1/payloads", content=photo).json()
        assert kept == {"uri": f"burnish:{digest(photo)}", "sha256": digest(photo), "bytes": 7}
    problem(plane.ask("POST", "/v1/payloads", content=b""), 422, "input.invalid")


def test_a_presigned_url_does_one_thing_for_its_time(plane: Plane, problem: Problem) -> None:
    put = plane.house.objects.presign("artifacts/a", "PUT", HOUR)
    assert plane.client.put(put, content=b"model").status_code == 204
    assert plane.client.put(put, content=b"model").status_code == 204
    problem(plane.client.put(put, content=b"other"), 409, "object.conflict")
    get = plane.house.objects.presign("artifacts/a", "GET", HOUR)
    assert plane.client.get(get).content == b"model"
    problem(plane.client.put(get, content=b"x"), 422, "input.invalid")
    assert plane.client.get(get.replace("artifacts/a", "artifacts/b")).status_code == 403
    expired = plane.house.objects.presign("artifacts/a", "GET", -HOUR)
    assert plane.client.get(expired).status_code == 403


def test_events_are_streamed_with_ids_and_replayed(plane: Plane) -> None:
    plane.apply()
    plane.run()
    plane.draining = True  # the stream ends once it has told what there is
    with plane.client.stream("GET", "/v1/events?after=0", headers=plane.admin) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = stream.read().decode()
    events = [
        json.loads(line.removeprefix("data: "))
        for line in text.splitlines()
        if line.startswith("data: ")
    ]
    assert [event["type"] for event in events] == ["PolicyApplied", "RunStarted"]
    last = {"Last-Event-ID": str(events[0]["id"])}
    with plane.client.stream("GET", "/v1/events", headers=plane.admin | last) as stream:
        assert "PolicyApplied" not in stream.read().decode()


def test_the_openapi_document_is_open_and_names_our_problems(plane: Plane) -> None:
    document = plane.client.get("/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    rollback = document["paths"]["/v1/models/{name}/rollback"]["post"]["responses"]
    assert set(rollback["412"]["content"]) == {"application/problem+json"}


def test_an_error_that_nobody_foresaw_gives_nothing_away(plane: Plane, problem: Problem) -> None:
    plane.house.engine.dispose()
    plane.house.settings.data.joinpath("burnish.db").write_bytes(b"not a database" * 100)
    document = problem(plane.ask("GET", "/v1/models"), 500, "internal")
    assert "sqlite" not in json.dumps(document).lower()
