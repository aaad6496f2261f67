"""The report on the refused candidate: gates, confusion, and who was right where."""

from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree.ElementTree import Element

import msgspec

from burnish.demo.report.markup import el
from burnish.demo.report.picture import box, line
from burnish.demo.report.scale import Linear
from burnish.demo.report.table import Column, badge, figure, table
from burnish.demo.report.tale import Tale
from burnish.demo.report.words import NOTHING, counted, interval, percent
from burnish.demo.result import Gate, Refused
from burnish.evaluation.model import Evaluation, GateResult, Paired, sentence

SHARES: Final = ("validation", "holdout", "better", "class ")  # gates that weigh a share of one
NAMED: Final = 24  # examples shown at once; the others unfold
TRACK: Final = Linear(0.0, 1.0, 4.0, 136.0)  # px
WHOLE: Final = 100  # from here on, a decimal says nothing


def verdict(tale: Tale) -> Element | None:
    """Return the section, or nothing if no candidate was refused.

    Raises msgspec.ValidationError if the document is no evaluation.
    """
    refused = tale.result.refused
    if refused is None:
        return None
    evaluation = None
    if tale.refused_evaluation is not None:
        evaluation = msgspec.convert(tale.refused_evaluation, Evaluation)
    return el(
        "section",
        el("h2", "The candidate that was refused", id="refused"),
        el(
            "p",
            "To see whether the gates hold, a candidate was trained on labels that had been"
            " shuffled. It learnt nothing, and this is the report that kept it out.",
            class_="muted",
        ),
        _summary(refused, evaluation),
        _gates(evaluation.gates if evaluation else refused.gates),
        _evidence(evaluation) if evaluation else None,
        _names(evaluation.newly_wrong) if evaluation else None,
        class_="card",
        aria_labelledby="refused",
    )


def _summary(refused: Refused, evaluation: Evaluation | None) -> Element:
    holdout = evaluation.holdout if evaluation else None
    spread = interval(holdout.low, holdout.high) if holdout else ""
    return el(
        "div",
        el(
            "p",
            badge(refused.verdict),
            " ",
            sentence(evaluation).rstrip(".") + "." if evaluation else None,
            class_="verdict",
        ),
        el(
            "dl",
            figure("Candidate", refused.model_version, f"run {refused.run}"),
            figure("Holdout accuracy", percent(refused.holdout_accuracy), spread),
            figure("The model serving", percent(refused.champion_accuracy), "on the same photos"),
            class_="figures",
        ),
    )


def _gates(gates: Sequence[GateResult | Gate]) -> Element:
    rows: list[list[Element | str]] = [
        [
            gate.gate,
            badge(str(gate.verdict)),
            _value(gate.gate, gate.value),
            _value(gate.gate, gate.threshold or None),  # a floor of 0 is none
            _track(gate),
            gate.reason,
        ]
        for gate in gates
    ]
    columns = [
        Column("gate", head=True),
        Column("verdict"),
        Column("value", number=True),
        Column("threshold", number=True),
        Column("0 to 100%"),
        Column("reason", prose=True),
    ]
    return table("Every gate, and what it rests on", columns, rows)


def _evidence(evaluation: Evaluation) -> Element:
    return el(
        "div",
        _confusion(evaluation.confusion),
        _paired(evaluation.paired) if evaluation.paired else None,
        class_="two",
    )


def _confusion(counts: dict[str, dict[str, int]]) -> Element:
    said = list(dict.fromkeys(name for row in counts.values() for name in row))
    rows = [
        el("tr", el("th", truth, scope="row"), [_cell(truth, name, row) for name in said])
        for truth, row in counts.items()
    ]
    head = el("tr", el("td"), [el("th", name, scope="col") for name in said])
    return el(
        "div",
        el(
            "table",
            el("caption", "Confusion matrix (truth by row)"),
            el("thead", head),
            el("tbody", rows),
            class_="confusion",
        ),
    )


def _cell(truth: str, said: str, row: dict[str, int]) -> Element:
    count, total = row.get(said, 0), sum(row.values())
    part = count / total if total else 0.0
    return el(
        "td",
        el("b", f"{count:,}"),
        el("small", percent(part, 0)),
        class_="right" if truth == said else "wrong",
        style=f"--heat:{part * 55:.0f}%",
    )


def _paired(pair: Paired) -> Element:
    both = max(1, pair.fixes + pair.breaks)
    split = 300 * pair.fixes / both
    return el(
        "div",
        el("h3", "Against the model that served, photo by photo"),
        el(
            "svg",
            box(0, 0, max(0, split - 1), 14, "fixes"),
            box(split + 1, 0, max(0, 300 - split - 1), 14, "breaks"),
            viewBox="0 0 300 14",
            class_="balance",
            preserveAspectRatio="none",
            role="img",
            aria_label=f"{pair.fixes} fixed, {pair.breaks} broken",
        ),
        el(
            "dl",
            figure("Fixes", f"{pair.fixes:,}", "wrong before, right now"),
            figure("Breaks", f"{pair.breaks:,}", "right before, wrong now"),
            figure("P(better)", percent(pair.p_better), "than the model serving"),
            class_="figures",
        ),
    )


def _names(wrong: Sequence[str]) -> Element | None:
    if not wrong:
        return None
    rest = wrong[NAMED:]
    more = el("summary", f"{counted(len(rest), 'more', 'more')}")
    return el(
        "div",
        el("h3", f"Newly wrong: {counted(len(wrong), 'photo')}"),
        _chips(wrong[:NAMED]),
        el("details", more, _chips(rest)) if rest else None,
        class_="names",
    )


def _chips(names: Iterable[str]) -> Element:
    return el("ul", [el("li", name) for name in names], class_="chips")


def _value(gate: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    if gate.startswith(SHARES):
        return percent(value)
    return f"{value:,.0f}" if value >= WHOLE else f"{value:.3g}"


def _track(gate: GateResult | Gate) -> Element | str:
    """Draw a share with its interval on a track, and the threshold as a gap to be reached."""
    if not gate.gate.startswith(SHARES) or gate.value is None or gate.threshold is None:
        return ""
    at, threshold = TRACK(gate.value), TRACK(gate.threshold)
    shapes = [line(TRACK.start, 9, TRACK.end, 9, "track")]
    if isinstance(gate, GateResult) and gate.low is not None and gate.high is not None:
        shapes.append(line(TRACK(gate.low), 9, TRACK(gate.high), 9, "spread"))
    if gate.threshold > 0:
        shapes.append(line(threshold, 1, threshold, 17, "threshold"))
    shapes.append(el("circle", cx=at, cy=9, r=4.5, class_=f"disc {gate.verdict.lower()}"))
    return el("svg", shapes, viewBox="0 0 140 18", class_="bullet", aria_hidden="true")
