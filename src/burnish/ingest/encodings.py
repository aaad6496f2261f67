"""Compressed bodies, expanded piece by piece: a small one must not become a large surprise."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import zstandard

from burnish.kernel.errors import InvalidInput, Unreadable

# Four bytes of zstd become 128 KiB at most (a block of one repeated byte): a slice, 8 MiB.
_ZSTD_SLICE: Final = 256
_ZSTD_WINDOW_BYTES: Final = 8 << 20  # what a sender of HTTP content may ask for (RFC 9659)
_PIECE_BYTES: Final = 256 << 10  # of expanded gzip
_GZIP: Final = 16 + zlib.MAX_WBITS

Expand = Callable[[bytes], Iterator[bytes]]


class UnknownEncoding(InvalidInput):
    """The body is compressed in a way that this server does not read."""

    code = "request.encoding"


def expander(encoding: str) -> Expand | None:
    """Return what expands a `Content-Encoding`, None if the body is as it is.

    Raises UnknownEncoding, naming those that are read.
    """
    name = encoding.strip().lower()
    if name in {"", "identity"}:
        return None
    if name not in EXPANDERS:
        raise UnknownEncoding.of(
            "content-encoding", name[:80], f"send one of {ACCEPTED}, or the body as it is"
        )
    return EXPANDERS[name]


def _gzip(data: bytes) -> Iterator[bytes]:
    while data:  # one member after another, as `cat a.gz b.gz` makes them
        member = zlib.decompressobj(_GZIP)
        while not member.eof:
            try:
                piece = member.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise _broken("gzip", str(error)) from error
            data = member.unconsumed_tail
            if not piece and not data and not member.eof:
                raise _broken("gzip", "it ends too early")
            yield piece
        data = member.unused_data


def _zstd(data: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    view = memoryview(data)
    position = 0
    while position < len(view):  # one frame after another
        frame = decompressor.decompressobj()
        while not frame.eof:
            if position >= len(view):
                raise _broken("zstd", "it ends too early")
            try:
                piece = frame.decompress(view[position : position + _ZSTD_SLICE])
            except zstandard.ZstdError as error:
                raise _broken("zstd", str(error)) from error
            position = min(position + _ZSTD_SLICE, len(view))
            yield piece
        position -= len(frame.unused_data)


def _broken(encoding: str, problem: str) -> Unreadable:
    return Unreadable(f"The body is no {encoding}: {problem}.", encoding=encoding)


EXPANDERS: Final[Mapping[str, Expand]] = {"gzip": _gzip, "x-gzip": _gzip, "zstd": _zstd}
ACCEPTED: Final = "gzip, zstd"
