"""The policy that the demo's model runs under: a file as any user would write it."""

from typing import Final

import msgspec

from burnish.demo.album import Album

FIRST_LINE: Final = 0.65  # share of right answers below which a release gives way, at the start
GOOD_LINE: Final = 0.75  # and once the model is good
ALERT_ABOVE: Final = 0.05  # the rollback line

POLICY: Final = """\
# The demo's policy. It has no floors and a low rollback line: it starts bad on purpose.
name = "{model}"
kind = "image-classification"
labels = {labels}

[trigger]
min_corrections = {corrections}
min_days = 0
urgent_corrections = 100000
paused = {paused}

[dataset]
holdout_source = "{model}-holdout"  # exactly these photos judge every model and train none
actor_share = 1  # one reviewer stands for the whole staff

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
alert = {alert:.2f}
rollback = {rollback:.2f}
"""


def policy(album: Album, *, rollback: float = FIRST_LINE, paused: bool = False) -> str:
    """Return the policy file of an album's model; `paused` keeps its trigger from firing."""
    labels = msgspec.json.encode(album.labels).decode()
    return POLICY.format(
        model=album.model,
        labels=labels,
        corrections=album.pace.min_corrections,
        paused=str(paused).lower(),
        alert=rollback + ALERT_ABOVE,
        rollback=rollback,
        p_better=album.pace.p_better,
    )
