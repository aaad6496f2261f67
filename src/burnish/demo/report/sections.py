"""The sections that tell the loop itself: figures, steps, rounds, swaps, the way back."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from burnish.demo.report.markup import el
from burnish.demo.report.scale import clock
from burnish.demo.report.table import Column, badge, figure, table
from burnish.demo.report.tale import Tale, marks
from burnish.demo.report.words import (
    NOTHING,
    counted,
    interval,
    milliseconds,
    percent,
    released,
    seconds,
    swap_us,
)
from burnish.demo.result import Result, Round


def key_figures(result: Result) -> Element:
    """Return the figures that a visitor should take home."""
    serving, turns, moved = result.serving, released(result), swap_us(result)
    rise = ""
    if len(turns) > 1:
        gain = (turns[-1].holdout_accuracy or 0.0) - (turns[0].holdout_accuracy or 0.0)
        rise = f"{gain * 100:+.1f} points since the first model"
    tiles = [
        figure("Holdout accuracy", percent(turns[-1].holdout_accuracy if turns else None), rise),
        figure(
            "Requests",
            f"{serving.requests:,}",
            f"{serving.failed:,} failed, {serving.mixed:,} with mixed models",
        ),
        figure(
            "Hot swap",
            NOTHING if moved is None else f"{moved:.1f} µs",
            f"median of {counted(len(result.swaps), 'swap')}",
        ),
        figure(
            "Latency p99",
            milliseconds(serving.p99_ms),
            f"p50 {milliseconds(serving.p50_ms)}",
        ),
        figure("p99 near a swap", milliseconds(serving.p99_swap_ms), "within 1 s of it"),
    ]
    if result.rollback is not None:
        tiles.insert(
            3, figure("Rollback", seconds(result.rollback.seconds), "decision to first old answer")
        )
    return el("dl", tiles, class_="tiles")


def faults(result: Result) -> Element | None:
    """Return what went wrong, or nothing."""
    if not result.faults:
        return None
    return el(
        "section",
        el("h2", "What went wrong", id="faults"),
        el("ul", [el("li", sentence) for sentence in result.faults]),
        class_="card faults",
        aria_labelledby="faults",
    )


def steps(result: Result) -> Element:
    """Return the telling as a list of steps."""
    return el("ol", _steps(result), class_="steps")


def rounds(result: Result) -> Element:
    """Return the table of the rounds."""
    columns = [
        Column("round", head=True),
        Column("model"),
        Column("dataset"),
        Column("corrections", number=True),
        Column("trained on", number=True),
        Column("holdout accuracy", number=True),
        Column("95% interval", number=True),
        Column("verdict"),
        Column("training", number=True),
        Column("whole loop", number=True),
    ]
    judged = max((turn.holdout_n for turn in result.rounds), default=0)
    return table(
        "The loop, round by round. The holdout is "
        f"{counted(judged, 'photo')} that no round trains on; the whole loop runs from the last"
        " correction to the first answer of the new model.",
        columns,
        [_round(turn) for turn in result.rounds],
    )


def swaps(result: Result) -> Element:
    """Return the table of the hot swaps."""
    columns = [
        Column("from"),
        Column("to", head=True),
        Column("pointer moved in", number=True),
        Column("made ready in", number=True),
    ]
    rows = [
        [
            swap.source or NOTHING,
            swap.target or NOTHING,
            NOTHING if swap.swap_us is None else f"{swap.swap_us:.1f} µs",
            seconds(swap.ready_seconds),
        ]
        for swap in result.swaps
    ]
    return el(
        "section",
        el("h2", "Hot swaps", id="swaps"),
        table(
            "Each release is loaded and warmed beside the one that serves; then one pointer moves.",
            columns,
            rows,
        )
        if rows
        else el("p", "No replica swapped a release.", class_="muted"),
        class_="card",
        aria_labelledby="swaps",
    )


def rollback(result: Result) -> Element | None:
    """Return the way back, or nothing if there was none."""
    back = result.rollback
    if back is None:
        return None
    return el(
        "section",
        el("h2", "The way back", id="rollback"),
        el(
            "p",
            el("span", back.source, class_="pill bad"),
            el("span", " rolled back to ", class_="arrow"),
            el("span", back.target, class_="pill ok"),
        ),
        el("p", back.reason) if back.reason else None,
        el(
            "dl",
            figure("Time", seconds(back.seconds), "decision to first old answer"),
            figure("Live accuracy", percent(back.accuracy), f"of {_outcomes(back.sampled)}"),
            figure("Cause", back.cause.replace("_", " ")),
            figure("Failed meanwhile", f"{back.failed:,}", "requests without an answer"),
            class_="figures",
        ),
        class_="card",
        aria_labelledby="rollback",
    )


def moments(tale: Tale) -> Element | None:
    """Return every mark of the time axis as a table to unfold."""
    rows = [[clock(mark.at), str(mark.kind), mark.label] for mark in marks(tale)]
    if not rows:
        return None
    columns = [Column("at", number=True), Column("kind"), Column("what", head=True)]
    summary = el("summary", f"The {counted(len(rows), 'mark')} as a table")
    return el(
        "details", summary, table("What happened when, in minutes and seconds", columns, rows)
    )


def _steps(result: Result) -> Iterator[Element]:
    for turn in result.rounds:
        name = f"Round {turn.round}" if turn.round else "First model"
        fed = (
            f"{counted(turn.corrections, 'correction')}, trained on {turn.train_n:,} photos"
            if turn.round
            else f"trained on {counted(turn.train_n, 'photo')}"
        )
        outcome = f"{turn.model_version or 'no model'}: {percent(turn.holdout_accuracy)}"
        took = f", serving {seconds(turn.loop_seconds)} later" if turn.loop_seconds else ""
        fate = "" if turn.promoted else f" · {turn.verdict or 'not promoted'}"
        yield _step("ok" if turn.promoted else "held", f"{name} · {outcome}{fate}", fed + took)
    if result.refused is not None:
        refused = result.refused
        yield _step(
            "bad",
            f"Shuffled labels · {refused.model_version}: {percent(refused.holdout_accuracy)}",
            f"{refused.verdict}: the gates keep it out",
        )
    if result.rollback is not None:
        back = result.rollback
        yield _step("bad", f"Forced · {back.source} serves", "an operator overrides the gates")
        yield _step(
            "ok",
            f"Rolled back · {back.target} serves again",
            f"after {_outcomes(back.sampled)}, {seconds(back.seconds)} from decision to answer",
        )


def _step(kind: str, title: str, note: str) -> Element:
    return el("li", el("b", title), el("small", note), class_=kind)


def _round(turn: Round) -> list[Element | str]:
    return [
        str(turn.round) if turn.round else "first",
        turn.model_version or NOTHING,
        turn.dataset or NOTHING,
        f"{turn.corrections:,}",
        f"{turn.train_n:,}",
        percent(turn.holdout_accuracy),
        interval(turn.holdout_low, turn.holdout_high) or NOTHING,
        badge(turn.verdict or NOTHING),
        seconds(turn.train_seconds),
        seconds(turn.loop_seconds),
    ]


def _outcomes(sampled: int) -> str:
    return counted(sampled, "sampled outcome")
