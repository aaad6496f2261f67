"""From a record to the versions and models that it went into, and back."""

from typing import Any

import pytest
from msgspec import structs

from burnish.datasets.looks import Look, budget, look
from burnish.datasets.model import Dataset
from burnish.kernel.ids import RunId
from burnish.kernel.policy import ModelPolicy
from support.samples import policy as laundry

Shop = Any  # of tests/conftest.py


@pytest.fixture
def policy(shop: Shop) -> ModelPolicy:
    rules: ModelPolicy = shop.apply(laundry(dataset={"holdout": 10, "look_budget": 3}))
    return rules


@pytest.fixture
def first(shop: Shop, policy: ModelPolicy) -> Dataset:
    shop.judge(range(60))
    built: Dataset = shop.build(policy)
    return built


def journey(shop: Shop, subject: str) -> Any:
    return shop.json("feedback", "journey", f"about-{subject}", "--source", "app")


def test_a_journey_reaches_the_models_that_were_trained_on_the_record(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    sides = {row.subject: row.split for row in shop.service.rows(first)}
    teaches = next(subject for subject, split in sides.items() if split == "train")
    judges = next(subject for subject, split in sides.items() if split == "holdout")
    assert journey(shop, teaches)["stage"] == "in_dataset"
    one = shop.train(first)
    shop.judge(range(60, 70))
    second = shop.build(policy)
    other = shop.train(second)
    found = journey(shop, teaches)
    assert found["stage"] == "trained"
    assert [(made["model_version"], made["dataset"]) for made in found["models"]] == [
        (other, second.id),
        (one, first.id),
    ]
    said = shop.run("feedback", "journey", f"about-{teaches}", "--source", "app").stdout
    assert f"model {other}" in said.replace("  ", " ")
    assert journey(shop, judges)["models"] == []  # it judges them, and never teaches
    assert journey(shop, "s65")["models"][0]["model_version"] == other


def looked(shop: Shop, dataset: Dataset, run: str) -> None:
    seen = Look(
        run=RunId(run),
        model="laundry",
        epoch=dataset.epoch,
        dataset=dataset.id,
        candidate="1.0.0",
        at=shop.now,
    )
    look(shop.unit(), seen, 3)


def wear_out(shop: Shop, dataset: Dataset, *, by_hand: bool) -> None:
    if by_hand:
        shop.json("dataset", "rotate", "laundry", "--reason", "somebody has seen it")
        return
    for run in ("one", "two", "two", "three"):
        looked(shop, dataset, run)


def test_looks_are_counted_once_a_run_audited_and_spend_the_holdout(
    shop: Shop, first: Dataset, policy: ModelPolicy
) -> None:
    wear_out(shop, first, by_hand=False)
    with shop.view() as view:
        worn = budget(view.looks, first, policy.dataset)
        rows = [row for row in view.audit_log.newest(limit=10) if row.action == "holdout.looked"]
    assert (worn.looks, worn.spent) == (3, True)
    assert [row.after["looks"] for row in rows] == [3, 2, 1]
    assert "3 of 3 at 10 examples; spent:" in shop.run("dataset", "show", first.id).stdout


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_worn_holdout_trains_and_newcomers_judge(
    shop: Shop, first: Dataset, policy: ModelPolicy, *, by_hand: bool
) -> None:
    wear_out(shop, first, by_hand=by_hand)
    held = {row.subject for row in shop.service.rows(first) if row.split == "holdout"}
    shop.judge(range(60, 100))
    second = shop.build(policy)
    assert second.epoch == 2
    fresh = shop.json("dataset", "show", second.id)["holdout"]
    assert (fresh["looks"], fresh["spent"], fresh["rotation"]) == (0, False, None)
    now = {row.subject for row in shop.service.rows(second) if row.split == "holdout"}
    assert not now & {row.subject for row in shop.service.rows(first)}
    assert held <= {row.subject for row in shop.service.rows(second)} - now
    moved = shop.json("dataset", "diff", second.id)["reasons"]["moved"]
    assert moved["new epoch"] >= len(held)
    assert shop.service.rebuilt(policy, second) == second.digest


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_version_between_a_spent_holdout_and_the_next_is_built_again_the_same(
    shop: Shop, first: Dataset, policy: ModelPolicy, *, by_hand: bool
) -> None:
    wear_out(shop, first, by_hand=by_hand)
    shop.judge(range(60, 65))
    shop.judge(range(70, 72), selection="uncertainty")  # these could be held out never, and train
    second = shop.build(policy)
    assert second.epoch == 1
    assert second.id == "laundry@2"
    assert second.left_out == {"reserved": 5}
    assert shop.service.rebuilt(policy, second) == second.digest


def test_a_budget_of_none_is_never_spent(shop: Shop, first: Dataset, policy: ModelPolicy) -> None:
    looked(shop, first, "one")
    free = structs.replace(policy.dataset, look_budget=0)
    with shop.view() as view:
        assert not budget(view.looks, first, free).spent
