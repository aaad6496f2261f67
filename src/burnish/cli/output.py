"""What commands print: tables for people, the API's own JSON for programs."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH: Final = 1_000  # columns where no terminal sets them: nothing is cut for a pipe
_NOTHING: Final = "-"
_GOOD: Final = frozenset({"SUCCEEDED", "ACTIVE", "PASS", "READY", "ok"})
_BAD: Final = frozenset({"FAILED", "FAIL", "REJECTED", "WITHDRAWN", "CANCELLED"})

Column = tuple[str, Callable[[Mapping[str, Any]], Any]]


class Output:
    """Standard output for results, standard error for everything said about them."""

    def __init__(self, *, as_json: bool) -> None:
        """Choose between JSON and tables."""
        self.as_json = as_json
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        self.console = Console(width=width, highlight=False)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def give(self, value: Any, render: Callable[[], RenderableType]) -> None:
        """Print a result: its JSON as the API gave it, or what `render` makes of it."""
        if self.as_json:
            self.line(value)
            return
        rendered = render()
        if isinstance(rendered, str):
            self.text(rendered)  # it may hold names from elsewhere: brackets in it are no markup
        else:
            self.console.print(rendered)

    def line(self, value: Any) -> None:
        """Print one JSON value on a line of its own."""
        sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def text(self, text: str) -> None:
        """Print one line of a result for a person, however long."""
        self.console.print(safe(text), markup=False, soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        """Tell a person something beside the result."""
        self.errors.print(safe(text), style=style, markup=False)

    def refuse(self, code: str, detail: str, document: Mapping[str, Any]) -> None:
        """Tell why nothing was done."""
        if self.as_json:
            sys.stderr.write(json.dumps(dict(document), ensure_ascii=False) + "\n")
        else:
            self.errors.print(Text.assemble((f"✗ {code}", "bold red"), f"  {safe(detail)}"))


def table(items: Iterable[Mapping[str, Any]], columns: Sequence[Column], none: str) -> Any:
    """Return a table of things, or the sentence `none` if there is none."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name, _ in columns:
        grid.add_column(name, overflow="fold")
    for item in items:
        grid.add_row(*(cell(value(item)) for _, value in columns))
    return grid if grid.row_count else Text(none, style="dim")


def facts(pairs: Iterable[tuple[str, Any]]) -> Table:
    """Return one thing as a list of its facts."""
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(name, cell(value))
    return grid


def cell(value: Any) -> Text:
    """Return a value as a person reads it, coloured if it is a state."""
    text = plain(value)
    style = "green" if text in _GOOD else "red" if text in _BAD else ""
    return Text(text, style=style)


def plain(value: Any) -> str:
    """Return a JSON value as a short text.

    >>> plain({"good": 3, "defect": 4}), plain(0.123456), plain(None)
    ('good 3, defect 4', '0.1235', '-')
    """
    if value is None or value in ("", [], {}):
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{safe(str(name))} {plain(part)}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(plain(part) for part in value)
    return safe(str(value))


def moment(text: str | None) -> str:
    """Return an RFC 3339 time without its fractions of a second.

    >>> moment("2026-05-01T10:00:03.123456Z")
    '2026-05-01 10:00:03Z'
    """
    if not text:
        return _NOTHING
    zone = "Z" if text.endswith(("Z", "+00:00")) else ""
    return text[:19].replace("T", " ") + zone


def safe(text: str, *, keep: str = "\n\t") -> str:
    r"""Return a text that came from elsewhere without what could steer a terminal.

    Where a line stands for one thing, `keep` nothing: a line end would forge another.

    >>> safe("a\x1b[2Jb"), safe("a\nb", keep="")
    ('a�[2Jb', 'a�b')
    """
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(character) == "Cc" and character not in keep
        else character
        for character in text
    )
