"""How far each SQL source of a version was read, as its rows themselves say."""

from burnish.datasets.manifest import Source
from burnish.feedback.ports import RawLog
from burnish.feedback.tabular import place_of
from burnish.feedback.verdict import Offsets
from burnish.kernel.policy import source_of


def sql_sources(raw_log: RawLog, model: str, offsets: Offsets) -> list[Source]:
    """Return a model's SQL sources among the shards of a version, by name.

    The watermark is that of the last row in the version, and so the same whenever it is built.
    """
    found = []
    for shard, end in sorted(offsets.items()):
        name = source_of(model, shard)
        if name is None or end == 0:
            continue
        for last in raw_log.read(shard, end - 1, end):
            watermark, key = place_of(last.id)
            found.append(
                Source(
                    kind="sql",
                    offsets={shard: end},
                    records=end,
                    name=name,
                    watermark=watermark,
                    key=key,
                )
            )
    return found
