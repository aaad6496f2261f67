"""The picture of the rounds: holdout accuracy with its interval, and the candidate refused."""

from collections.abc import Iterator
from typing import Any, Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from burnish.demo.report.markup import el
from burnish.demo.report.picture import HALF, Size, cross, line, path, picture, sign, text
from burnish.demo.report.scale import Linear, ticks
from burnish.demo.report.tale import Tale
from burnish.demo.report.words import NOTHING, interval, percent

MARGIN: Final = 0.03  # accuracy left free above and below
TOP, LEFT, RIGHT, FOOT = 14.0, 46.0, 14.0, 46.0  # px around the plot
TICKS: Final = 7


class Point(Struct, frozen=True, kw_only=True):
    """One candidate's place in the picture."""

    name: str  # of its round
    version: str
    value: float
    low: float
    high: float
    state: str  # promoted, held or refused

    @property
    def said(self) -> str:
        """The point in words."""
        return (
            f"{self.name} ({self.version}): {percent(self.value)},"
            f" 95% interval {interval(self.low, self.high)}, {self.state}"
        )


def points(tale: Tale) -> list[Point]:
    """Return every candidate that was judged, in order; the refused one is last."""
    found = [
        Point(
            name=f"round {turn.round}" if turn.round else "first",
            version=turn.model_version or NOTHING,
            value=turn.holdout_accuracy,
            low=turn.holdout_accuracy if turn.holdout_low is None else turn.holdout_low,
            high=turn.holdout_accuracy if turn.holdout_high is None else turn.holdout_high,
            state="promoted" if turn.promoted else "held",
        )
        for turn in tale.result.rounds
        if turn.holdout_accuracy is not None
    ]
    refused = tale.result.refused
    if refused is not None and refused.holdout_accuracy is not None:
        holdout: dict[str, Any] = (tale.refused_evaluation or {}).get("holdout") or {}
        found.append(
            Point(
                name="shuffled",
                version=refused.model_version,
                value=refused.holdout_accuracy,
                low=holdout.get("low", refused.holdout_accuracy),
                high=holdout.get("high", refused.holdout_accuracy),
                state="refused",
            )
        )
    return found


def accuracy(tale: Tale) -> Element:
    """Return the picture and the key to its signs."""
    shown = points(tale)
    if not shown:
        return el("p", "No candidate was judged.", class_="muted")
    drawing = picture(
        "accuracy",
        "Holdout accuracy by round",
        "; ".join(point.said for point in shown) + ".",
        HALF,
        lambda size: _draw(shown, size),
    )
    states = {point.state for point in shown}
    signs = [_legend(state) for state in ("promoted", "held", "refused") if state in states]
    whisker = el("li", sign(line(11, 2, 11, 14, "whisker")), "95% interval")
    return el("div", drawing, el("ul", signs, whisker, class_="key"))


def _draw(shown: list[Point], size: Size) -> tuple[float, Iterator[Element]]:
    height = 270.0 if size.compact else 350.0
    low = max(0.0, min(point.low for point in shown) - MARGIN)
    high = min(1.0, max(point.high for point in shown) + MARGIN)
    return height, _shapes(
        shown,
        Linear(-0.5, len(shown) - 0.5, LEFT, size.width - RIGHT),
        Linear(low, high, height - FOOT, TOP),
        size,
    )


def _shapes(shown: list[Point], x: Linear, y: Linear, size: Size) -> Iterator[Element]:
    for tick in ticks(y.low, y.high, TICKS):
        yield line(LEFT, y(tick), size.width - RIGHT, y(tick), "grid")
        yield text(LEFT - 8, y(tick) + 4, percent(tick, 0), anchor="end")
    places = [(x(number), y(point.value)) for number, point in enumerate(shown)]
    ladder = [
        place for place, point in zip(places, shown, strict=True) if point.state == "promoted"
    ]
    if len(ladder) > 1:
        yield el("path", d=path(ladder), class_="ladder")
    if shown[-1].state == "refused" and len(shown) > 1:
        border = x(len(shown) - 1.5)
        yield line(border, TOP, border, y.start, "border")
    for (across, down), point in zip(places, shown, strict=True):
        yield line(across, y(point.low), across, y(point.high), f"whisker {point.state}")
        for end in (point.low, point.high):
            yield line(across - 5, y(end), across + 5, y(end), f"whisker {point.state}")
        yield from _mark(across, down, point.state)
        name = point.name.removeprefix("round ") if size.compact else point.name
        yield text(across, y.start + 20, name, "name", anchor="middle")
        yield text(across, y.start + 36, point.version, anchor="middle")
        # Beside the mark, where neither whisker nor ladder runs.
        yield text(across + 9, down + 16, percent(point.value), "value")


def _mark(x: float, y: float, state: str) -> Iterator[Element]:
    """Draw a state so that it is told without its colour: disc, ring or cross."""
    if state == "refused":
        yield cross(x, y, 6, "cross refused")
    else:
        yield el("circle", cx=x, cy=y, r=6, class_=f"disc {state}")


def _legend(state: str) -> Element:
    words = {
        "promoted": "promoted",
        "held": "judged, not promoted",
        "refused": "refused: trained on shuffled labels",
    }
    return el("li", sign(*_mark(11, 8, state)), words[state])
