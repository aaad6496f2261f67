"""Frames: what they hold is what the raw log will hold, and any wrong byte shows."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burnish.adapters.raw_object import compressed, decode
from burnish.adapters.raw_object import encode as encode_records
from burnish.adapters.spool.frames import (
    Frame,
    body_hash,
    encode,
    frame_at,
    frames,
    identity_of,
    microseconds,
    prepare,
    whole_after,
)
from burnish.feedback.model import Incoming, RawRecord

TEXT: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RECORDS: Final = st.lists(
    st.builds(
        Incoming,
        source=TEXT,
        id=TEXT,
        content_type=TEXT,
        body=TEXT.map(str.encode),
        ce=st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    min_size=1,
    max_size=5,
)
NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
MOMENTS: Final = st.timedeltas(-timedelta(days=9), timedelta(days=9)).map(NOON.__add__)


def framed(records: list[Incoming], *, first: int, received_at: datetime) -> bytes:
    prepared = [prepare(record) for record in records]
    return encode(prepared, first=first, received_us=microseconds(received_at))


def whole(data: bytes, position: int = 0) -> Frame:
    found = frame_at(data, position)
    assert found is not None
    return found[0]


@given(records=RECORDS, first=st.integers(0, 2**63), at=MOMENTS)
def test_a_frame_holds_the_lines_of_the_raw_log(
    records: list[Incoming], first: int, at: datetime
) -> None:
    frame = whole(framed(records, first=first, received_at=at))
    expected = [
        RawRecord(
            offset=offset,
            received_at=at,
            source=one.source,
            id=one.id,
            content_type=one.content_type,
            body=one.body.decode(),
            ce=dict(one.ce),
        )
        for offset, one in enumerate(records, first)
    ]
    assert frame.records() == expected
    assert frame.lines == msgspec.json.Encoder().encode_lines(expected)
    assert (frame.first, frame.end, frame.received_at) == (first, first + len(records), at)
    assert list(decode(compressed([frame.lines]))) == list(decode(encode_records(expected)))


@given(records=RECORDS, gone=st.integers(0, 4))
def test_what_lies_before_an_offset_can_be_left_out(records: list[Incoming], gone: int) -> None:
    gone = min(gone, len(records) - 1)
    frame = whole(framed(records, first=7, received_at=NOON))
    assert frame.since(7 + gone).records() == frame.records()[gone:]
    assert frame.since(7 + gone).end == frame.end


def test_any_wrong_byte_shows(incoming: Any) -> None:
    at = NOON
    one = framed([incoming(0), incoming(1)], first=0, received_at=at)
    two = framed([incoming(2)], first=2, received_at=at + timedelta(seconds=1))
    data = one + two
    assert [frame.first for frame, _ in frames(data)] == [0, 2]
    for place in range(len(one)):
        broken = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        assert frame_at(broken, 0) is None, place
        assert whole_after(broken, 0) == len(one), place
    for end in range(len(one)):
        assert frame_at(data[:end], 0) is None, end
        assert whole_after(data[:end], 0) is None, end


@pytest.mark.parametrize("zeros", [0, 1, 100])
def test_zeros_are_no_frame(zeros: int) -> None:
    assert frame_at(bytes(zeros), 0) is None


def test_hashes_are_those_of_whole_names_and_bodies() -> None:
    assert identity_of(b"ab", b"c") != identity_of(b"a", b"bc")
    assert identity_of(b"a", b"b") == identity_of(b"a", b"b")
    assert body_hash(b"a").hex() == "27c35e6e9373877f29e562464e46497e"
