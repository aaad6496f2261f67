"""What the use cases on models need."""

from typing import Protocol

from burnish.kernel.policy import ModelPolicy
from burnish.kernel.unit import Unit
from burnish.models.model import Model


class ModelStore(Protocol):
    """Models by name, and every policy that ever held, by digest."""

    def get(self, name: str) -> Model:
        """Return a model. Raises UnknownModel."""
        ...

    def find(self, name: str) -> Model | None:
        """Return a model, or None."""
        ...

    def list(self) -> list[Model]:
        """Return all models by name."""
        ...

    def add(self, policy: ModelPolicy) -> Model:
        """Store a new model at revision 1. Raises ModelExists."""
        ...

    def change(self, policy: ModelPolicy, *, expected: int) -> Model:
        """Store a model's new policy iff its revision is `expected`. Raises Stale."""
        ...

    def policy(self, digest: str) -> ModelPolicy:
        """Return a policy that holds or held. Raises NotFound."""
        ...


class ModelUnit(Unit, Protocol):
    """One transaction over models."""

    @property
    def models(self) -> ModelStore:
        """The models."""
        ...
