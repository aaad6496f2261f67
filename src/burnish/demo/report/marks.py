"""The marks on the time axis: a line, a sign and a few words each, none over another."""

from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from burnish.demo.report.markup import el
from burnish.demo.report.picture import Size, box, cross, line, sign, text, wide
from burnish.demo.report.scale import Linear, clock, rows
from burnish.demo.report.tale import Kind, Moment

ROW: Final = 17.0  # px
SIGN_PX: Final = 9.0  # from the line to the words
APART: Final = 10.0  # px between words
LEAST: Final = 12.0  # px of margin
LONG, SHORT = 28, 12  # characters of a label
MOST_ROWS: Final = 6  # with words; marks beyond them share one more row, as signs alone
KILL_ROWS: Final = 2
NAMES: Final = {
    Kind.SWAP: "hot swap",
    Kind.ROLLBACK: "rollback",
    Kind.KILL: "process killed",
    Kind.OTHER: "event",
}


class Label(Struct, frozen=True, kw_only=True):
    """A mark with a place for its words."""

    mark: Moment
    words: str  # "" if there is no room for any
    row: int


def words(mark: Moment, size: Size) -> str:
    """Return as much of a mark's label as there is room for.

    A kill is told by its sign. A narrow picture has room for the last of the other words: the
    version or the role that they are about.
    """
    said = [word for word in mark.label.split() if mark.kind is not Kind.KILL or word != "killed"]
    if not said:
        return ""
    return _cut(said[-1], SHORT) if size.compact else _cut(" ".join(said), LONG)


def margin(marks: Sequence[Moment], start: float, end: float, size: Size, left: float) -> float:
    """Return how much must stay free on the right for the last words to fit, in px."""
    across = size.width - left
    shares = [((mark.at - start) / (end - start or 1.0), _room(mark, size)) for mark in marks]
    needed = [across - (across - room) / share for share, room in shares if share > 0]
    return max([LEAST, *needed])


def place(marks: Sequence[Moment], x: Linear, size: Size) -> list[Label]:
    """Return a place for every mark; `marks` are in order of time.

    Kills have rows of their own beneath the others: there may be dozens, and what they did or did
    not do to a swap is the story.
    """
    kills = [mark for mark in marks if mark.kind is Kind.KILL]
    others = [mark for mark in marks if mark.kind is not Kind.KILL]
    upper = _place(others, x, size, first=0, most=MOST_ROWS)
    return upper + _place(kills, x, size, first=_height(upper), most=KILL_ROWS)


def depth(labels: Sequence[Label]) -> float:
    """Return how high the rows of labels are, in px."""
    return ROW * _height(labels) + 8


def draw_mark(label: Label, at: float, floor: float) -> Iterator[Element]:
    """Draw a mark from its sign and words down to the floor."""
    kind, middle = label.mark.kind, label.row * ROW + ROW / 2
    line_ = line(at, middle, at, floor, f"mark {kind}")
    line_.append(el("title", f"{clock(label.mark.at)} {label.mark.label}"))
    yield line_
    yield _sign(kind, at, middle)
    if label.words:
        yield text(at + SIGN_PX, middle + 4, label.words, f"label {kind}")


def legend(marks: Sequence[Moment]) -> list[tuple[Element, str]]:
    """Return the sign and the name of every kind that there is."""
    kinds = {mark.kind for mark in marks}
    return [
        (sign(line(11, 0, 11, 16, f"mark {kind}"), _sign(kind, 11, 8)), name)
        for kind, name in NAMES.items()
        if kind in kinds
    ]


def _sign(kind: Kind, x: float, y: float) -> Element:
    """Return a shape of its own for each kind, so that none needs its colour."""
    match kind:
        case Kind.SWAP:
            return el("path", d=f"M{x - 3:.1f} {y - 5:.1f}l8 5l-8 5Z", class_="sign-swap")
        case Kind.ROLLBACK:
            return el("path", d=f"M{x + 3:.1f} {y - 5:.1f}l-8 5l8 5Z", class_="sign-rollback")
        case Kind.KILL:
            return cross(x, y, 4, "cross kill")
        case Kind.OTHER:
            return box(x - 3.5, y - 3.5, 7, 7, "sign-other")


def _place(marks: Sequence[Moment], x: Linear, size: Size, *, first: int, most: int) -> list[Label]:
    spans = [(x(mark.at), x(mark.at) + _room(mark, size)) for mark in marks]
    return [
        Label(
            mark=mark,
            words=words(mark, size) if row < most else "",
            row=first + min(row, most),
        )
        for mark, row in zip(marks, rows(spans), strict=True)
    ]


def _height(labels: Sequence[Label]) -> int:
    return max((label.row + 1 for label in labels), default=0)


def _room(mark: Moment, size: Size) -> float:
    return SIGN_PX + wide(words(mark, size)) + APART


def _cut(text_: str, most: int) -> str:
    return text_ if len(text_) <= most else text_[: most - 1] + "…"
