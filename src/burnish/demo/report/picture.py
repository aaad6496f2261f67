"""What every picture shares: its frame, its text, its sizes for screens of all widths."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from burnish.demo.report.markup import el

LETTER: Final = 6.4  # px: a wide guess at a character of 12 px type


class Size(Struct, frozen=True, kw_only=True):
    """One drawing of a picture; style sheets show the one that fits."""

    name: str  # a CSS class
    width: int  # px; drawn at about this size, so that type stays readable

    @property
    def compact(self) -> bool:
        """Whether there is room for the short words only."""
        return self.width < 500  # noqa: PLR2004


HALF: Final = (Size(name="half-s", width=360), Size(name="half-m", width=640))
FULL: Final = (
    Size(name="full-s", width=360),
    Size(name="full-m", width=700),
    Size(name="full-l", width=1100),
)


def picture(
    ident: str,
    title: str,
    description: str,
    sizes: Sequence[Size],
    draw: Callable[[Size], tuple[float, Iterable[Element]]],
) -> Element:
    """Return all the drawings of one picture; `draw` returns a height and the shapes."""
    drawings = []
    for size in sizes:
        height, shapes = draw(size)
        name = f"{ident}-{size.name}"
        drawings.append(
            el(
                "svg",
                el("title", title, id=f"{name}-t"),
                el("desc", description, id=f"{name}-d"),
                shapes,
                role="img",
                class_=f"plot {size.name}",
                viewBox=f"0 0 {size.width} {height:.0f}",
                aria_labelledby=f"{name}-t",
                aria_describedby=f"{name}-d",
            )
        )
    return el("div", drawings, class_="drawings")


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    """Return a straight line."""
    return el("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def text(x: float, y: float, words: str, class_: str = "", *, anchor: str | None = None) -> Element:
    """Return a line of text; `anchor` is middle or end, the start otherwise."""
    return el("text", words, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def cross(x: float, y: float, radius: float, class_: str) -> Element:
    """Return an x-shaped mark."""
    arm = 2 * radius
    strokes = (
        f"M{x - radius:.1f} {y - radius:.1f}l{arm:.1f} {arm:.1f}m0 {-arm:.1f}l{-arm:.1f} {arm:.1f}"
    )
    return el("path", d=strokes, class_=class_)


def box(x: float, y: float, width: float, height: float, class_: str) -> Element:
    """Return a rectangle."""
    return el("rect", x=x, y=y, width=width, height=height, class_=class_)


def sign(*shapes: Element) -> Element:
    """Return a small picture for a key, 22 by 16 px."""
    return el("svg", shapes, viewBox="0 0 22 16", class_="sign", aria_hidden="true")


def path(points: Iterable[tuple[float, float]], *, closed: bool = False) -> str:
    """Return the data of a path through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")


def wide(words: str) -> float:
    """Return about how wide a line of text is, in px."""
    return LETTER * len(words)
