"""Models and policies in the database."""

import msgspec
from sqlalchemy import Connection, select, update

from burnish.adapters.sql.locks import Locks
from burnish.adapters.sql.rows import insert_new, read
from burnish.adapters.sql.schema import models, policies
from burnish.kernel.clock import Clock
from burnish.kernel.errors import NotFound, Stale
from burnish.kernel.policy import ModelPolicy, policy_of
from burnish.models.model import Model, ModelExists, UnknownModel

_MODELS = select(models, policies.c.policy).join(
    policies, policies.c.digest == models.c.policy_digest
)


class SqlModels:
    """Implements `models.ports.ModelStore` inside one transaction."""

    def __init__(self, connection: Connection, clock: Clock, locks: Locks) -> None:
        self._connection = connection
        self._clock = clock
        self._locks = locks

    def get(self, name: str) -> Model:
        """Return a model. Raises UnknownModel."""
        model = self.find(name)
        if model is None:
            raise UnknownModel.of("model", name)
        return model

    def find(self, name: str) -> Model | None:
        """Return a model, or None."""
        self._locks.model(name)
        query = _MODELS.where(models.c.name == name)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else read(row, Model)

    def list(self) -> list[Model]:
        """Return all models by name."""
        found = [read(row, Model) for row in self._connection.execute(_MODELS).mappings()]
        return sorted(found, key=lambda model: model.name)  # a database sorts by its locale

    def add(self, policy: ModelPolicy) -> Model:
        """Store a new model at revision 1. Raises ModelExists."""
        self._keep(policy)
        row = {
            "name": policy.name,
            "policy_digest": policy.digest,
            "revision": 1,
            "generation": 0,
            "updated_at": self._clock(),
        }
        if not insert_new(self._connection, models, row, unless_same="name"):
            raise ModelExists(f"Model {policy.name!r} exists: read it again.", model=policy.name)
        return self.get(policy.name)

    def change(self, policy: ModelPolicy, *, expected: int) -> Model:
        """Store a model's new policy iff its revision is `expected`. Raises Stale."""
        self._keep(policy)
        changed = self._connection.execute(
            update(models)
            .where(models.c.name == policy.name, models.c.revision == expected)
            .values(policy_digest=policy.digest, revision=expected + 1, updated_at=self._clock())
        )
        model = self.get(policy.name)
        if changed.rowcount != 1:
            raise Stale(
                f"Model {policy.name!r} is at revision {model.revision}, not {expected}: "
                "read it again.",
                model=policy.name,
                revision=model.revision,
            )
        return model

    def policy(self, digest: str) -> ModelPolicy:
        """Return a policy that holds or held. Raises NotFound."""
        query = select(policies.c.policy).where(policies.c.digest == digest)
        raw = self._connection.execute(query).scalar_one_or_none()
        if raw is None:
            raise NotFound.of("policy", digest)
        return policy_of(raw)

    def _keep(self, policy: ModelPolicy) -> None:
        row = {
            "digest": policy.digest,
            "model": policy.name,
            "policy": msgspec.to_builtins(policy),
            "created_at": self._clock(),
        }
        insert_new(self._connection, policies, row, unless_same="digest")
