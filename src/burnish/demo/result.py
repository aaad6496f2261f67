"""What the story proved, as data: the JSON of `burnish demo --json`."""

from typing import Any, Final

import msgspec
from msgspec import Struct, field

from burnish.demo.answers import ServingSummary

ROUND_FIELDS: Final = (
    "round",
    "model_version",
    "dataset",
    "corrections",
    "train_n",
    "holdout_accuracy",
    "holdout_n",
    "verdict",
    "train_seconds",
    "loop_seconds",
)


class Round(Struct, frozen=True, kw_only=True):
    """One turn of the loop; round 0 is the first model, whose labels no prediction came before."""

    round: int
    model_version: str | None  # the candidate's; None if none came about
    dataset: str | None
    corrections: int  # wrong answers that the reviewer put right in this round
    train_n: int  # examples in the training split
    holdout_accuracy: float | None
    holdout_n: int
    verdict: str | None  # of the evaluation; the run's state where there was none
    train_seconds: float | None  # start of the training job to its end
    loop_seconds: float | None  # last correction accepted to the first answer of the new model
    # For the table only:
    promoted: bool
    holdout_low: float | None = None
    holdout_high: float | None = None


class Swap(Struct, frozen=True, kw_only=True):
    """One change of the serving release, as the replica reported it."""

    source: str | None = field(name="from", default=None)
    target: str | None = field(name="to", default=None)
    swap_us: float | None = None  # the pointer's move
    ready_seconds: float | None = None  # fetching, checking, loading and warming off to the side


class Gate(Struct, frozen=True, kw_only=True):
    """What one gate said of the refused candidate."""

    gate: str
    verdict: str
    value: float | None = None
    threshold: float | None = None
    reason: str = ""


class Refused(Struct, frozen=True, kw_only=True):
    """The candidate trained on shuffled labels, and why the gates kept it out."""

    run: str
    model_version: str
    verdict: str  # of the evaluation
    holdout_accuracy: float | None
    champion_accuracy: float | None  # of the model that served, on the same photos
    gates: list[Gate]
    report: str  # id of the evaluation


class Rollback(Struct, frozen=True, kw_only=True):
    """The way back from the candidate that an operator forced through."""

    cause: str
    seconds: float  # decision to the first answer of the release before
    failed: int  # requests without an answer while the bad release served, and on the way back
    source: str = field(name="from")  # model versions
    target: str = field(name="to")
    reason: str = ""  # in words, with the figures that decided
    sampled: int = 0  # outcomes of answers drawn at random that it took
    accuracy: float | None = None  # live, of those


class Kill(Struct, frozen=True, kw_only=True):
    """One process that chaos killed."""

    at: float  # seconds, monotonic
    round: int
    role: str
    phase: str  # of the round, which was under way then
    pid: int


class ChaosSummary(Struct, frozen=True, kw_only=True):
    """What chaos did; the same seed draws the same moments."""

    seed: int
    began: float  # of the story; seconds, monotonic
    kills: list[Kill]

    def document(self) -> dict[str, Any]:
        """Return it as JSON; `at` is in seconds since the story began."""
        kills = [
            {
                "at": round(kill.at - self.began, 2),
                "round": kill.round,
                "role": kill.role,
                "phase": kill.phase,
            }
            for kill in self.kills
        ]
        return {"seed": self.seed, "kills": kills}


class Proof(Struct, frozen=True, kw_only=True):
    """What was found on disk and in the database once the platform had stopped."""

    accepted: int  # records that the story was told are kept
    in_raw_log: int  # records that lie there
    missing: int  # of those accepted
    duplicates: int  # records that are there though the same one is
    steps: int  # of runs, finished
    steps_repeated: int  # that began again after they had finished
    faults: list[str] = []  # in sentences


class Result(Struct, frozen=True, kw_only=True):
    """The whole story."""

    rounds: list[Round]
    serving: ServingSummary
    swaps: list[Swap]
    wall_seconds: float
    refused: Refused | None = None
    rollback: Rollback | None = None
    proof: Proof | None = None
    chaos: ChaosSummary | None = None  # None if nothing was killed on purpose

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "rounds": [
                {name: getattr(turn, name) for name in ROUND_FIELDS} for turn in self.rounds
            ],
            "serving": msgspec.to_builtins(self.serving),
            "swaps": msgspec.to_builtins(self.swaps),
            "refused": msgspec.to_builtins(self.refused),
            "rollback": msgspec.to_builtins(self.rollback),
            "proof": msgspec.to_builtins(self.proof),
            "chaos": self.chaos.document() if self.chaos else None,
            "wall_seconds": self.wall_seconds,
        }

    @property
    def faults(self) -> list[str]:
        """What went wrong, in sentences; empty if the story held."""
        serving = self.serving
        found = {
            f"{serving.failed} requests failed.": serving.failed > 0,
            f"{serving.mixed} answers were mixed.": serving.mixed > 0,
            "No round's model was promoted.": not any(
                turn.promoted for turn in self.rounds if turn.round > 0
            ),
            "The candidate that learnt from shuffled labels was not refused.": not self.refused,
            "The release that was forced through was not rolled back.": not self.rollback,
        }
        proven = self.proof.faults if self.proof else []
        return [*(sentence for sentence, true in found.items() if true), *proven]
