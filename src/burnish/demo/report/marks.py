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
MOST_ROWS: Final = 6  # a mark beyond them keeps its line, and its row in the table
NAMES: Final = {
    Kind.SWAP: "hot swap",
    Kind.ROLLBACK: "rollback",
    Kind.KILL: "process killed",
    Kind.OTHER: "event",
}


class Label(Struct, frozen=True, kw_only=True):
    """A mark with a place for its words."""

    mark: Moment
    words: str
    left: bool  # the words end at the line, for want of room to its right
    row: int


def place(marks: Sequence[Moment], x: Linear, size: Size) -> list[Label]:
    """Return a place for every mark; `marks` are in order of time."""
    spans, said = [], []
    for mark in marks:
        words = _short(mark) if size.compact else mark.label
        at, room = x(mark.at), SIGN_PX + wide(words) + APART
        left = at + room - APART > size.width
        spans.append((at - room if left else at, at if left else at + room))
        said.append((mark, words, left))
    # A label that hangs to the left begins before its line does: rows come in order of starts.
    order = sorted(range(len(spans)), key=lambda number: spans[number])
    row_of = dict(zip(order, rows([spans[number] for number in order]), strict=True))
    return [
        Label(mark=mark, words=words, left=left, row=row_of[number])
        for number, (mark, words, left) in enumerate(said)
    ]


def depth(labels: Sequence[Label]) -> float:
    """Return how high the rows of labels are, in px."""
    deepest = max((min(label.row, MOST_ROWS - 1) for label in labels), default=-1)
    return ROW * (deepest + 1) + 8


def draw_mark(label: Label, at: float, ribbon: float, floor: float) -> Iterator[Element]:
    """Draw a mark from its words, or from the ribbon if it has no room for words, to the floor."""
    kind, shown = label.mark.kind, label.row < MOST_ROWS
    middle = label.row * ROW + ROW / 2 if shown else ribbon
    line_ = line(at, middle, at, floor, f"mark {kind}")
    line_.append(el("title", f"{clock(label.mark.at)} {label.mark.label}"))
    yield line_
    if shown:
        yield _sign(kind, at, middle)
        across = at - SIGN_PX if label.left else at + SIGN_PX
        anchor = "end" if label.left else None
        yield text(across, middle + 4, label.words, f"label {kind}", anchor=anchor)


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


def _short(mark: Moment) -> str:
    """Return the last word: the version or the role that it is about."""
    return mark.label.split()[-1] if mark.label.split() else ""
