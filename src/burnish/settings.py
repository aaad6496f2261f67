"""The settings as data: every one with its section, type, default and help line.

In a text, `{data}` stands for the data directory, `{host}` and `{port}` for those of its section.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field

PREFIX: Final = "BURNISH_"

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]  # up to a year
Bytes = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
Host = Annotated[str, Meta(min_length=1)]
Url = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://")]
Level = Literal["debug", "info", "warning", "error"]
AmqpUrl = Annotated[str, Meta(pattern=r"^(amqps?://.+)?$")]
PostgresUrl = Annotated[str, Meta(pattern=r"^(postgres(ql)?://.+)?$")]
Table = Annotated[str, Meta(pattern=r"^[a-z_][a-z0-9_]{0,39}$")]


class DatabaseSettings(Struct, frozen=True, kw_only=True):
    """Where the metadata lies."""

    url: Annotated[
        Url,
        Meta(
            description="Metadata database: sqlite:///FILE or "
            "postgresql://USER:PASSWORD@HOST/DATABASE."
        ),
    ] = "sqlite:///{data}/burnish.db"


class ObjectsSettings(Struct, frozen=True, kw_only=True):
    """Where files lie: the raw log, payloads, datasets, artifacts, reports."""

    url: Annotated[
        Annotated[str, Meta(pattern=r"^(file://|s3://[a-z0-9][a-z0-9.-]+)")],
        Meta(description="The object store: file:///FOLDER or s3://BUCKET/PREFIX."),
    ] = "file://{data}/objects"
    endpoint: Annotated[
        Annotated[str, Meta(pattern=r"^$|^https?://")],
        Meta(description="URL of an S3 server that is not AWS; trainers reach it there too."),
    ] = ""
    region: Annotated[str, Meta(description="Region of the bucket.")] = "us-east-1"
    credentials_file: Annotated[
        str,
        Meta(
            description="File with the access key, in the form of AWS's; if empty, the AWS_* "
            "variables or the machine's role count."
        ),
    ] = ""
    allow_http: Annotated[
        bool, Meta(description="Whether the endpoint may be plain http: for tests.")
    ] = False
    timeout_seconds: Annotated[
        Seconds, Meta(description="One request to S3, with all of its bytes, may take so long.")
    ] = 60.0


class IngestSettings(Struct, frozen=True, kw_only=True):
    """The feedback front: accepts corrections and makes them durable."""

    host: Annotated[Host, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8401
    url: Annotated[Url, Meta(description="Where the other roles reach it.")] = (
        "http://{host}:{port}"
    )
    shard: Annotated[
        Name, Meta(description="Name of this process's part of the raw log: unique, and kept.")
    ] = "0"
    seal_seconds: Annotated[
        Seconds, Meta(description="Records go to the raw log after so many seconds at the latest.")
    ] = 60.0
    seal_bytes: Annotated[
        Bytes, Meta(description="Records go to the raw log after so many bytes at the latest.")
    ] = 16 * 1024**2
    segment_bytes: Annotated[
        Bytes,
        Meta(description="Length of the spool's segment files: so much disk is taken at once."),
    ] = 16 * 1024**2
    spool_high_water_bytes: Annotated[
        Bytes, Meta(description="Backlog at which ingest answers 429.")
    ] = 1024**3
    spool_low_water_bytes: Annotated[
        Bytes, Meta(description="Backlog at which ingest accepts again.")
    ] = 768 * 1024**2
    reserve_bytes: Annotated[
        Bytes, Meta(description="Disk space set aside to empty a full disk; above seal_bytes.")
    ] = 32 * 1024**2
    in_flight_bytes: Annotated[
        Bytes, Meta(description="Bytes of request bodies held in memory at once; beyond, 429.")
    ] = 64 * 1024**2
    max_record_bytes: Annotated[Bytes, Meta(description="Largest single record.")] = 1024**2
    max_batch_bytes: Annotated[Bytes, Meta(description="Largest batch.")] = 16 * 1024**2
    header_seconds: Annotated[
        Seconds,
        Meta(description="A client has so long to send its headers; idle connections end too."),
    ] = 5.0
    body_seconds: Annotated[Seconds, Meta(description="A client has so long to send a body.")] = (
        30.0
    )
    rabbitmq_url: Annotated[
        AmqpUrl,
        Meta(
            description="RabbitMQ to take feedback from: amqp://USER:PASSWORD@HOST/VHOST, or "
            "amqps; empty: none. Whoever may write to its queue may judge."
        ),
    ] = ""
    rabbitmq_queue: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9._:-]{1,200}$",
            description="Its queue; what cannot be taken passes through the queue NAME.dead.",
        ),
    ] = "burnish.feedback"
    rabbitmq_prefetch: Annotated[
        Count, Meta(le=65_535, description="Messages taken from RabbitMQ and not yet acknowledged.")
    ] = 256
    rabbitmq_delivery_limit: Annotated[
        Count, Meta(description="A message delivered more often than this goes to quarantine.")
    ] = 20
    postgres_queue_url: Annotated[
        PostgresUrl,
        Meta(
            description="PostgreSQL with a queue table, which an application writes to from its "
            "own transactions: postgresql://USER:PASSWORD@HOST/DATABASE; empty: none."
        ),
    ] = ""
    postgres_queue_table: Annotated[
        Table, Meta(description="Its table, made at the start if it is missing.")
    ] = "burnish_feedback"
    postgres_queue_poll_seconds: Annotated[
        Seconds, Meta(description="How often it is looked at while nothing comes.")
    ] = 0.5


class ControlSettings(Struct, frozen=True, kw_only=True):
    """The control plane: the API, and the live events."""

    host: Annotated[Host, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8400
    url: Annotated[Url, Meta(description="Where roles and trainers reach it.")] = (
        "http://{host}:{port}"
    )
    max_payload_bytes: Annotated[Bytes, Meta(description="Largest uploaded payload.")] = (
        32 * 1024**2
    )
    max_artifact_bytes: Annotated[Bytes, Meta(description="Largest model that a job uploads.")] = (
        2 * 1024**3
    )


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """The worker: builds datasets, runs the pipeline, launches jobs, evaluates, releases."""

    host: Annotated[Host, Meta(description="Address of its health and metrics.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port of its health and metrics.")] = 8404
    id: Annotated[
        Name, Meta(description="Name of this process: unique, and kept, as it resumes its runs.")
    ] = "worker-0"
    concurrency: Annotated[Count, Meta(description="Runs that it works on at once.")] = 4
    poll_seconds: Annotated[
        Seconds, Meta(description="How often it looks for new feedback and for runs to start.")
    ] = 0.5
    sources_file: Annotated[
        str,
        Meta(
            description="Where the databases of SQL sources are: TOML, a line for each, its "
            "name and its URL; BURNISH_SOURCE_<NAME> in the environment comes first."
        ),
    ] = "{data}/sources.toml"
    sources_seconds: Annotated[
        Seconds, Meta(description="How often it looks for new rows in SQL sources.")
    ] = 60.0


class PayloadsSettings(Struct, frozen=True, kw_only=True):
    """Inputs that lie elsewhere, as the worker fetches them."""

    max_bytes: Annotated[Bytes, Meta(description="Largest input.")] = 32 * 1024**2
    timeout_seconds: Annotated[
        Seconds, Meta(description="One attempt to fetch an input may take so long.")
    ] = 30.0
    parallel: Annotated[Count, Meta(description="Inputs fetched at once.")] = 8
    private_hosts: Annotated[
        str,
        Meta(
            description="Hosts, or HOST:PORT, with commas between, that may have a private "
            "address; others must be on the internet."
        ),
    ] = ""
    s3_endpoint: Annotated[
        Annotated[str, Meta(pattern=r"^$|^https?://")],
        Meta(description="URL of the S3 server that s3:// inputs lie on, if it is not AWS."),
    ] = ""
    s3_region: Annotated[str, Meta(description="Region of their buckets.")] = "us-east-1"
    s3_credentials_file: Annotated[
        str,
        Meta(
            description="File with the access key to them, in the form of AWS's; if empty, the "
            "AWS_* variables or the machine's role count."
        ),
    ] = ""
    s3_allow_http: Annotated[
        bool, Meta(description="Whether that endpoint may be plain http: for tests.")
    ] = False


class DatasetsSettings(Struct, frozen=True, kw_only=True):
    """How dataset versions are built."""

    engine: Annotated[
        Annotated[str, Meta(pattern=r"^(local|ray://.+)$")],
        Meta(
            description="Where a build reads the raw log: local, or ray://HOST:PORT for a Ray "
            "cluster, whose nodes must reach the object store."
        ),
    ] = "local"
    processes: Annotated[
        int,
        Meta(ge=0, description="Processes that read at once when local; 0: one per processor."),
    ] = 0


class ServeSettings(Struct, frozen=True, kw_only=True):
    """Serving: answers predictions with the active release."""

    host: Annotated[Host, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port to listen on.")] = 8402
    url: Annotated[Url, Meta(description="Where clients reach this replica.")] = (
        "http://{host}:{port}"
    )
    auth: Annotated[bool, Meta(description="Whether predictions ask for a token.")] = False
    replica: Annotated[Name, Meta(description="Name of this replica: unique, and kept.")] = (
        "replica-0"
    )
    max_in_flight: Annotated[
        Count, Meta(description="Requests worked on or waiting at once; more get 429.")
    ] = 64
    threads: Annotated[Count, Meta(description="Threads that one inference uses.")] = 1
    max_image_bytes: Annotated[Bytes, Meta(description="Largest image.")] = 32 * 1024**2
    log_queue: Annotated[
        Count, Meta(description="Predictions waiting to be logged; beyond it, they are counted.")
    ] = 10_000


class TrainingSettings(Struct, frozen=True, kw_only=True):
    """Training jobs and their attempts."""

    heartbeat_timeout_seconds: Annotated[
        Seconds, Meta(description="An attempt silent for so long is lost, fenced and retried.")
    ] = 90.0
    token_seconds: Annotated[
        Seconds, Meta(description="Lifetime of an attempt's callback token and presigned URLs.")
    ] = 21_600.0


class ProcessSettings(Struct, frozen=True, kw_only=True):
    """How every role starts and stops."""

    ready_seconds: Annotated[
        Seconds, Meta(description="`up` waits so long for a role to be ready.")
    ] = 60.0
    drain_seconds: Annotated[
        Seconds, Meta(description="A role has so long to finish its work once asked to stop.")
    ] = 20.0


class LogSettings(Struct, frozen=True, kw_only=True):
    """Log lines: JSON, on stderr."""

    level: Annotated[
        Level, Meta(description="Least level that is written: debug, info, warning or error.")
    ] = "info"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything that is decided about this installation before it starts."""

    data: Path  # absolute; not a setting of the file, as the file lies in it
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    objects: ObjectsSettings = field(default_factory=ObjectsSettings)
    ingest: IngestSettings = field(default_factory=IngestSettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    datasets: DatasetsSettings = field(default_factory=DatasetsSettings)
    payloads: PayloadsSettings = field(default_factory=PayloadsSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    log: LogSettings = field(default_factory=LogSettings)


class Setting(Struct, frozen=True, kw_only=True):
    """One row of the reference: a setting, its type, its default, and what it means."""

    key: str  # "ingest.port"
    type: Any
    default: Any
    help: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.key.upper().replace(".", "__")


def sections() -> dict[str, type[Struct]]:
    """Return the sections of the settings by name, in order."""
    return {
        section.name: section.type
        for section in msgspec.structs.fields(Settings)
        if section.name != "data"
    }


def catalogue() -> list[Setting]:
    """Return every setting, in the order of the file."""
    return [
        Setting(
            key=f"{section}.{item.name}", type=item.type, default=item.default, help=_help(item)
        )
        for section, struct in sections().items()
        for item in msgspec.structs.fields(struct)
    ]


def _help(item: msgspec.structs.FieldInfo) -> str:
    annotations = getattr(item.type, "__metadata__", ())
    return next(
        (meta.description for meta in reversed(annotations) if meta.description is not None), ""
    )
