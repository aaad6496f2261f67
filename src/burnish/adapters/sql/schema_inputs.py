"""The tables of what lies elsewhere: how far SQL sources are read, what payloads are.

What is found out of payloads is added to and never changed, so that it can be told what was known
when a decision was made: the last row on a URI or a content holds, of those up to an id.
"""

from sqlalchemy import Column, LargeBinary, String, Table, Text

from burnish.adapters.sql.columns import Serial, Time, metadata

sql_sources = Table(
    "sql_sources",
    metadata,
    Column("shard", String(63), primary_key=True),
    Column("place", Text, nullable=False),  # JSON: watermark and key of the last row that was read
    Column("read_at", Time, nullable=False),
)


payload_sources = Table(
    "payload_sources",
    metadata,
    Column("id", Serial, primary_key=True),  # rows are committed in this order
    Column("uri_sha256", String(71), nullable=False, index=True),  # of its text, which may be long
    Column("uri", Text, nullable=False),
    Column("sha256", String(71)),  # of the bytes that it gave first; it stands for no others
    Column("reason", String(63), index=True),  # why it gave none
    Column("detail", Text, nullable=False),
    Column("tried_at", Time, nullable=False),  # last, with this outcome
    sqlite_autoincrement=True,  # an id that was deleted must not come back
)

payload_contents = Table(
    "payload_contents",
    metadata,
    Column("id", Serial, primary_key=True),  # rows are committed in this order
    Column("sha256", String(71), nullable=False, index=True),  # again when looked at more closely
    Column("pixels", String(71), index=True),  # digest of what is shown; None if nothing can be
    Column("fingerprint", LargeBinary),  # perceptual; None unless a policy asked for it
    Column("by_pixels", String(71), nullable=False),  # the first content that shows these pixels
    Column("by_picture", String(71)),  # the first that shows this picture; with a fingerprint
    sqlite_autoincrement=True,
)
