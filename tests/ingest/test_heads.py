"""Heads are remembered by their very bytes, a bounded number of them, and only plain ones."""

import pytest

from burnish.ingest.heads import Head, Heads

LINE = b"POST /v1/feedback HTTP/1.1\r\n"


def head(*headers: tuple[bytes, bytes], keep_alive: bool = True) -> Head:
    return Head("POST", b"/v1/feedback", list(headers), keep_alive=keep_alive)


def request(body: bytes, *lines: bytes) -> bytes:
    return LINE + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def test_what_was_learned_is_found_before_another_body_of_its_length() -> None:
    heads, one = Heads(), head((b"content-length", b"3"))
    heads.learn(request(b"one", b"content-length: 3"), one)
    assert heads.find(request(b"two", b"content-length: 3")) == (one, b"two")


@pytest.mark.parametrize(
    "data",
    [
        request(b"three", b"content-length: 3"),
        request(b"12", b"content-length: 3"),
        request(b"two", b"content-length:  3"),
        request(b"two", b"Content-Length: 3"),
        request(b"two", b"content-length: 3", b"x: y"),
        request(b"two", b"content-length: 3")[:20],
        b"",
    ],
)
def test_anything_else_is_for_the_parser(data: bytes) -> None:
    heads = Heads()
    heads.learn(request(b"one", b"content-length: 3"), head((b"content-length", b"3")))
    assert heads.find(data) is None


@pytest.mark.parametrize(
    ("name", "value", "keep_alive"),
    [
        (b"expect", b"100-continue", True),
        (b"transfer-encoding", b"chunked", True),
        (b"upgrade", b"h2c", True),
        (b"connection", b"close", False),
        (b"x", b"y" * 3000, True),
    ],
)
def test_a_head_that_asks_for_more_than_an_answer_or_is_long_is_not_learned(
    name: bytes, value: bytes, *, keep_alive: bool
) -> None:
    heads = Heads()
    data = request(b"", name + b": " + value)
    heads.learn(data, head((name, value), keep_alive=keep_alive))
    assert heads.find(data) is None


def test_a_request_that_did_not_come_by_itself_teaches_nothing() -> None:
    heads = Heads()
    data = request(b"one", b"content-length: 3")
    heads.learn(data + data, head((b"content-length", b"3")))
    assert heads.find(data) is None


def test_heads_that_never_come_again_do_not_pile_up() -> None:
    heads = Heads()
    for number in range(10_000):
        heads.learn(request(b"", b"x: %d" % number), head((b"x", b"%d" % number)))
    known = [
        number
        for number in range(10_000)
        if heads.find(request(b"", b"x: %d" % number)) is not None
    ]
    assert 0 < len(known) <= 256
    assert 9_999 in known


def test_of_two_headers_of_a_name_the_first_counts() -> None:
    assert head((b"a", b"1"), (b"a", b"2")).header(b"a") == "1"
