"""What every role has: settings, secrets, database, objects, tokens; wired the same for all."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import msgspec
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from burnish.adapters import durable
from burnish.adapters.directory import PublishedDirectory
from burnish.adapters.durable import DbosMessenger
from burnish.adapters.files import write_durably
from burnish.adapters.lock import locked
from burnish.adapters.mapped_objects import MappedObjects
from burnish.adapters.objects import LocalObjects, SignedObjects
from burnish.adapters.objects_s3 import Credentials, S3Objects, StoreUnavailable
from burnish.adapters.pieces import Store
from burnish.adapters.secrets import Secrets, ensure_secrets
from burnish.adapters.sql.engine import make_engine, reach
from burnish.adapters.sql.migrate import upgrade
from burnish.adapters.sql.unit import SqlUnit
from burnish.adapters.system import new_id, utc_now
from burnish.adapters.telemetry import configure_logging, new_registry
from burnish.adapters.tokens import KEY_ID, JwtTokens
from burnish.feedback.model import Key, ModelFacts, Published
from burnish.kernel.audit import SYSTEM, Actor
from burnish.kernel.errors import InvalidInput
from burnish.kernel.objects import Objects
from burnish.kernel.policy import parse_policy
from burnish.models.service import apply_policy
from burnish.settings import Settings

POLICY_FOLDER: Final = "models"
IMPORTED: Final = "published/policies.json"  # model -> digest of the policy file imported last

_log = structlog.get_logger("burnish.house")


@dataclass(frozen=True, kw_only=True)
class House:
    """The parts that every role shares."""

    settings: Settings
    secrets: Secrets
    engine: Engine
    objects: SignedObjects
    tokens: JwtTokens
    messenger: DbosMessenger
    directory: PublishedDirectory
    registry: CollectorRegistry

    @classmethod
    def open(cls, settings: Settings, role: str) -> Self:
        """Prepare the data directory, whoever comes first, and wire the shared parts."""
        configure_logging(role, settings.log.level)
        secrets = ensure_secrets(settings.data)
        engine = make_engine(settings.database.url)
        reach(engine)
        house = cls(
            settings=settings,
            secrets=secrets,
            engine=engine,
            objects=_objects(settings, secrets),
            tokens=JwtTokens({KEY_ID: secrets.key}),
            messenger=DbosMessenger(engine),
            directory=PublishedDirectory(
                settings.data / "published" / "directory.json", secrets.key
            ),
            registry=new_registry(),
        )
        with locked(settings.data / "prepare.lock"):
            upgrade(engine)
            durable.migrate(settings.database.url)
            house._import_policies()
            house.publish()
        return house

    def unit(self, actor: Actor = SYSTEM) -> SqlUnit:
        """Return a transaction; its events carry the actor's trace."""
        return SqlUnit(
            self.engine,
            clock=utc_now,
            ids=new_id,
            messenger=self.messenger,
            trace_id=actor.trace_id,
        )

    def view(self) -> SqlUnit:
        """Return a transaction that only reads."""
        return SqlUnit(
            self.engine, clock=utc_now, ids=new_id, messenger=self.messenger, reads_only=True
        )

    def publish(self) -> None:
        """Tell the feedback front which models and keys there are."""
        # What is published last must also have been read last.
        with locked(self.settings.data / "publish.lock"):
            with self.view() as view:
                models = {model.name: ModelFacts.of(model.policy) for model in view.models.list()}
            key = Key(sha256=self.admin_token_sha256, name="admin", role="admin")
            self.directory.publish(msgspec.to_builtins(Published(models=models, keys=(key,))))

    @property
    def admin_token_sha256(self) -> str:
        """The administrator's token, by its hash (hex)."""
        return hashlib.sha256(self.secrets.admin_token.encode()).hexdigest()

    def close(self) -> None:
        """Let go of the database."""
        self.messenger.close()
        self.engine.dispose()

    def mapped(self) -> Objects:
        """Return the object store as one whose large objects can be looked into."""
        if isinstance(self.objects, LocalObjects):
            return self.objects
        return MappedObjects(self.objects, self.settings.data / "cache" / "layers")

    @property
    def readable(self) -> Store:
        """The object store as it can travel to where a dataset build reads."""
        return self.objects.folder if isinstance(self.objects, LocalObjects) else self.objects

    def _import_policies(self) -> None:
        """Apply every policy file that has changed since it was last imported here.

        One that has not must not undo what was decided over the API meanwhile.
        """
        seen = self.settings.data / IMPORTED
        imported = (
            msgspec.json.decode(seen.read_bytes(), type=dict[str, str]) if seen.exists() else {}
        )
        for path in sorted((self.settings.data / POLICY_FOLDER).glob("*.toml")):
            try:
                policy = parse_policy(path.read_text(encoding="utf-8"))
            except InvalidInput as error:
                raise InvalidInput(f"{path}: {error.detail}", **error.facts) from error
            if imported.get(policy.name) == policy.digest:
                continue
            with self.view() as view:
                known = view.models.find(policy.name)
            apply_policy(
                self.unit(), policy, expected=known.revision if known else None, actor=SYSTEM
            )
            imported[policy.name] = policy.digest
            write_durably(seen, msgspec.json.encode(imported))


def _objects(settings: Settings, secrets: Secrets) -> SignedObjects:
    """Return the object store that the URL names. Raises InvalidInput if it refuses us."""
    objects = settings.objects
    parts = urlsplit(objects.url)
    if parts.scheme == "file":
        return LocalObjects(
            Path(parts.path), base_url=settings.control.url, secret=secrets.key, clock=utc_now
        )
    file = objects.credentials_file
    bucket = S3Objects(
        objects.url,
        endpoint=objects.endpoint,
        region=objects.region,
        credentials=Credentials.read(Path(file)) if file else None,
        allow_http=objects.allow_http,
        timeout_s=objects.timeout_seconds,
    )
    try:
        bucket.reach()
    except StoreUnavailable as error:  # an outage: feedback is accepted meanwhile
        _log.warning("objects.unavailable", error=error.detail)
    return bucket
