"""Use cases on models."""

from burnish.kernel.audit import Actor
from burnish.kernel.policy import ModelPolicy
from burnish.models.model import Model, ModelExists
from burnish.models.ports import ModelUnit


def apply_policy(
    unit: ModelUnit, policy: ModelPolicy, *, expected: int | None, actor: Actor
) -> Model:
    """Make a policy the one that its model lives under; a policy that already is changes nothing.

    `expected` is the revision that the change starts from, None for a model that is new.
    Raises ModelExists if one is needed and missing, Stale if it is not the current one.
    """
    with unit:
        current = unit.models.find(policy.name)
        if current is not None and current.policy_digest == policy.digest:
            return current
        if current is None:
            model = unit.models.add(policy)
        elif expected is None:
            raise ModelExists(
                f"Model {policy.name!r} exists: send If-Match with its revision, "
                f"which is now {current.revision}.",
                model=policy.name,
                revision=current.revision,
            )
        else:
            model = unit.models.change(policy, expected=expected)
        unit.audit.record(
            actor,
            "model.policy_applied",
            f"model:{model.name}",
            before=None if current is None else {"policy_digest": current.policy_digest},
            after={"policy_digest": model.policy_digest},
        )
        unit.outbox.publish("PolicyApplied", model.name, model.policy_digest)
        unit.commit()
    return model
