"""Given a tale, when its report is written, then it is whole, safe, and stands alone."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from burnish.demo.answers import Answer, ServingSummary
from burnish.demo.report import Judged, Kind, Moment, Tale, write
from burnish.demo.report.page import render
from burnish.demo.report.tale import marks, reigns
from burnish.demo.result import Gate, Refused, Result, Rollback, Round, Swap

VOID = {"meta", "link", "br", "img", "hr", "input"}
EVIL = "<script>alert('x')</script>\"&<b>"
LONG = 60.0  # seconds of a told tale


class Page(HTMLParser):
    """What a browser would make of it: elements, their attributes, and the text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self._open: list[str] = []
        self.feed(page.decode())
        assert not self._open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said += data if not self._open or self._open[-1] != "style" else ""

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def classed(self, name: str) -> list[dict[str, str | None]]:
        return [found for _, found in self.elements if name in (found.get("class") or "").split()]


def turn(number: int, accuracy: float, *, promoted: bool = True) -> Round:
    return Round(
        round=number,
        model_version=f"1.{number}.0",
        dataset=f"laundry@{number + 1}",
        corrections=number * 10,
        train_n=100,
        holdout_accuracy=accuracy,
        holdout_n=240,
        verdict="PASS" if promoted else "INCONCLUSIVE",
        train_seconds=4.0,
        loop_seconds=9.0 if promoted else None,
        promoted=promoted,
        holdout_low=accuracy - 0.05,
        holdout_high=accuracy + 0.05,
    )


def answer(number: int, generation: int, version: str, *, status: int = 200) -> Answer:
    return Answer(
        photo=f"{number}.jpg",
        started=1000 + number / 20,
        latency_s=0.01 + number % 50 / 1000,
        status=status,
        generation=generation if status == 200 else 0,
        model_version=version if status == 200 else "",
    )


def evaluation() -> dict[str, Any]:
    gate = {"threshold": 0.5, "low": 0.36, "high": 0.48, "n": 240}
    return {
        "id": "e1",
        "run": "r1",
        "model": "laundry",
        "candidate": "1.2.0",
        "champion": "1.1.0",
        "verdict": "FAIL",
        "gates": [
            {"gate": "holdout", "verdict": "FAIL", "value": 0.42, "reason": "101 of 240", **gate},
            {"gate": "better", "verdict": "FAIL", "value": 0.0, "reason": "breaks 110", **gate},
        ],
        "holdout": {
            "n": 240,
            "accuracy": 0.42,
            "low": 0.36,
            "high": 0.48,
            "champion_accuracy": 0.84,
        },
        "paired": {"fixes": 9, "breaks": 110, "p_better": 0.0},
        "confusion": {"good": {"good": 50, "defect": 70}, "defect": {"good": 69, "defect": 51}},
        "newly_right": ["a.jpg"],
        "newly_wrong": [f"holdout-{number:03}.jpg" for number in range(110)],
        "created_at": "2026-11-21T12:00:00Z",
    }


@pytest.fixture
def plain() -> Tale:
    """Nothing was refused and nothing was rolled back."""
    return Tale(
        title="Defects in garments",
        cast=("The photos are synthetic.",),
        result=Result(
            rounds=[turn(0, 0.70), turn(1, 0.84)],
            serving=ServingSummary(
                requests=1400, failed=0, mixed=0, p50_ms=12, p99_ms=48, p99_swap_ms=51
            ),
            swaps=[Swap(source="1.0.0", target="1.1.0", swap_us=3.0, ready_seconds=0.4)],
            wall_seconds=LONG,
        ),
        answers=[
            answer(number, *((1, "1.0.0") if number < 400 else (2, "1.1.0")))
            for number in range(800)
        ],
        began=990.0,
    )


@pytest.fixture
def whole(plain: Tale) -> Tale:
    """A candidate was refused, forced and rolled back, under chaos."""
    later = [
        answer(number, *((3, "1.2.0") if number < 1000 else (4, "1.1.0")))
        for number in range(800, 1200)
    ]
    return replace(
        plain,
        result=replace(
            plain.result,
            refused=Refused(
                run="r1",
                model_version="1.2.0",
                verdict="FAIL",
                holdout_accuracy=0.42,
                champion_accuracy=0.84,
                gates=[Gate(gate="better", verdict="FAIL", value=0.0, threshold=0.5)],
                report="e1",
            ),
            rollback=Rollback(
                cause="live_accuracy",
                seconds=0.31,
                failed=0,
                source="1.2.0",
                target="1.1.0",
                reason="18 of 43 sampled answers were right",
                sampled=43,
                accuracy=18 / 43,
            ),
        ),
        answers=[*plain.answers, *later],
        moments=tuple(
            Moment(at=1000 + number * 2, kind=Kind.KILL, label="worker killed")
            for number in range(25)
        ),
        judged=[
            Judged(at=1000 + i / 10, right=i % 3 > 0, generation=1 + i // 200) for i in range(600)
        ],
        refused_evaluation=evaluation(),
    )


def test_a_report_replaces_the_one_before_it_in_a_directory_that_it_makes(
    tmp_path: Path, plain: Tale
) -> None:
    path = write(tmp_path / "new" / "out", plain)
    assert path == tmp_path / "new" / "out" / "report.html"
    write(path.parent, replace(plain, title="Another"))
    assert "Another" in path.read_text("utf-8")
    assert list(path.parent.iterdir()) == [path]


def test_a_page_needs_nothing_from_outside_and_runs_nothing(whole: Tale) -> None:
    page = render(whole)
    read = Page(page)
    assert not re.search(rb"https?:|url\(|@import|//", page)
    assert not {"script", "img", "link", "iframe", "object"} & {name for name, _ in read.elements}
    assert not any("src" in found or "href" in found for _, found in read.elements)
    assert not any(name.startswith("on") for _, found in read.elements for name in found)


def test_a_page_is_light_enough_to_send_around(whole: Tale) -> None:
    many = [answer(number % 24000, 1, "1.0.0") for number in range(24000)]
    assert len(render(replace(whole, answers=many))) < 400_000


def test_every_picture_has_a_title_and_a_description_of_its_own(whole: Tale) -> None:
    read = Page(render(whole))
    plots = read.classed("plot")
    assert len(plots) == 5, "two widths of one, three of the other"
    ids = [found["id"] for _, found in read.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for plot in plots:
        assert plot["role"] == "img"
        assert plot["aria-labelledby"] in ids
        assert plot["aria-describedby"] in ids


def test_every_table_has_a_caption_and_every_heading_a_scope(whole: Tale) -> None:
    read = Page(render(whole))
    assert len(read.named("caption")) == len(read.named("table")) > 3
    assert all(heading.get("scope") in {"row", "col"} for heading in read.named("th"))


def test_the_headline_of_a_story_that_held_is_its_rise(whole: Tale) -> None:
    read = Page(render(whole))
    assert "From 70.0% to 84.0% right in one round of corrections" in read.said
    assert "the story held" in read.said
    assert not read.classed("faults")


def test_a_tale_without_refusal_and_rollback_has_no_section_on_them(plain: Tale) -> None:
    said = Page(render(plain)).said
    assert "The candidate that was refused" not in said
    assert "The way back" not in said
    assert "rolled back automatically" not in said


def test_the_refused_report_shows_gates_confusion_and_names(whole: Tale) -> None:
    read = Page(render(whole))
    for words in ("0 of 2 gates passed", "101 of 240", "Newly wrong: 110 photos", "86 more"):
        assert words in read.said
    assert len(read.classed("right")) == len(read.classed("wrong")) == 2
    assert "holdout-109.jpg" in read.said


def test_a_refusal_without_its_evaluation_still_shows_its_gates(whole: Tale) -> None:
    said = Page(render(replace(whole, refused_evaluation=None))).said
    assert "The candidate that was refused" in said
    assert "Confusion" not in said


def test_a_document_that_is_no_evaluation_is_an_error(whole: Tale) -> None:
    with pytest.raises(msgspec.ValidationError):
        render(replace(whole, refused_evaluation={"id": "e1"}))


def test_the_way_back_is_told_with_its_figures(whole: Tale) -> None:
    said = Page(render(whole)).said
    for words in ("1.2.0 rolled back to 1.1.0", "0.31 s", "41.9%", "43 sampled outcomes"):
        assert words in said


def test_failed_requests_are_marked_and_the_fault_is_said(whole: Tale) -> None:
    failed = replace(
        whole,
        answers=[*whole.answers, answer(1201, 0, "", status=503)],
        result=replace(whole.result, serving=replace(whole.result.serving, failed=1)),
    )
    read = Page(render(failed))
    assert len(read.classed("failed")) == 4, "one in each width and one in the key"
    assert read.classed("faults")
    assert "the story did not hold" in read.said


def test_a_round_that_was_held_has_another_sign_than_one_promoted(plain: Tale) -> None:
    rounds = [*plain.result.rounds, turn(2, 0.80, promoted=False)]
    read = Page(render(replace(plain, result=replace(plain.result, rounds=rounds))))
    assert "judged, not promoted" in read.said
    assert len([disc for disc in read.classed("disc") if "held" in (disc["class"] or "")]) == 3


def test_a_tale_in_which_nothing_came_about_is_told_too(plain: Tale) -> None:
    nothing = replace(turn(0, 0.5), model_version=None, holdout_accuracy=None, verdict=None)
    nothing = replace(nothing, holdout_low=None, holdout_high=None, promoted=False)
    result = replace(plain.result, rounds=[nothing], swaps=[])
    said = Page(render(replace(plain, result=result, answers=[]))).said
    for words in ("No candidate was judged", "no background traffic", "No replica swapped"):
        assert words in said


def test_a_tale_whose_every_request_failed_is_told_too(plain: Tale) -> None:
    answers = [answer(number, 0, "", status=0) for number in range(50)]
    assert reigns(replace(plain, answers=answers)) == []
    assert Page(render(replace(plain, answers=answers))).classed("failed")


def test_a_version_that_comes_back_is_marked_as_a_rollback(whole: Tale) -> None:
    assert [(reign.version, reign.returned) for reign in reigns(whole)] == [
        ("1.0.0", False),
        ("1.1.0", False),
        ("1.2.0", False),
        ("1.1.0", True),
    ]
    changes = [(mark.kind, mark.label) for mark in marks(whole) if mark.kind is not Kind.KILL]
    assert changes == [
        (Kind.SWAP, "swap to 1.1.0"),
        (Kind.SWAP, "swap to 1.2.0"),
        (Kind.ROLLBACK, "rollback to 1.1.0"),
    ]


def test_a_change_that_a_moment_tells_of_is_marked_once(whole: Tale) -> None:
    told = Moment(at=1040.3, kind=Kind.SWAP, label="operator forces 1.2.0")
    labels = [mark.label for mark in marks(replace(whole, moments=(told,)))]
    assert labels == ["swap to 1.1.0", "operator forces 1.2.0", "rollback to 1.1.0"]


def test_what_looks_like_markup_is_text_wherever_it_comes_from(whole: Tale) -> None:
    result = whole.result
    assert result.refused is not None
    assert result.rollback is not None
    report = evaluation()
    report["newly_wrong"] = [EVIL]
    report["gates"][0]["reason"] = report["gates"][1]["gate"] = EVIL
    report["confusion"] = {EVIL: {EVIL: 3}}
    hostile = replace(
        whole,
        title=EVIL,
        cast=(EVIL,),
        command=EVIL,
        moments=(Moment(at=1003, kind=Kind.OTHER, label=EVIL),),
        answers=[replace(one, model_version=EVIL) for one in whole.answers],
        result=replace(
            result,
            rounds=[replace(turn(0, 0.5), model_version=EVIL, dataset=EVIL, verdict=EVIL)],
            swaps=[Swap(source=EVIL, target=EVIL)],
            refused=replace(result.refused, model_version=EVIL, verdict=EVIL, run=EVIL),
            rollback=replace(result.rollback, cause=EVIL, reason=EVIL, source=EVIL, target=EVIL),
        ),
        refused_evaluation=report,
    )
    read = Page(render(hostile))
    assert not read.named("script")
    assert EVIL in read.said


@settings(max_examples=30, deadline=None)
@given(text=st.text())
def test_any_text_leaves_the_page_well_formed(text: str) -> None:
    result = Result(
        rounds=[replace(turn(0, 0.5), model_version=text)],
        serving=ServingSummary(requests=0, failed=0, mixed=0, p50_ms=1, p99_ms=1, p99_swap_ms=None),
        swaps=[],
        wall_seconds=1,
    )
    moment = Moment(at=1.0, kind=Kind.OTHER, label=text)
    tale = Tale(title=text, cast=(text,), result=result, answers=[answer(0, 1, text)])
    read = Page(render(replace(tale, moments=(moment,))))
    assert not {"script", "img"} & {name for name, _ in read.elements}
