"""The picture of the whole telling: who served, how fast, and how often it was right."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from msgspec import Struct

from burnish.demo.report import buckets
from burnish.demo.report.buckets import Latencies, Share
from burnish.demo.report.marks import depth, draw_mark, legend, margin, place
from burnish.demo.report.markup import el
from burnish.demo.report.picture import (
    FULL,
    Size,
    box,
    cross,
    line,
    path,
    picture,
    sign,
    text,
    wide,
)
from burnish.demo.report.scale import Linear, Log, clock, log_ticks, ticks, time_ticks
from burnish.demo.report.tale import Moment, Reign, Tale, forced, marks, reigns
from burnish.demo.report.words import milliseconds, percent

LEFT: Final = 52.0  # px
RIBBON, GAP = 24.0, 26.0  # px: who served; between the panels
HEADROOM: Final = 1.3  # of the slowest request
MIN_RATIO: Final = 4.0  # between the ends of the latency axis
APART: Final = 8.0  # px between the words of neighbours
SHARES: Final = 48  # buckets of judged answers in a telling
LATENCY_TICKS_PX: Final = 16.0  # closer than that, labels of the latency axis would touch


class Story(Struct, frozen=True, kw_only=True):
    """What the picture shows, before it has a size; times in seconds since the beginning."""

    start: float
    end: float
    reigns: list[Reign]
    bad: list[Reign]  # the part of them that was forced
    marks: list[Moment]
    latencies: list[Latencies]
    every: float  # seconds of each of them
    slowest: list[tuple[float, float]]  # when, ms
    shares: list[Share]
    live: list[tuple[Reign, Share]]  # of each reign as a whole
    p99_ms: float


def timeline(tale: Tale) -> Element:
    """Return the picture and the key to its signs."""
    if not tale.answers:
        return el("p", "There was no background traffic.", class_="muted")
    story = _story(tale)
    failed = sum(bucket.failed for bucket in story.latencies)
    drawing = picture(
        "timeline",
        "Request latency over time, with every swap and rollback",
        f"{len(tale.answers)} background requests from {clock(story.start)} to {clock(story.end)};"
        f" {failed} failed. " + "; ".join(f"{clock(mark.at)} {mark.label}" for mark in story.marks),
        FULL,
        lambda size: _draw(story, size),
    )
    return el("div", drawing, _key(story, failed), _caution() if story.shares else None)


def _story(tale: Tale) -> Story:
    began, here = tale.began, reigns(tale)
    seen = marks(tale)
    start = min(answer.started for answer in tale.answers) - began
    end = max(answer.ended for answer in tale.answers) - began
    size = buckets.width(end - start)
    return Story(
        start=min([start, *(mark.at for mark in seen)]),
        end=max([end, *(mark.at for mark in seen)]),
        reigns=here,
        bad=[reign for reign in here if forced(tale, reign)],
        marks=seen,
        latencies=buckets.latencies(tale.answers, began, size),
        every=size,
        slowest=[
            (answer.started - began, answer.latency_s * 1000)
            for answer in buckets.slowest(tale.answers)
        ],
        shares=buckets.shares(tale.judged, began, max(size, (end - start) / SHARES)),
        live=[
            (reign, buckets.share(members, began))
            for reign in here
            if (members := [one for one in tale.judged if one.generation == reign.generation])
        ],
        p99_ms=tale.result.serving.p99_ms,
    )


def _draw(story: Story, size: Size) -> tuple[float, Iterator[Element]]:
    right = margin(story.marks, story.start, story.end, size, LEFT)
    x = Linear(story.start, story.end, LEFT, size.width - right)
    labels = place(story.marks, x, size)
    ribbon = depth(labels)
    top = ribbon + RIBBON + GAP
    bottom = top + (170.0 if size.compact else 220.0)
    floor = bottom + GAP + (90.0 if size.compact else 110.0) if story.shares else bottom

    def shapes() -> Iterator[Element]:
        for reign in story.bad:
            left = x(reign.start)
            yield box(left, ribbon, x(reign.end) - left, floor - ribbon, "bad-reign")
        for tick in time_ticks(story.start, story.end, 4 if size.compact else 10):
            yield line(x(tick), top, x(tick), floor, "grid")
            yield text(x(tick), floor + 18, clock(tick), anchor="middle")
        yield from _latency(story, x, top, bottom)
        if story.shares:
            yield from _right(story, x, bottom + GAP, floor)
        yield from _ribbon(story, x, ribbon)
        for label in labels:
            yield from draw_mark(label, x(label.mark.at), floor)

    return floor + 24, shapes()


def _latency(story: Story, x: Linear, top: float, bottom: float) -> Iterator[Element]:
    y = _latency_scale(story, top, bottom)
    last = bottom + LATENCY_TICKS_PX
    for tick in log_ticks(y.low, y.high):
        yield line(x.start, y(tick), x.end, y(tick), "grid")
        if last - y(tick) >= LATENCY_TICKS_PX:
            last = y(tick)
            yield text(LEFT - 8, y(tick) + 4, f"{tick:g}", anchor="end")
    yield text(0, top - 9, "latency, ms", "axis")
    for run in buckets.runs(story.latencies):
        middles = [(x((bucket.start + bucket.end) / 2), bucket) for bucket in run]
        upper = [(at, y(bucket.high_ms or y.low)) for at, bucket in middles]
        lower = [(at, y(bucket.low_ms or y.low)) for at, bucket in middles]
        median = [(at, y(bucket.median_ms or y.low)) for at, bucket in middles]
        yield el("path", d=path([*upper, *reversed(lower)], closed=True), class_="band")
        yield el("path", d=path(median), class_="median")
    yield line(x.start, y(story.p99_ms), x.end, y(story.p99_ms), "p99")
    words = f"p99 {milliseconds(story.p99_ms)}"
    yield text(x.end - 2, y(story.p99_ms) - 5, words, "value", anchor="end")
    for at, latency in story.slowest:
        yield el("circle", cx=x(at), cy=y(latency), r=2, class_="slow")
    for bucket in story.latencies:
        if bucket.failed:
            yield cross(x((bucket.start + bucket.end) / 2), top + 6, 4.5, "cross failed")


def _latency_scale(story: Story, top: float, bottom: float) -> Log:
    answered = [bucket for bucket in story.latencies if bucket.low_ms is not None]
    low = min((bucket.low_ms or 1.0 for bucket in answered), default=1.0) / HEADROOM
    high = max([low, *(ms for _, ms in story.slowest), *(b.high_ms or low for b in answered)])
    return Log(low, max(high * HEADROOM, low * MIN_RATIO), bottom, top)


def _right(story: Story, x: Linear, top: float, bottom: float) -> Iterator[Element]:
    """Draw how many answers were right: dots with intervals, and a step per reign."""
    y = Linear(0.0, 1.0, bottom, top)
    yield text(0, top - 9, "right answers", "axis")
    for tick in ticks(0.0, 1.0, 2):
        yield line(x.start, y(tick), x.end, y(tick), "grid")
        yield text(LEFT - 8, y(tick) + 4, percent(tick, 0), anchor="end")
    for bucket in story.shares:
        at = x((bucket.start + bucket.end) / 2)
        yield line(at, y(bucket.low), at, y(bucket.high), "whisker thin")
        yield el("circle", cx=at, cy=y(bucket.value), r=2.5, class_="share")
    for reign, mean in story.live:
        left, right = x(reign.start), x(reign.end)
        yield line(left, y(mean.value), right, y(mean.value), "mean")
        words = percent(mean.value, 0)
        if wide(words) + APART < right - left:
            yield text((left + right) / 2, bottom - 6, words, "value", anchor="middle")


def _ribbon(story: Story, x: Linear, top: float) -> Iterator[Element]:
    """Draw who served; words go where they fit."""
    for number, reign in enumerate(story.reigns):
        left, right = x(reign.start), x(reign.end)
        kind = "bad" if reign in story.bad else ("even", "odd")[number % 2]
        bar = box(left, top, max(1.0, right - left), RIBBON, f"reign {kind}")
        bar.append(el("title", f"{reign.version} from {clock(reign.start)} to {clock(reign.end)}"))
        yield bar
        if wide(reign.version) + APART < right - left:
            middle = (left + right) / 2
            yield text(middle, top + 16, reign.version, f"version {kind}", anchor="middle")
    yield text(0, top + 16, "serving", "axis")


def _caution() -> Element:
    return el(
        "p",
        "Right answers are those to the photos that arrived, and what arrives changes over time:"
        " it is the holdout above that compares one release with another.",
        class_="note",
    )


def _key(story: Story, failed: int) -> Element:
    span = "second" if story.every == 1 else f"{story.every:.0f} s"
    items = [
        (sign(line(1, 8, 21, 8, "median")), f"median of each {span}"),
        (sign(box(1, 2, 20, 12, "band")), "90% of the requests"),
        (sign(el("circle", cx=11, cy=8, r=2.5, class_="slow")), "the slowest 1%"),
    ]
    if failed:
        items.append((sign(cross(11, 8, 4.5, "cross failed")), "failed"))
    if story.shares:
        dot = el("circle", cx=11, cy=8, r=3, class_="share")
        items.append((sign(line(11, 1, 11, 15, "whisker thin"), dot), "right, 95% interval"))
        items.append((sign(line(1, 8, 21, 8, "mean")), "right, of each release"))
    items.extend(legend(story.marks))
    if story.bad:
        items.append((sign(box(1, 2, 20, 12, "bad-reign key-box")), "the forced release served"))
    return el("ul", [el("li", shape, words) for shape, words in items], class_="key")
