"""Contract of `models.ports.ModelStore`, and of the use case that needs it whole."""

from collections.abc import Callable

import pytest

from burnish.adapters.sql.unit import SqlUnit
from burnish.kernel.audit import SYSTEM
from burnish.kernel.errors import NotFound, Stale
from burnish.kernel.policy import ModelPolicy
from burnish.models.model import ModelExists, UnknownModel
from burnish.models.service import apply_policy
from support.concurrency import at_once
from support.databases import saved
from support.samples import policy

Units = Callable[..., SqlUnit]


def paused(*, paused: bool = True, days: float = 7) -> ModelPolicy:
    return policy(trigger={"paused": paused, "min_days": days})


def test_a_new_model_is_found_as_it_was_added(unit: Units) -> None:
    with saved(unit()) as stores:
        added = stores.models.add(policy())
    with unit(reads_only=True) as stores:
        assert stores.models.get("laundry") == stores.models.find("laundry") == added
        assert stores.models.policy(policy().digest) == policy()
    assert (added.revision, added.generation, added.active_release) == (1, 0, None)
    assert (added.policy, added.policy_digest) == (policy(), policy().digest)


def test_what_is_not_there_is_not_found(unit: Units) -> None:
    with unit() as stores:
        assert stores.models.find("laundry") is None
        with pytest.raises(UnknownModel):
            stores.models.get("laundry")
        with pytest.raises(NotFound):
            stores.models.policy("sha256:none")


def test_a_model_is_added_once(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())
    with unit() as stores, pytest.raises(ModelExists):
        stores.models.add(paused())


def test_models_are_listed_by_name_as_bytes_sort(unit: Units) -> None:
    names = ["ab", "a-c", "a0", "a"]
    with saved(unit()) as stores:
        for name in names:
            stores.models.add(policy(name))
    with unit() as stores:
        assert [model.name for model in stores.models.list()] == sorted(names)


def test_a_change_counts_the_revision_and_keeps_every_policy(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())
    with saved(unit()) as stores:
        changed = stores.models.change(paused(), expected=1)
        back = stores.models.change(policy(), expected=2)
    assert (changed.revision, changed.policy) == (2, paused())
    assert (back.revision, back.policy) == (3, policy())
    with unit() as stores:
        assert stores.models.policy(paused().digest) == paused()


def test_a_change_from_another_revision_is_stale(unit: Units) -> None:
    with saved(unit()) as stores:
        stores.models.add(policy())
    with unit() as stores, pytest.raises(Stale):
        stores.models.change(paused(), expected=2)
    with unit() as stores:
        assert stores.models.get("laundry").policy == policy()


def test_of_policies_applied_at_once_to_one_revision_exactly_one_holds(unit: Units) -> None:
    apply_policy(unit(), policy(), expected=None, actor=SYSTEM)

    def change(number: int) -> ModelPolicy:
        wanted = paused(days=number)
        return apply_policy(unit(), wanted, expected=1, actor=SYSTEM).policy

    changed, errors = at_once(change)
    assert len(changed) == 1
    assert {type(error) for error in errors} == {Stale}
    with unit() as stores:
        model = stores.models.get("laundry")
        assert (model.policy, model.revision) == (changed[0], 2)
        assert [entry.after for entry in stores.audit_log.newest(limit=9)] == [
            {"policy_digest": changed[0].digest},
            {"policy_digest": policy().digest},
        ]


def test_the_same_new_model_applied_at_once_comes_to_be_once(unit: Units) -> None:
    models, errors = at_once(
        lambda _: apply_policy(unit(), policy(), expected=None, actor=SYSTEM).revision
    )
    assert set(models) == {1}
    assert {type(error) for error in errors} <= {ModelExists}
    with unit() as stores:
        assert len(stores.audit_log.newest(limit=9)) == 1
