"""Every table of the metadata database. The migrations beside make exactly these."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from burnish.adapters.sql.columns import Moment, metadata
from burnish.adapters.sql.columns import Serial as _Serial
from burnish.adapters.sql.columns import Time as _Time
from burnish.adapters.sql.schema_inputs import payload_contents, payload_sources, sql_sources

__all__ = ["Moment", "metadata"]  # with every table below
INPUTS: Final = (sql_sources, payload_sources, payload_contents)  # import them from their module

# --- models and their policies

models = Table(
    "models",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("policy_digest", String(71), nullable=False),
    Column("revision", Integer, nullable=False),  # the ETag: +1 at each change
    Column("generation", Integer, nullable=False, default=0),  # of the active release
    Column("active_release", String(36)),
    Column("updated_at", _Time, nullable=False),
)

policies = Table(
    "policies",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("model", String(63), nullable=False, index=True),
    Column("policy", JSON, nullable=False),
    Column("created_at", _Time, nullable=False),
)

# --- feedback: the raw log's manifest and its projection

raw_objects = Table(
    "raw_objects",
    metadata,
    Column("shard", String(63), primary_key=True),
    Column("first_offset", BigInteger, primary_key=True),
    Column("last_offset", BigInteger, nullable=False),  # inclusive
    Column("key", String(255), nullable=False, unique=True),
    Column("sha256", String(71), nullable=False),
    Column("records", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", _Time, nullable=False),
)

shards = Table(
    "shards",
    metadata,
    Column("shard", String(63), primary_key=True),
    Column("projected_offset", BigInteger, nullable=False),  # first offset not yet in `feedback`
)

feedback = Table(
    "feedback",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("shard", String(63), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("model", String(63), nullable=False),
    Column("subject_id", String(255), nullable=False),
    Column("prediction_id", String(64)),
    Column("predicted", String(255)),
    Column("final", String(255), nullable=False),
    Column("corrected", Boolean, nullable=False),
    Column("selection", String(32)),
    Column("payload", Text),
    Column("actor", String(255)),
    Column("occurred_at", _Time, nullable=False),
    Column("received_at", _Time, nullable=False),
    UniqueConstraint("shard", "offset"),
    Index("ix_feedback_model_subject", "model", "subject_id"),
    Index("ix_feedback_prediction", "prediction_id"),
    Index("ix_feedback_received", "received_at", "shard", "offset"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", String(80), primary_key=True),  # "<name of its object>-<line>"
    Column("key", String(255), nullable=False),
    Column("line", Integer, nullable=False),
    Column("code", String(63), nullable=False),
    Column("detail", Text, nullable=False),
    Column("received_at", _Time, nullable=False),
    Column("model", String(63)),  # these three as far as the record lets us know
    Column("source", String(255)),
    Column("record_id", String(255)),
    Column("state", String(16), nullable=False),
    Column("replays", Integer, nullable=False),
    Column("replayed_at", _Time),
    Index("ix_quarantine_state_received", "state", "received_at", "id"),
    Index("ix_quarantine_identity", "source", "record_id"),
)

predictions = Table(
    "predictions",
    metadata,
    Column("id", String(64), primary_key=True),  # "<generation>.<uuid7>"
    Column("model", String(63), nullable=False),
    Column("release", String(36), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("model_version", String(63), nullable=False),
    Column("label", String(255), nullable=False),
    Column("confidence", Float, nullable=False),
    Column("payload_sha256", String(71)),
    Column("at", _Time, nullable=False),
    Index("ix_predictions_release_at", "release", "at"),
)

# --- datasets, triggers

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(80), primary_key=True),  # "<model>@<number>"
    Column("model", String(63), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(71), nullable=False),
    Column("policy_digest", String(71), nullable=False),
    Column("parent", String(80)),
    Column("offsets", JSON, nullable=False),  # shard -> first offset not in it
    Column("counts", JSON, nullable=False),  # split -> label -> examples
    Column("corrections", Integer, nullable=False),  # effective, all told
    Column("left_out", JSON, nullable=False),  # reason -> records
    Column("manifest", String(71), nullable=False),  # its digest, which is part of its key
    Column("created_at", _Time, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="1"),  # of its holdout
    UniqueConstraint("model", "number"),
)

holdout_looks = Table(
    "holdout_looks",
    metadata,
    Column("run", String(36), primary_key=True),  # looks once
    Column("model", String(63), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("dataset", String(80), nullable=False),
    Column("candidate", String(63), nullable=False),
    Column("at", _Time, nullable=False),
    Index("ix_holdout_looks_epoch", "model", "epoch"),
)

holdout_rotations = Table(
    "holdout_rotations",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("epoch", Integer, primary_key=True),  # worn once
    Column("dataset", String(80), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", _Time, nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", _Time, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("datasets", JSON, nullable=False),
    Column("models", JSON, nullable=False),
    Column("payloads_removed", Integer, nullable=False),
    Column("payloads_kept", Integer, nullable=False),
    Column("finished_at", _Time),
)

tombstones = Table(
    "tombstones",
    metadata,
    Column("source", String(255), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("erasure", String(36), nullable=False, index=True),
    Column("model", String(63), nullable=False),
    Column("payload_sha256", String(71), index=True),
    Column("at", _Time, nullable=False),
    Index("ix_tombstones_model_at", "model", "at"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("model", String(63), nullable=False),
    Column("at", _Time, nullable=False),
    Column("until", _Time, nullable=False),
    Column("fire", Boolean, nullable=False),
    Column("rule", String(63), nullable=False),
    Column("hold", String(16)),
    Column("reason", Text, nullable=False),
    Column("corrections", Integer, nullable=False),
    Column("policy_digest", String(71), nullable=False),
    Column("offsets", JSON, nullable=False),
    Column("facts", JSON(none_as_null=True)),  # what it rests on; none before revision 0025
    Column("noted", JSON(none_as_null=True)),  # of inputs; none before revision 0033
    Column("run", String(36)),
    Index("ix_decisions_model_id", "model", "id"),
)

trigger_pauses = Table(
    "trigger_pauses",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("trigger", String(16), primary_key=True),
    Column("actor", String(255), nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", _Time, nullable=False),
)

# --- runs, jobs

runs = Table(
    "runs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("model", String(63), nullable=False, index=True),
    Column("state", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cause", JSON, nullable=False),  # the trigger's decision in short
    Column("offsets", JSON, nullable=False),
    Column("policy_digest", String(71), nullable=False),
    Column("dataset", String(80)),
    Column("job", String(36)),
    Column("candidate", String(63)),  # model version
    Column("evaluation", String(36)),
    Column("release", String(36)),
    Column("failed_step", String(32)),
    Column("failure", JSON),
    Column("trace_id", String(32), nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("ended_at", _Time),
)
_UNDER_WAY = runs.c.ended_at.is_(None)
Index(  # a model has at most one run that has not ended
    "uq_runs_active",
    runs.c.model,
    unique=True,
    sqlite_where=_UNDER_WAY,
    postgresql_where=_UNDER_WAY,
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run", String(36), primary_key=True),
    Column("step", String(32), primary_key=True),
    Column("state", String(32), nullable=False),
    Column("started_at", _Time, nullable=False),
    Column("ended_at", _Time),
    Column("detail", JSON, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("run", String(36), unique=True),  # a run trains at most once
    Column("model", String(63), nullable=False, index=True),
    Column("dataset", String(80), nullable=False),
    Column("trainer", String(63), nullable=False),
    Column("hyperparameters", JSON, nullable=False),
    Column("state", String(32), nullable=False),
    Column("attempt", Integer, nullable=False),  # 1 is the first; 0 before it
    Column("max_attempts", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),  # of the attempt's last callback
    Column("progress", Float, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("artifacts", JSON, nullable=False),
    Column("details", JSON, nullable=False),  # what the trainer says of its result
    Column("failure", JSON),
    Column("trace_id", String(32), nullable=False),
    Column("queued_at", _Time, nullable=False),
    Column("started_at", _Time),
    Column("heartbeat_at", _Time),
    Column("completed_at", _Time),
)

# --- model versions, evaluations, releases

model_versions = Table(
    "model_versions",
    metadata,
    Column("model", String(63), primary_key=True),
    Column("version", String(63), primary_key=True),  # semantic
    Column("artifact_key", String(255), nullable=False),
    Column("artifact_sha256", String(71), nullable=False),
    Column("artifact_bytes", BigInteger, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("dataset", String(80), nullable=False),
    Column("run", String(36), nullable=False, unique=True),
    Column("predecessor", String(63)),
    Column("metrics", JSON, nullable=False),
    Column("trained_at", _Time, nullable=False),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("run", String(36), nullable=False, unique=True),
    Column("model", String(63), nullable=False),
    Column("candidate", String(63), nullable=False),
    Column("champion", String(63)),
    Column("verdict", String(16), nullable=False),
    Column("summary", JSON, nullable=False),
    Column("report_key", String(255), nullable=False),
    Column("created_at", _Time, nullable=False),
)

releases = Table(
    "releases",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("model", String(63), nullable=False),
    Column("model_version", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("generation", Integer),  # of its last promotion
    Column("run", String(36), unique=True),
    Column("previous", String(36)),
    Column("created_at", _Time, nullable=False),
    Column("deployed_at", _Time),
    Column("ended_at", _Time),
    Column("reason", Text, nullable=False, default=""),
    Index("ix_releases_model_generation", "model", "generation"),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", String(63), primary_key=True),
    Column("url", String(255), nullable=False),
    Column("models", JSON, nullable=False),
    Column("seen_at", _Time, nullable=False),
)

# --- what leaves a trace

audit = Table(
    "audit",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("at", _Time, nullable=False),
    Column("actor", String(255), nullable=False),
    Column("action", String(63), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    Column("reason", Text, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("hash", String(71), nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("type", String(63), nullable=False),
    Column("model", String(63), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("at", _Time, nullable=False),
    Column("trace_id", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_outbox_subject_type", "subject", "type"),
)
