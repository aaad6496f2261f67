"""Triggers: what a decision rests on, what it says, and what is kept of it.

TriggerError         code                meaning
├── UnknownTrigger   trigger.unknown     there is no trigger of this name
├── ReasonMissing    trigger.no_reason   a pause or an ask without a reason
HeldByWindow         trigger.window      a strict window is closed; the run was not to wait for it
"""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, field

from burnish.datasets.contents import Noted
from burnish.feedback.verdict import Offsets
from burnish.kernel.errors import Conflict, InvalidInput


class TriggerError(InvalidInput):
    """A trigger is asked for what it cannot do."""

    code = "trigger.invalid"


class UnknownTrigger(TriggerError):
    """There is no trigger of this name."""

    code = "trigger.unknown"


class ReasonMissing(TriggerError):
    """Whoever steps in must say why: others will want to know."""

    code = "trigger.no_reason"


class HeldByWindow(Conflict):
    """A strict window is closed, and the run was asked for now or never."""

    code = "trigger.window"


class Rule(StrEnum):
    """What a decision rests on: one of the triggers, in the order of their precedence, or none."""

    OPERATOR = "operator"  # a person asked
    ACCURACY = "accuracy"  # live accuracy fell below the alert line
    URGENT = "urgent"  # so many corrections that days do not matter
    CORRECTIONS = "corrections"  # enough corrections and enough days
    DAILY = "daily"  # a nightly batch
    WAIT = "wait"  # too few corrections or days
    NOTHING = "nothing"  # nothing to learn from since the last training


FIRING: Final = frozenset(Rule) - {Rule.WAIT, Rule.NOTHING}
PAUSABLE: Final = (Rule.ACCURACY, Rule.URGENT, Rule.CORRECTIONS, Rule.DAILY)  # the others: people
WINDOWED: Final = frozenset({Rule.CORRECTIONS, Rule.DAILY})  # which wait for the window


class Hold(StrEnum):
    """Why a trigger that would fire does not: it is pending, and looked at again."""

    RUN = "run"  # a run of the model is under way
    WINDOW = "window"  # the policy's window is closed
    PAUSED = "paused"  # a person, or the policy, has paused it


class Tally(Struct, frozen=True, kw_only=True):
    """What became of the records since the last training, if a dataset were built now.

    Copies of one record are one record.
    """

    effective: int = 0  # corrections that would train
    confirmed: int = 0  # examples that correct nothing
    left_out: dict[str, int] = field(default_factory=dict)  # reason of `datasets` -> records
    places: tuple[str, ...] = ()  # where inputs lie that nobody has fetched yet; not all of many

    @property
    def records(self) -> int:
        """All records since the last training."""
        return self.effective + self.confirmed + sum(self.left_out.values())


class Trained(Struct, frozen=True, kw_only=True):
    """The last training that a decision began, however it ended."""

    at: datetime
    offsets: Offsets  # shard -> first offset that was not in it
    run: str | None = None  # which may read on in its sources; None: nobody knows any more


class Alert(Struct, frozen=True, kw_only=True):
    """Live accuracy of the release now serving fell below the alert line."""

    release: str
    generation: int
    reason: str

    @property
    def key(self) -> str:
        """Names the alert: one training answers it."""
        return f"{self.release}:{self.generation}"


class Ask(Struct, frozen=True, kw_only=True):
    """A person asks for a run."""

    actor: str
    reason: str
    at: datetime
    trace_id: str = ""
    waits: bool = True  # until it may begin; False: now or never


class Pause(Struct, frozen=True, kw_only=True):
    """A person has paused one trigger of a model."""

    trigger: Rule
    actor: str
    reason: str
    at: datetime


class Facts(Struct, frozen=True, kw_only=True):
    """Everything that a decision rests on, besides the policy and the time."""

    tally: Tally = field(default_factory=Tally)
    trained: Trained | None = None  # None: the model never was
    run: str | None = None  # the run under way
    pauses: tuple[Pause, ...] = ()
    alert: Alert | None = None
    answered: str | None = None  # key of the alert that a training has answered
    ask: Ask | None = None
    unknown: tuple[str, ...] = ()  # predictions that nobody knew yet


class Decision(Struct, frozen=True, kw_only=True):
    """Retrain now, or not, and why."""

    rule: Rule
    hold: Hold | None
    reason: str  # "87 of 100 corrections, 3 of 7 days"
    corrections: int  # effective, since the last training

    @property
    def fire(self) -> bool:
        """Whether a run begins."""
        return self.rule in FIRING and self.hold is None

    @property
    def pending(self) -> bool:
        """Whether a run would begin, but for what holds it."""
        return self.hold is not None


class DecisionEntry(Struct, frozen=True, kw_only=True):
    """A decision as it was stored: what it knew, while it held, and the run that it started."""

    id: int
    model: str
    at: datetime  # of the first look that led to it
    until: datetime  # of the last one that did, give or take
    fire: bool
    rule: Rule
    reason: str
    corrections: int
    policy_digest: str
    offsets: Offsets  # shard -> first offset that was not counted
    run: str | None
    hold: Hold | None = None
    facts: Facts | None = None  # None: stored before facts were
    noted: Noted | None = None  # how much was known of inputs; None: stored before that was

    @property
    def decision(self) -> Decision:
        """The decision itself."""
        return Decision(
            rule=self.rule, hold=self.hold, reason=self.reason, corrections=self.corrections
        )

    def repeated_by(self, decision: Decision, facts: Facts, policy_digest: str) -> bool:
        """Tell whether storing a decision after this one would say nothing but that time passed."""
        return (
            not (self.fire or decision.fire)
            and (self.rule, self.hold) == (decision.rule, decision.hold)
            and self.facts == facts
            and self.policy_digest == policy_digest
        )


class Memory(Struct, frozen=True, kw_only=True):
    """What a decision hands on to the next one."""

    trained: Trained | None = None
    answered: str | None = None
    ask: Ask | None = None

    @classmethod
    def after(
        cls,
        decision: Decision,
        facts: Facts,
        *,
        at: datetime,
        offsets: Offsets,
        run: str | None = None,
    ) -> "Memory":
        """Return what is known once a decision was made on these facts, and began this run."""
        if not decision.fire:
            waits = facts.ask is not None and facts.ask.waits
            return cls(
                trained=facts.trained,
                answered=facts.answered,
                ask=facts.ask if waits else None,
            )
        answers = facts.alert.key if facts.alert else facts.answered
        return cls(trained=Trained(at=at, offsets=offsets, run=run), answered=answers)
