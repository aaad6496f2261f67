"""The policy of a model: one TOML file; when it trains, what it must reach, how it ships."""

import re
import tomllib
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from burnish.kernel.digest import canonical, digest
from burnish.kernel.errors import InvalidInput
from burnish.kernel.window import Window

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)
_LONGEST_SHARD = 63  # characters, as the tables hold it
_SHOWS = "image-"  # kinds whose inputs are photos
_LARGEST_PAGE = 10_000  # rows
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")
_LONGEST_DAYS = 36_500  # a century stands for "always"
EVERY = ("", "day")  # what `trigger.every` may be
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class PolicyError(InvalidInput):
    """The policy file says something that cannot be."""

    code = "policy.invalid"


class Kind(StrEnum):
    """What sort of model it is; each kind shares one pipeline."""

    IMAGE_CLASSIFICATION = "image-classification"


class Approval(StrEnum):
    """Who lets a candidate that passed its gates into production."""

    MANUAL = "manual"
    AUTO = "auto"


class NearDuplicate(StrEnum):
    """Which payloads are taken for one, whatever subjects show them."""

    OFF = "off"  # the same bytes
    CONTENT = "content"  # the same pixels too, however they are packed
    PERCEPTUAL = "perceptual"  # the same picture too: recompressed, resized, a little shifted


class TriggerPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to retrain; counts are *effective* corrections since the last training."""

    min_corrections: int = 100
    min_days: float = 7
    urgent_corrections: int = 300
    accuracy: bool = True  # train when live accuracy has fallen below `monitor.alert`
    every: str = ""  # "day": a nightly batch, of one correction at least
    window: str = ""  # "01:00-05:00 Asia/Seoul": no run begins outside it; "": at any time
    window_strict: bool = False  # nor one that is urgent, or asked for
    paused: bool = False

    @property
    def opening_hours(self) -> Window | None:
        """The window as a value; None if runs may begin at any time."""
        return Window.parse(self.window) if self.window else None


class DatasetPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How records become examples."""

    validation: float = 0.2  # share of the subjects that are not held out
    holdout: int = 300  # subjects, drawn by hash from those not chosen by uncertainty
    holdout_source: str = ""  # if set, exactly this source's subjects are the holdout
    look_budget: int = 50  # evaluations on one holdout, then another is drawn; 0: no end
    actor_share: float = 0.3  # of the effective corrections that one actor may make; 1: all
    reviewers: tuple[str, ...] = ()  # actors whose later verdict settles a contradiction
    near_duplicate: NearDuplicate = NearDuplicate.CONTENT


class SqlSource(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A database whose rows are feedback; it is only ever read."""

    database: str  # its name; where it is, and its password, only the worker knows
    query: str  # one SELECT, whose columns are named as the fields of a record
    watermark: str  # the column that grows whenever a row is added or changed
    key: str  # the column that tells rows of one watermark apart
    row_limit: int = 500  # rows of one page


def shard_of(model: str, source: str) -> str:
    """Return the shard of the raw log that holds the rows of an SQL source.

    >>> shard_of("laundry", "tasks")
    'sql.laundry.tasks'
    """
    return f"sql.{model}.{source}"


def source_of(model: str, shard: str) -> str | None:
    """Return the SQL source of a model whose rows a shard holds; None if it holds others.

    >>> source_of("laundry", "sql.laundry.tasks"), source_of("laundry", "0")
    ('tasks', None)
    """
    name = shard.removeprefix(shard_of(model, ""))
    return None if name == shard else name


class PayloadPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which URIs a record may name as its input; our own store always."""

    allow: tuple[str, ...] = ()


class CapturePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which served inputs are kept for feedback."""

    sample: float = 1.0
    days: int = 30


class FeedbackPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a record must bring along."""

    window_days: int = 30
    require_prediction: bool = False

    @property
    def window(self) -> timedelta:
        """How long after a prediction a record that judges it may come."""
        return timedelta(days=self.window_days)


class TrainPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which trainer, and what it may cost."""

    trainer: str = "image-classifier"
    path: str = "fast"
    max_retries: int = 3
    max_train_time: str = "4h"


class GatesPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a candidate must reach; 0 switches a gate off."""

    validation: float = 0.90
    holdout: float = 0.88
    per_class: float = 0.90
    p_better: float = 0.90
    latency_ms: float = 200  # mean of single requests, at most
    memory_mb: float = 2000  # peak of the process that answers, at most
    throughput: float = 50  # requests a second, at least


class ReleasePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a candidate reaches production."""

    approval: Approval = Approval.MANUAL


class MonitorPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The lines that live accuracy must not cross."""

    alert: float = 0.85
    rollback: float = 0.80
    min_outcomes: int = 20
    confirm_share: float = 0.02


class ModelPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that is decided about one model beforehand, versioned by digest."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    trigger: TriggerPolicy = field(default_factory=TriggerPolicy)
    dataset: DatasetPolicy = field(default_factory=DatasetPolicy)
    payload: PayloadPolicy = field(default_factory=PayloadPolicy)
    capture: CapturePolicy = field(default_factory=CapturePolicy)
    feedback: FeedbackPolicy = field(default_factory=FeedbackPolicy)
    train: TrainPolicy = field(default_factory=TrainPolicy)
    gates: GatesPolicy = field(default_factory=GatesPolicy)
    release: ReleasePolicy = field(default_factory=ReleasePolicy)
    monitor: MonitorPolicy = field(default_factory=MonitorPolicy)
    sources: dict[str, SqlSource] = field(default_factory=dict)

    @property
    def compares_photos(self) -> bool:
        """Whether an input must be looked at before it is known to show what no other shows."""
        shows = self.kind.value.startswith(_SHOWS)
        return shows and self.dataset.near_duplicate is not NearDuplicate.OFF

    @property
    def digest(self) -> str:
        """The policy's version: equal policies, equal digests, however they were written."""
        # 7 and 7.0 days are the same: read back, a number has the type of its field.
        plain = msgspec.convert(msgspec.to_builtins(self), type(self))
        return digest(canonical(plain))


def parse_policy(text: str) -> ModelPolicy:
    r"""Read a policy file. Raises PolicyError naming the key, the value and the fix.

    >>> parse_policy('name="laundry"\nkind="image-classification"\nlabels=["good","defect"]').name
    'laundry'
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"The policy is not TOML: {error}.") from error
    return policy_of(raw)


def policy_of(raw: dict[str, Any]) -> ModelPolicy:
    """Build a policy from its plain form. Raises PolicyError as `parse_policy` does."""
    _check_keys(raw, ModelPolicy, "")
    try:
        policy = msgspec.convert(raw, ModelPolicy)
    except msgspec.ValidationError as error:
        raise _mistyped(raw, str(error)) from error
    _check(policy)
    return policy


def duration(text: str) -> timedelta:
    """Return the time that a text such as `90s`, `15m`, `4h` or `7d` names.

    >>> duration("4h")
    datetime.timedelta(seconds=14400)
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise PolicyError.of("duration", text, "write a number and s, m, h or d, as in 4h")
    return timedelta(seconds=float(match[1]) * _UNIT_SECONDS[match[2]])


def _check_keys(raw: dict[str, Any], struct: type[Struct], section: str) -> None:
    known = {item.encode_name: item.type for item in msgspec.structs.fields(struct)}
    for key, value in raw.items():
        name = f"{section}{key}"
        if key not in known:
            near = get_close_matches(key, known, n=1)
            fix = f"did you mean {section}{near[0]}?" if near else f"use {', '.join(known)}"
            raise PolicyError.of(name, value, f"there is no such key: {fix}")
        inner = known[key]
        if isinstance(inner, type) and issubclass(inner, Struct) and isinstance(value, dict):
            _check_keys(value, inner, f"{name}.")


def _mistyped(raw: dict[str, Any], message: str) -> PolicyError:
    """Return what the reader of the types found, with the field and its value.

    >>> print(_mistyped({"labels": "good"}, "Expected `array`, got `str` - at `$.labels`"))
    labels is 'good': expected `array`, got `str`
    """
    problem, _, where = message.partition(" - at ")
    path = where.strip("`").removeprefix("$").strip(".")
    if not path:  # something is missing at the top
        return PolicyError(f"The policy has a mistake: {problem}.")
    value: Any = raw
    wanted: Any = ModelPolicy
    for part in re.findall(r"[^.\[\]]+", path):
        wanted = getattr(wanted, "__annotations__", {}).get(part)
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, (list, tuple)) and part.isdigit():
            value = value[int(part)]
    fix = problem[0].lower() + problem[1:]
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        fix = f"write one of {', '.join(item.value for item in wanted)}"
    return PolicyError.of(path, value, fix)


def _check_trigger(policy: TriggerPolicy) -> None:
    if policy.every not in EVERY:
        raise PolicyError.of("trigger.every", policy.every, 'write "day", or leave it out')
    try:
        policy.opening_hours  # noqa: B018  read for what it raises
    except ValueError as error:
        raise PolicyError.of("trigger.window", policy.window, str(error)) from error
    if policy.window_strict and not policy.window:
        raise PolicyError.of("trigger.window_strict", True, "say which window, or leave it out")


def _check(policy: ModelPolicy) -> None:
    _check_trigger(policy.trigger)
    if _NAME.fullmatch(policy.name) is None:
        raise PolicyError.of("name", policy.name, "use a-z, 0-9 and -, starting with a letter")
    if len(set(policy.labels)) < 2 or len(set(policy.labels)) != len(policy.labels):  # noqa: PLR2004
        raise PolicyError.of("labels", list(policy.labels), "name at least two different labels")
    duration(policy.train.max_train_time)
    shares = {
        "dataset.validation": policy.dataset.validation,
        "dataset.actor_share": policy.dataset.actor_share,
        "capture.sample": policy.capture.sample,
        "gates.validation": policy.gates.validation,
        "gates.holdout": policy.gates.holdout,
        "gates.per_class": policy.gates.per_class,
        "gates.p_better": policy.gates.p_better,
        "monitor.alert": policy.monitor.alert,
        "monitor.rollback": policy.monitor.rollback,
        "monitor.confirm_share": policy.monitor.confirm_share,
    }
    counts: dict[str, float] = {
        "trigger.min_corrections": policy.trigger.min_corrections,
        "trigger.min_days": policy.trigger.min_days,
        "trigger.urgent_corrections": policy.trigger.urgent_corrections,
        "dataset.holdout": policy.dataset.holdout,
        "dataset.look_budget": policy.dataset.look_budget,
        "train.max_retries": policy.train.max_retries,
        "feedback.window_days": policy.feedback.window_days,
        "monitor.min_outcomes": policy.monitor.min_outcomes,
        "gates.latency_ms": policy.gates.latency_ms,
        "gates.memory_mb": policy.gates.memory_mb,
        "gates.throughput": policy.gates.throughput,
    }
    longest: dict[str, float] = {
        "feedback.window_days": policy.feedback.window_days,
        "trigger.min_days": policy.trigger.min_days,
    }
    for name, days in longest.items():
        if days > _LONGEST_DAYS:
            raise PolicyError.of(name, days, f"give up to {_LONGEST_DAYS}")
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise PolicyError.of(name, share, "give a share between 0 and 1")
    for name, count in counts.items():
        if not count >= 0:  # what is no number is not
            raise PolicyError.of(name, count, "give zero or more")
    for name, source in policy.sources.items():
        _check_source(policy.name, name, source)


def _check_source(model: str, name: str, source: SqlSource) -> None:
    here = f"sources.{name}"
    if _NAME.fullmatch(name) is None:
        raise PolicyError.of("sources", name, "name it by a-z, 0-9 and -, starting with a letter")
    if len(shard_of(model, name)) > _LONGEST_SHARD:
        raise PolicyError.of(here, name, "choose a shorter name")
    if _NAME.fullmatch(source.database) is None or "--" in source.database:
        raise PolicyError.of(
            f"{here}.database", source.database, "give its name: a-z, 0-9 and single -, no URL"
        )
    for field_, column in (("watermark", source.watermark), ("key", source.key)):
        if _COLUMN.fullmatch(column) is None:
            raise PolicyError.of(f"{here}.{field_}", column, "name a column of the query")
    if not source.query.strip():
        raise PolicyError.of(f"{here}.query", source.query, "write a SELECT")
    if not 1 <= source.row_limit <= _LARGEST_PAGE:
        raise PolicyError.of(f"{here}.row_limit", source.row_limit, f"give 1 to {_LARGEST_PAGE}")
