"""Live accuracy: what people's verdicts say about the answers of one release."""

from math import exp
from typing import Final

from msgspec import Struct

from burnish.kernel.ids import ReleaseId
from burnish.kernel.policy import MonitorPolicy
from burnish.kernel.stats import wilson
from burnish.monitoring.sequential import log_wealth
from burnish.releases.model import Release, ReleaseState

ROLLBACK_ALPHA: Final = 0.01  # of the releases at or above the line, at most so many are taken back
ALERT_ALPHA: Final = 0.05  # an alert costs a look, so it may be wrong more often
_LARGEST: Final = 1e9  # wealth beyond it says nothing more, and JSON knows no infinity


class Tally(Struct, frozen=True, kw_only=True):
    """The answers of one release in one generation, counted.

    An outcome is an answer that somebody judged; its newest verdict counts. It belongs to the
    sample if any verdict on it came of a random draw, whoever else judged it too.
    """

    predictions: int  # answers given
    right: int = 0  # outcomes, whatever led to them
    wrong: int = 0
    sampled_right: int = 0  # those of them that were drawn at random
    sampled_wrong: int = 0

    @property
    def outcomes(self) -> int:
        """Answers that somebody judged."""
        return self.right + self.wrong

    @property
    def sampled(self) -> int:
        """Answers that were drawn at random and judged."""
        return self.sampled_right + self.sampled_wrong


class Evidence(Struct, frozen=True, kw_only=True):
    """How strongly the outcomes speak against "at least `line` of the answers are right".

    Two bets run side by side, each with half of the allowed error. One sees only the random sample,
    of which every answer was as likely a part as any other. The other sees all answers, and takes
    those that nobody judged for right: it holds whatever leads people to report what they report.
    """

    line: float  # 0: no line is set
    sampled: float  # wealth of either bet; 1 at the start
    reported: float
    needed: float  # wealth that decides
    crossed: bool  # it did, with enough outcomes


class Live(Struct, frozen=True, kw_only=True):
    """How one release does, or did, in its newest generation."""

    release: ReleaseId
    model_version: str
    state: ReleaseState
    generation: int
    predictions: int
    outcomes: int
    coverage: float  # outcomes / predictions
    right: int
    sampled: int
    accuracy: float | None  # of the random sample: unbiased; None before its first outcome
    low: float | None  # its 95 % interval
    high: float | None
    at_most: float | None  # share of answers that nobody has called wrong: a bound, no estimate
    alert: Evidence
    rollback: Evidence


def weigh(tally: Tally, line: float, *, alpha: float, min_outcomes: int) -> Evidence:
    """Weigh what is known of a release against a line.

    >>> tally = Tally(predictions=900, right=20, wrong=30, sampled_right=20, sampled_wrong=30)
    >>> weigh(tally, 0.8, alpha=0.01, min_outcomes=20).crossed
    True
    >>> tally = Tally(predictions=900, right=0, wrong=50)  # people report errors, and only those
    >>> weigh(tally, 0.8, alpha=0.01, min_outcomes=20).crossed
    False
    """
    needed = 2 / alpha
    if line == 0:
        return Evidence(line=line, sampled=1, reported=1, needed=needed, crossed=False)
    # The log is written behind the answers: what was judged was given, though its row may be late.
    unjudged = max(0, tally.predictions - tally.outcomes)
    sampled = _wealth(tally.sampled_right, tally.sampled_wrong, line)
    reported = _wealth(tally.right + unjudged, tally.wrong, line)
    crossed = (sampled >= needed and tally.sampled >= min_outcomes) or (
        reported >= needed and tally.outcomes >= min_outcomes
    )
    return Evidence(line=line, sampled=sampled, reported=reported, needed=needed, crossed=crossed)


def live(release: Release, tally: Tally, policy: MonitorPolicy) -> Live:
    """Return how a release does under a policy; it must have been promoted."""
    if release.generation is None:
        raise ValueError(f"release {release.id} was never promoted: it has answered nobody")
    low, high = wilson(tally.sampled_right, tally.sampled) if tally.sampled else (None, None)
    given = max(tally.predictions, tally.outcomes)
    return Live(
        release=release.id,
        model_version=release.model_version,
        state=release.state,
        generation=release.generation,
        predictions=tally.predictions,
        outcomes=tally.outcomes,
        coverage=tally.outcomes / given if given else 0.0,
        right=tally.right,
        sampled=tally.sampled,
        accuracy=tally.sampled_right / tally.sampled if tally.sampled else None,
        low=low,
        high=high,
        at_most=1 - tally.wrong / given if given else None,
        alert=weigh(tally, policy.alert, alpha=ALERT_ALPHA, min_outcomes=policy.min_outcomes),
        rollback=weigh(
            tally, policy.rollback, alpha=ROLLBACK_ALPHA, min_outcomes=policy.min_outcomes
        ),
    )


def sentence(found: Live, evidence: Evidence) -> str:
    """Return what speaks against a release, as a person would say it."""
    if evidence.sampled >= evidence.reported:
        share = f"{found.accuracy or 0:.3f} of {found.sampled} answers drawn at random are right"
    else:
        wrong = found.outcomes - found.right
        share = f"{wrong} of {found.predictions} answers were called wrong"
    odds = max(evidence.sampled, evidence.reported)
    return f"{share}: below {evidence.line:g} by odds of {odds:.0f} to 1"


def _wealth(right: int, wrong: int, line: float) -> float:
    return min(_LARGEST, exp(min(float(log_wealth(right, wrong, line=line)), 100.0)))
