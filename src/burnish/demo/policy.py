"""The policy that the demo's model runs under: a file as any user would write it."""

from typing import Final

import msgspec

from burnish.demo.album import Album

POLICY: Final = """\
# The demo's policy. It has no floors and a low rollback line: it starts bad on purpose.
name = "{model}"
kind = "image-classification"
labels = {labels}

[trigger]
min_corrections = {corrections}
min_days = 0
urgent_corrections = 100000

[dataset]
holdout_source = "{model}-holdout"  # exactly these photos judge every model and train none

[gates]
validation = 0
holdout = 0
per_class = 0
p_better = {p_better:.2f}
latency_ms = 1000  # the machine is shared by all roles and the trainer: no tight line holds
throughput = 0

[release]
approval = "auto"

[monitor]
rollback = 0.65
"""


def policy(album: Album) -> str:
    """Return the policy file of an album's model."""
    labels = msgspec.json.encode(album.labels).decode()
    return POLICY.format(
        model=album.model,
        labels=labels,
        corrections=album.pace.min_corrections,
        p_better=album.pace.p_better,
    )
