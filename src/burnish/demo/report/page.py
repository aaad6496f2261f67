"""The page: every section in order, with its style inside."""

from importlib.resources import files
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from burnish.demo.report.accuracy import accuracy
from burnish.demo.report.markup import document, el
from burnish.demo.report.sections import (
    faults,
    key_figures,
    moments,
    rollback,
    rounds,
    steps,
    swaps,
)
from burnish.demo.report.tale import Tale
from burnish.demo.report.timeline import timeline
from burnish.demo.report.verdict import verdict
from burnish.demo.report.words import headline, lede

NAME: Final = "report.html"
LOOP: Final = (  # an endless band, 24 by 24
    "M8 7c-3 0-5 2.3-5 5s2 5 5 5c4.5 0 3.5-10 8-10 3 0 5 2.3 5 5s-2 5-5 5c-4.5 0-3.5-10-8-10Z"
)


def write(directory: Path, tale: Tale) -> Path:
    """Write the report into a directory, which is made, and return the file's path.

    An earlier report there is replaced. Raises OSError if the file cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / NAME
    path.write_bytes(render(tale))
    return path


def render(tale: Tale) -> bytes:
    """Return the page as HTML in UTF-8."""
    style = (files("burnish.demo.report") / "report.css").read_text("utf-8")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"Burnish: {tale.title}"),
        el("style", style),
    )
    return document(el("html", head, el("body", _body(tale)), lang="en"))


def _body(tale: Tale) -> list[Element]:
    result = tale.result
    return [
        _header(tale),
        el(
            "main",
            faults(result),
            key_figures(result),
            el(
                "div",
                el(
                    "section",
                    el("h2", "Holdout accuracy, round by round", id="accuracy"),
                    accuracy(tale),
                    class_="card",
                    aria_labelledby="accuracy",
                ),
                el(
                    "section",
                    el("h2", "What happened", id="steps"),
                    steps(result),
                    class_="card",
                    aria_labelledby="steps",
                ),
                class_="split",
            ),
            el("section", rounds(result), class_="card", aria_label="The rounds"),
            el(
                "section",
                el("h2", "Every request, while models came and went", id="requests"),
                timeline(tale),
                moments(tale),
                class_="card",
                aria_labelledby="requests",
            ),
            verdict(tale),
            rollback(result),
            swaps(result),
        ),
        _footer(tale),
    ]


def _header(tale: Tale) -> Element:
    held = not tale.result.faults
    explained = lede(tale.result)
    return el(
        "header",
        el(
            "p",
            el("svg", el("path", d=LOOP), viewBox="0 0 24 24", aria_hidden="true", class_="logo"),
            el("b", "Burnish"),
            el("span", tale.title, class_="muted"),
            el(
                "span",
                "✓ the story held" if held else "✗ the story did not hold",
                class_="badge pass" if held else "badge fail",
            ),
            class_="brand",
        ),
        el("h1", headline(tale.result)),
        el("p", explained, class_="lede") if explained else None,
        el("p", " ".join(tale.cast), class_="muted") if tale.cast else None,
    )


def _footer(tale: Tale) -> Element:
    told = f" Told on {tale.told_at:%Y-%m-%d at %H:%M %Z}".rstrip() if tale.told_at else " Told"
    return el(
        "footer",
        el("p", "Tell it again: ", el("code", tale.command)),
        el("p", f"{told.strip()}, in {tale.result.wall_seconds:.0f} s, on a platform of its own."),
        el(
            "p",
            "Intervals are Wilson's, at 95%. Latencies are the callers' own, of steady background"
            " traffic, in this one telling.",
        ),
    )
