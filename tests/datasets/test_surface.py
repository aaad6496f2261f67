"""Versions as people meet them: shown, compared, proven, exported, by API and command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from burnish.client.api import ApiProblem
from burnish.datasets.advice import ADVICE
from burnish.datasets.model import Dataset, Reason
from burnish.kernel.digest import digest
from burnish.kernel.objects import payload_key
from burnish.kernel.policy import ModelPolicy
from support.samples import policy as laundry

Shop = Any  # of tests/conftest.py


@pytest.fixture
def policy(shop: Shop) -> ModelPolicy:
    rules: ModelPolicy = shop.apply(laundry(dataset={"holdout": 10, "reviewers": ["ann"]}))
    return rules


@pytest.fixture
def first(shop: Shop, policy: ModelPolicy) -> Dataset:
    shop.judge(range(60))
    built: Dataset = shop.build(policy)
    return built


def test_a_version_is_shown_with_its_holdout_and_its_models(shop: Shop, first: Dataset) -> None:
    version = shop.train(first)
    found = shop.json("dataset", "show", first.id)
    assert found["models"] == [version]
    assert found["holdout"] == {
        "epoch": 1, "examples": 10, "source": "", "looks": 0, "allowed": 50, "spent": False,
        "rotation": None,
    }  # fmt: skip
    shown = shop.run("dataset", "show", first.id).stdout
    assert "0 of 50 at 10 examples" in shown
    assert shop.json("dataset", "list")["items"][0]["epoch"] == 1


def test_a_diff_counts_what_changed_and_says_why(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    rows = {row.subject: row for row in shop.service.rows(first)}
    changed, quarrelled = [s for s, row in rows.items() if row.split == "train"][:2]
    other = {"good": "defect", "defect": "good"}

    def again(subject: str, **more: Any) -> None:
        number = int(subject[1:])
        final = other[rows[subject].label]
        shop.judge(range(number, number + 1), final=final, id=f"again-{subject}", **more)

    again(changed, occurred_at=shop.now.replace(year=2027), actor=f"person-{int(changed[1:]) % 10}")
    again(quarrelled, actor="somebody else")
    shop.judge(range(60, 65))
    second = shop.build(policy)

    found = shop.json("dataset", "diff", second.id)
    assert found["base"] == first.id
    assert found["counts"] == {
        "added": 5, "removed": 1, "relabelled": 1, "moved": 0, "replaced": 0
    }  # fmt: skip
    assert found["reasons"]["removed"] == {"contradiction": 1}
    assert found["reasons"]["relabelled"] == {"newer verdict": 1}
    assert found["reasons"]["added"] == {"new": 5}
    assert found["unchanged"] == 58
    text = shop.run("dataset", "diff", second.id, first.id, "--limit", "1").stdout
    assert "1 (contradiction 1)" in text
    back = shop.json("dataset", "diff", first.id, second.id)
    assert back["reasons"]["added"] == {"was contradiction": 1}
    assert shop.run("dataset", "diff", first.id).exit_code == 1  # it has no parent


def test_records_are_listed_with_their_fate_page_by_page(shop: Shop, first: Dataset) -> None:
    every = shop.api.get(f"/v1/datasets/{first.id}/records", limit=1000).json()
    assert len(every["items"]) == 60
    page = shop.api.get(f"/v1/datasets/{first.id}/records", limit=25).json()
    rest = shop.api.get(f"/v1/datasets/{first.id}/records", limit=35, after=page["next"]).json()
    assert page["items"] + rest["items"] == every["items"]
    assert rest["next"] is None
    lines = shop.run("dataset", "records", first.id, "--split", "holdout", "--json").stdout
    held = [json.loads(line) for line in lines.splitlines()]
    assert len(held) == 10
    assert {one["split"] for one in held} == {"holdout"}


def test_contradictions_lie_on_the_desk_until_a_reviewer_settles_them(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    shop.judge(range(3, 4), final="defect", id="no", actor="lee")
    (found,) = shop.json("dataset", "contradictions", "laundry")["items"]
    assert found["subjects"] == ["s3"]
    assert [(word["actor"], word["final"]) for word in found["words"]] == [
        ("person-3", "good"),
        ("lee", "defect"),
    ]
    text = shop.run("dataset", "contradictions", "laundry")
    assert "lee: defect" in text.stdout
    assert "verdict of ann settles" in text.output
    refused = shop.run("dataset", "settle", "laundry", "s3", "defect", "--actor", "bob")
    assert refused.exit_code == 2

    shop.judge(
        range(3, 4), final="defect", id="settled", actor="ann",
        occurred_at=shop.now.replace(year=2027),
    )  # fmt: skip
    assert shop.json("dataset", "contradictions", "laundry")["items"] == []
    second = shop.build(policy)
    labels = {row.subject: row.label for row in shop.service.rows(second)}
    assert labels["s3"] == "defect"


def test_two_subjects_that_show_one_photo_and_disagree_lie_on_the_desk_together(
    shop: Shop, first: Dataset
) -> None:
    shop.judge(range(70, 71), final="defect", id="twin", payload=shop.picture(5))
    (found,) = shop.json("dataset", "contradictions", "laundry")["items"]
    assert found["subjects"] == ["s5", "s70"]
    assert found["payload_sha256"] == shop.picture(5).removeprefix("burnish:")


def test_a_whole_version_is_proven_and_built_again(shop: Shop, first: Dataset) -> None:
    proof = shop.json("dataset", "verify", first.id, "--rebuild")
    assert proof["whole"]
    assert proof["findings"] == []
    assert proof["payloads"] == 60
    assert proof["rebuilt"] == {"digest": first.digest, "same": True, "erased": False}
    assert "all files as their digests say" in shop.run("dataset", "verify", first.id).stdout


def test_a_lost_or_changed_payload_is_found(shop: Shop, first: Dataset, tmp_path: Path) -> None:
    lost, changed = [row.payload_sha256 for row in shop.service.rows(first)][:2]
    shop.objects.delete(payload_key(lost))
    (tmp_path / "objects" / payload_key(changed)).write_bytes(b"else")
    result = shop.run("dataset", "verify", first.id, "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert {one["key"]: one["detail"].partition(":")[0] for one in findings} == {
        lost: "it is gone",
        changed: "its bytes have changed",
    }


def test_a_changed_file_is_found(shop: Shop, first: Dataset, tmp_path: Path) -> None:
    for path in (tmp_path / "objects" / "datasets").rglob("layer*"):
        path.write_bytes(path.read_bytes() + b" ")
    result = shop.run("dataset", "verify", first.id)
    assert result.exit_code == 1
    assert "restore it from a backup" in result.stdout


def test_an_export_leaves_the_holdout_here_unless_asked(
    shop: Shop, first: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    said = shop.json("dataset", "export", first.id, str(folder))
    assert "holdout" not in said["examples"]
    rows = json.loads((folder / "rows.json").read_bytes())
    assert len(rows) == 50
    for row in rows:
        assert digest((folder / "payloads" / row["payload"]).read_bytes()) == row["payload_sha256"]
    assert json.loads((folder / "manifest.json").read_bytes())["digest"] == first.digest
    whole = shop.json("dataset", "export", first.id, str(folder), "--with-holdout")
    assert whole["examples"]["holdout"] == 10


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_an_export_is_loaded_and_iterated_by_the_croissant_reference_implementation(
    shop: Shop, policy: ModelPolicy, tmp_path: Path
) -> None:
    croissant = pytest.importorskip("mlcroissant", reason="the extra croissant is not installed")
    for number in range(60):  # subjects that readers like to take for numbers
        shop.judge(range(number, number + 1), subject_id=f"{number:05}")
    first = shop.build(policy)
    folder = tmp_path / "out"
    shop.run("dataset", "export", first.id, str(folder), "--with-holdout")
    loaded = croissant.Dataset(jsonld=str(folder / "croissant.json"))
    rows = {row.subject: row for row in shop.service.rows(first)}
    read = list(loaded.records("examples"))
    assert len(read) == 60
    for one in read:
        row = rows[one["examples/subject"].decode()]
        assert one["examples/label"].decode() == row.label
        assert one["examples/split"].decode() == row.split
        assert one["examples/payload_sha256"].decode() == row.payload_sha256
    images = list(loaded.records("inputs"))
    assert {f"sha256:{one['inputs/name'].decode()}" for one in images} == {
        row.payload_sha256 for row in rows.values()
    }
    assert {one["inputs/image"].size for one in images} == {(8, 8)}
    assert {one["labels/name"] for one in loaded.records("labels")} == {"good", "defect"}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/datasets/laundry@9/diff", 404, "dataset.not_found"),
        ("/v1/datasets/laundry@1/records?after=x", 422, "input.invalid"),
        ("/v1/payloads/nothing", 422, "input.invalid"),
        ("/v1/payloads/sha256:" + "0" * 64, 404, "object.not_found"),
        ("/v1/models/none/contradictions", 404, "model.unknown"),
    ],
)
def test_what_cannot_be_is_answered_with_a_problem(
    shop: Shop, first: Dataset, path: str, status: int, code: str
) -> None:
    with pytest.raises(ApiProblem) as refused:
        shop.api.get(path)
    assert (refused.value.status, refused.value.code) == (status, code)


def test_every_reason_says_what_to_do() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_version_says_what_it_left_out_and_what_to_do(shop: Shop, policy: ModelPolicy) -> None:
    shop.judge(range(60))
    shop.judge(range(60, 61), payload=None)
    shop.judge(range(61, 62), payload="burnish:sha256:" + "0" * 64)
    found = shop.json("dataset", "show", shop.build(policy).id)
    assert found["left_out"] == {"payload_missing": 1, "unreadable": 1}
    assert "upload the photo" in found["advice"]["payload_missing"]
    assert "upload the photo" in shop.run("dataset", "show", found["id"]).stdout


def test_the_api_describes_every_path(shop: Shop) -> None:
    paths = shop.api.get("/v1/openapi.json").json()["paths"]
    of_one = {path.rpartition("/")[2] for path in paths if path.startswith("/v1/datasets/{")}
    assert of_one >= {"manifest", "diff", "records", "proof", "rebuilt", "rows", "croissant"}
    manifest = paths["/v1/datasets/{dataset_id}/manifest"]["get"]["responses"]["200"]
    assert "Manifest" in json.dumps(manifest)
    assert set(paths["/v1/erasures"]) == {"get", "post"}
