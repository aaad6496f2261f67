"""A person's right: what was said of them goes, from builds at once, from disk soon after."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from burnish.adapters.sql.raw_log import SqlManifest
from burnish.client.api import ApiProblem
from burnish.datasets.model import Dataset, Reason
from burnish.feedback.erasure import ERASED_TYPE
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from support.samples import policy as laundry

Shop = Any  # of tests/conftest.py


@pytest.fixture
def policy(shop: Shop) -> ModelPolicy:
    rules: ModelPolicy = shop.apply(laundry(dataset={"holdout": 10}))
    return rules


@pytest.fixture
def first(shop: Shop, policy: ModelPolicy) -> Dataset:
    shop.judge(range(60))
    built: Dataset = shop.build(policy)
    return built


def erase(shop: Shop, *words: str) -> Any:
    return shop.json("feedback", "erase", *words, "--reason", "case 12")


def lines(shop: Shop) -> list[Any]:
    return [
        raw for shard, end in shop.raw_log.end().items() for raw in shop.raw_log.read(shard, 0, end)
    ]


def payload_of(dataset: Dataset, shop: Shop, subject: str) -> str:
    return next(row.payload_sha256 for row in shop.service.rows(dataset) if row.subject == subject)


def test_a_request_names_every_version_and_model_and_the_next_build_is_without_it(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    trained = shop.train(first)
    shop.judge(range(60, 70))
    second = shop.build(policy)
    asked = erase(shop, "--subject", "s7", "--dry-run")
    assert asked["id"] == ""
    assert shop.json("feedback", "erasures")["items"] == []

    done = erase(shop, "--subject", "s7")
    assert done["records"] == 1
    assert done["datasets"] == asked["datasets"] == [second.id, first.id]
    assert done["models"] == [f"laundry {trained}"]
    third = shop.build(policy)  # the same offsets as the second, which must not be used again
    assert third.id == "laundry@3"
    assert "s7" not in {row.subject for row in shop.service.rows(third)}
    assert third.left_out == {"erased": 1}
    with shop.view() as view:
        entry = view.audit_log.newest(limit=10)
    requested = next(row for row in entry if row.action == "erasure.requested")
    assert (requested.actor, requested.reason) == ("admin", "case 12")
    assert "s7" not in json.dumps(requested.after)


def test_the_raw_log_keeps_its_offsets_and_nothing_of_what_was_said(
    shop: Shop, first: Dataset, tmp_path: Path
) -> None:
    before = lines(shop)
    payload = payload_of(first, shop, "s7")
    done = erase(shop, "--subject", "s7")
    assert shop.eraser.look() == 1
    assert shop.eraser.look() == 0

    after = lines(shop)
    assert [raw.offset for raw in after] == [raw.offset for raw in before]
    changed = [number for number in range(60) if before[number] != after[number]]
    assert changed == [7]
    assert after[7] == structs.replace(
        before[7],
        content_type=ERASED_TYPE,
        body=json.dumps({"erased": done["id"]}).replace(" ", ""),
    )
    (only,) = SqlManifest(shop.engine).all()
    assert list(shop.objects.list("raw/")) == [only.key]
    assert not shop.objects.exists(payload_key(payload))
    (item,) = shop.json("feedback", "erasures")["items"]
    assert (item["payloads_removed"], item["payloads_kept"]) == (1, 0)
    assert item["finished_at"]
    journey = shop.json("feedback", "journey", "about-s7", "--source", "app")
    assert (journey["stage"], journey["received"]) == ("erased", None)
    assert journey["erased"]["erasure"] == done["id"]
    assert done["id"] in shop.run("feedback", "journey", "about-s7", "--source", "app").stdout


def test_an_old_version_stays_and_its_proof_tells_what_was_erased(
    shop: Shop, first: Dataset
) -> None:
    payload = payload_of(first, shop, "s7")
    erase(shop, "--subject", "s7")
    shop.eraser.look()
    proof = shop.json("dataset", "verify", first.id, "--rebuild")
    assert proof["whole"]
    assert [(one["key"], one["erased"]) for one in proof["findings"]] == [(payload, True)]
    assert (proof["rebuilt"]["same"], proof["rebuilt"]["erased"]) == (False, True)
    said = shop.run("dataset", "verify", first.id, "--rebuild").stdout
    assert "1 payloads erased; records were erased since" in said


def test_a_payload_that_another_record_needs_stays(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    payload = payload_of(first, shop, "s7")
    shop.judge(range(80, 81), payload=f"burnish:{payload}", final="good")
    erase(shop, "--source", "app", "--id", "about-s7")
    shop.eraser.look()
    assert shop.objects.exists(payload_key(payload))
    (item,) = shop.json("feedback", "erasures")["items"]
    assert (item["payloads_removed"], item["payloads_kept"]) == (0, 1)
    second = shop.build(policy)
    assert payload_of(second, shop, "s80") == payload


def test_copies_of_an_erased_record_are_erased_too_also_those_that_come_later(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    shop.judge(range(7, 8))  # a copy, already there
    erase(shop, "--subject", "s7")
    shop.judge(range(7, 8))  # one that was late
    with shop.view() as view:
        assert view.feedback.find("app", "about-s7") is None
    second = shop.build(policy)
    assert second.left_out == {"erased": 3}
    shop.eraser.look()
    assert [raw.offset for raw in lines(shop) if raw.content_type == ERASED_TYPE] == [7, 60, 61]
    again = list(shop.service.fates(shop.build(policy)))
    assert [fate.offset for fate in again if fate.reason is Reason.ERASED] == [7, 60, 61]


class PowerCut(Exception):
    pass


@pytest.mark.parametrize("moment", ["put", "delete"])
def test_an_erasure_that_was_cut_short_is_finished_by_the_next_look(
    shop: Shop, first: Dataset, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = erase(shop, "--subject", "s7")
    real = getattr(type(shop.objects), moment)

    def die(self: Any, *given: Any) -> None:
        if moment == "put":
            real(self, *given)
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(type(shop.objects), moment, die)
        with pytest.raises(PowerCut):
            shop.eraser.look()
    assert shop.eraser.look() == 1
    (only,) = SqlManifest(shop.engine).all()
    assert list(shop.objects.list("raw/")) == [only.key]
    assert [raw.offset for raw in lines(shop) if done["id"] in raw.body] == [7]


def test_who_reads_the_log_while_it_is_rewritten_reads_on(shop: Shop, first: Dataset) -> None:
    reader = shop.raw_log.read("0", 0, 60)
    assert next(reader).offset == 0
    stale = SqlManifest(shop.engine).all()[0]
    erase(shop, "--subject", "s7")
    shop.eraser.look()
    assert [raw.offset for raw in reader] == list(range(1, 60))
    assert not shop.objects.exists(stale.key)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"reason": "x"}, 422, "input.invalid"),
        ({"reason": "x", "subject": "s7", "source": "app", "id": "i"}, 422, "input.invalid"),
        ({"reason": "x", "source": "app"}, 422, "input.invalid"),
        ({"reason": " ", "subject": "s7"}, 422, "input.invalid"),
        ({"reason": "x", "subject": "nobody"}, 404, "feedback.unknown"),
        ({"subject": "s7"}, 400, "request.malformed"),
    ],
)
def test_a_request_that_names_nobody_is_refused(
    shop: Shop, first: Dataset, body: dict[str, str], status: int, code: str
) -> None:
    with pytest.raises(ApiProblem) as refused:
        shop.api.post("/v1/erasures", body)
    assert (refused.value.status, refused.value.code) == (status, code)
