"""Tables and the small things that stand in them."""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from burnish.demo.report.markup import el

SIGNS: Final = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?"}  # told without colour too


class Column(Struct, frozen=True):
    """A column's heading and how its cells are set."""

    name: str
    number: bool = False
    head: bool = False  # its cells name their rows
    prose: bool = False  # its cells are sentences


def table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Element | str]]
) -> Element:
    """Return a table that scrolls by itself where the screen is narrower."""
    head = el("tr", [_cell("th", column, column.name, scope="col") for column in columns])
    body = [
        el(
            "tr",
            [
                _cell("th", column, cell, scope="row") if column.head else _cell("td", column, cell)
                for column, cell in zip(columns, row, strict=True)
            ],
        )
        for row in rows
    ]
    # The caption's words stay in sight, and wrap, while the table scrolls beneath them.
    named = el("caption", el("span", caption))
    whole = el("table", named, el("thead", head), el("tbody", body))
    # A region that scrolls must be reachable by keyboard, and then it needs a name.
    return el("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def badge(verdict: str) -> Element:
    """Return a verdict with its sign."""
    kind = verdict.lower() if verdict in SIGNS else "plain"
    sign = SIGNS.get(verdict, "")
    return el("span", f"{sign} {verdict}".strip(), class_=f"badge {kind}")


def figure(name: str, value: str | Element, note: str = "") -> Element:
    """Return a key figure for a description list."""
    return el(
        "div",
        el("dt", name),
        el("dd", el("span", value, class_="big"), el("small", note) if note else None),
    )


def _cell(tag: str, column: Column, child: Element | str, scope: str | None = None) -> Element:
    return el(
        tag, child, scope=scope, class_="n" if column.number else "prose" if column.prose else None
    )
