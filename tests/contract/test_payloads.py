"""What is noted of sources and payloads: once, guarded, on every database."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, event

from burnish.adapters.sql.payloads import Fetched, Seen, SqlPayloads
from burnish.adapters.sql.raw_log import SqlManifest
from burnish.adapters.sql.sources import SqlSources
from burnish.datasets import contents
from burnish.datasets.contents import Noted
from burnish.datasets.model import Reason
from burnish.feedback.quarantine import Entry
from burnish.feedback.tabular import Cursor
from burnish.kernel.digest import digest
from burnish.kernel.errors import Stale
from burnish.kernel.policy import NearDuplicate
from support.databases import NOON
from support.samples import raw_object

SHARD = "sql.laundry.tasks"
LONG = "https://photos.example/" + "x" * 5000


def name(text: str) -> str:
    return digest(text.encode())


def refused(number: int) -> Entry:
    return Entry(
        id=f"q-{number}", key="quarantine/x", line=0, code="unknown_label", detail="torn",
        received_at=NOON,
    )  # fmt: skip


def test_a_page_and_its_watermark_are_one(engine: Engine) -> None:
    sources, manifest = SqlSources(engine), SqlManifest(engine)
    assert sources.standing(SHARD) == (None, 0)
    first: Cursor = ("2026-05-01 12:00:00.000001+00", "7")
    page = raw_object(0, 9, SHARD)
    sources.advance(SHARD, expected=None, to=first, entry=page, refused=[refused(1)], now=NOON)
    assert sources.standing(SHARD) == (first, 10)
    assert manifest.end() == {SHARD: 10}

    # Whoever read the same page, or another one from there, changes nothing.
    for expected, entry in ((None, page), (None, raw_object(0, 11, SHARD, key="raw/other"))):
        with pytest.raises(Stale):
            sources.advance(
                SHARD, expected=expected, to=(9, 9), entry=entry, refused=[refused(2)], now=NOON
            )
    with pytest.raises(Stale):
        sources.advance(
            SHARD, expected=first, to=(9, 9), entry=raw_object(5, 12, SHARD), refused=[], now=NOON
        )
    assert sources.standing(SHARD) == (first, 10)

    # A page without a record moves the watermark alone.
    sources.advance(SHARD, expected=first, to=(12, 1.5), entry=None, refused=[], now=NOON)
    assert sources.standing(SHARD) == ((12, 1.5), 10)


def test_of_many_that_read_one_page_one_lists_it(engine: Engine) -> None:
    sources = SqlSources(engine)

    def advance(number: int) -> bool:
        entry = raw_object(0, number, SHARD, key=f"raw/{number}")
        try:
            sources.advance(SHARD, expected=None, to=(number, 0), entry=entry, refused=[], now=NOON)
        except Stale:
            return False
        return True

    with ThreadPoolExecutor() as pool:
        assert sum(pool.map(advance, range(6))) == 1
    (place, _), end = sources.standing(SHARD)[0], sources.standing(SHARD)[1]  # type: ignore[misc]
    assert end == place + 1


def test_a_uri_stands_for_what_it_gave_first(engine: Engine) -> None:
    payloads = SqlPayloads(engine)
    missing = Fetched(uri=LONG, reason=Reason.PAYLOAD_MISSING, detail="404")
    payloads.note([missing, Fetched(uri="b", sha256=name("b"))], now=NOON)
    assert payloads.fetched([LONG, "b", "c"]) == {LONG: Reason.PAYLOAD_MISSING, "b": name("b")}
    assert payloads.failed(limit=9) == [LONG]
    before = payloads.noted()
    payloads.note([missing], now=NOON)
    assert payloads.noted() == before  # nothing new
    large = Fetched(uri=LONG, reason=Reason.PAYLOAD_TOO_LARGE)
    payloads.note([large], now=NOON)
    then = payloads.noted()
    assert payloads.failed(limit=9) == [LONG]
    payloads.note([Fetched(uri=LONG, sha256=name("a")), Fetched(uri="b", sha256="x")], now=NOON)
    payloads.note([missing], now=NOON)
    assert payloads.fetched([LONG, "b"]) == {LONG: name("a"), "b": name("b")}
    assert payloads.failed(limit=9) == []
    assert payloads.fetched([LONG], upto=Noted()) == {}
    assert payloads.fetched([LONG], upto=before) == {LONG: Reason.PAYLOAD_MISSING}
    assert payloads.fetched([LONG], upto=then) == {LONG: Reason.PAYLOAD_TOO_LARGE}


def test_the_first_content_of_the_same_pixels_stands_for_all(engine: Engine) -> None:
    payloads = SqlPayloads(engine)
    last = payloads.see([Seen(sha256="b", pixels="p"), Seen(sha256="x", pixels=None)], expected=0)
    last = payloads.see(
        [Seen(sha256="a", pixels="p"), Seen(sha256="y", pixels=None)], expected=last
    )
    no_image = {"x": Reason.PAYLOAD_UNREADABLE, "y": Reason.PAYLOAD_UNREADABLE}
    asked = ["a", "b", "x", "y", "never seen"]
    assert payloads.shown(asked, NearDuplicate.CONTENT) == {"a": "b", "b": "b", **no_image}
    assert payloads.shown(asked, NearDuplicate.OFF) == {"a": "a", "b": "b", **no_image}
    assert payloads.shown(asked, NearDuplicate.PERCEPTUAL) == no_image
    assert payloads.replaced(NearDuplicate.OFF, since=Noted()) == no_image
    with pytest.raises(Stale):
        payloads.see([Seen(sha256="c", pixels="p")], expected=last - 1)
    # Looked at more closely later, it goes on to stand for those of its pixels.
    assert payloads.unseen(["a", "b", "x"], NearDuplicate.PERCEPTUAL) == ["a", "b"]
    payloads.see([Seen(sha256="b", pixels="p", fingerprint=b"f", by_picture="b")], expected=last)
    assert payloads.shown(["a", "b"], NearDuplicate.CONTENT) == {"a": "b", "b": "b"}
    assert payloads.shown(["a", "b"], NearDuplicate.PERCEPTUAL) == {"b": "b"}
    # What was known before stays what it was.
    for upto, known in ((0, set()), (2, {"b", "x"}), (last, {"a", "b", "x", "y"})):
        then = Noted(contents=upto)
        assert payloads.shown(asked, NearDuplicate.CONTENT, upto=then).keys() == known
        assert "b" not in payloads.shown(asked, NearDuplicate.PERCEPTUAL, upto=then)
    assert payloads.unseen(["a", "b", "x"], NearDuplicate.PERCEPTUAL) == ["a"]
    found, newest = payloads.pictures(last)
    assert (found, newest > last) == ([("b", b"f")], True)
    assert payloads.pictures(newest) == ([], newest)


def test_only_what_is_asked_for_is_read_however_much_is_asked_for(engine: Engine) -> None:
    payloads = SqlPayloads(engine)
    names = [name(str(number)) for number in range(1_200)]
    payloads.see([Seen(sha256=one, pixels="p") for one in names[:600]], expected=0)
    first = payloads.shown(names[:1], NearDuplicate.CONTENT)[names[0]]
    wanted = [*names[300:], name("elsewhere")]
    rows: list[str] = []

    def count(*said: Any) -> None:
        rows.append(said[2])

    event.listen(engine, "before_cursor_execute", count)
    found = payloads.shown(wanted, NearDuplicate.CONTENT)
    event.remove(engine, "before_cursor_execute", count)
    assert found == dict.fromkeys(names[300:600], first)
    asked = [query for query in rows if "payload_contents" in query]
    assert len(asked) == 2  # of 500 names each, at most
    assert all("IN (" in query for query in asked)


@pytest.mark.parametrize("ask_upto", [0, 9])
def test_what_is_like_another_or_no_image_can_be_asked_for_alone(
    engine: Engine, ask_upto: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "ASK_UPTO", ask_upto)
    payloads = SqlPayloads(engine)
    last = payloads.see([Seen(sha256="a", pixels="p")], expected=0)
    before = payloads.noted()
    assert contents.replaced(payloads, {"a", "b"}, NearDuplicate.CONTENT) == {}
    payloads.see([Seen(sha256="b", pixels="p"), Seen(sha256="x", pixels=None)], expected=last)
    no_image = {"x": Reason.PAYLOAD_UNREADABLE}
    assert payloads.replaced(NearDuplicate.CONTENT, since=before) == {"b": "a"} | no_image
    assert payloads.replaced(NearDuplicate.OFF, since=before) == no_image
    assert payloads.replaced(NearDuplicate.CONTENT, since=payloads.noted()) == {}
    assert contents.replaced(payloads, {"a", "b"}, NearDuplicate.CONTENT) == {"b": "a"}
    assert contents.replaced(payloads, {"a", "b"}, NearDuplicate.OFF) == {}


def test_a_content_that_stands_for_another_is_known_and_one_that_was_erased_is_forgotten(
    engine: Engine,
) -> None:
    payloads = SqlPayloads(engine)
    payloads.note([Fetched(uri=LONG, reason=Reason.PAYLOAD_MISSING)], now=NOON)
    payloads.note([Fetched(uri=LONG, sha256=name("c"))], now=NOON)
    first, same, alone = name("a"), name("b"), name("c")
    seen = [Seen(sha256=one, pixels="p") for one in (first, same)]
    payloads.see([*seen, Seen(sha256=alone, pixels="q")], expected=0)
    assert payloads.represented([first, same, alone]) == {first}
    payloads.forget([alone])
    assert payloads.unseen([first, same, alone], NearDuplicate.CONTENT) == [alone]
    assert payloads.fetched([LONG]) == {}
