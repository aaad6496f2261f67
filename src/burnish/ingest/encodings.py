"""Compressed bodies, expanded piece by piece: a small one must not become a large surprise."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import zstandard

from burnish.kernel.errors import InvalidInput, Unreadable

# Four bytes of zstd become 128 KiB at most (a block of one repeated byte): a slice, 8 MiB.
_SLICE: Final = 256
_MOST_FRAMES: Final = 10_000  # in a body; each costs something, also one that holds nothing
_ZSTD_WINDOW_BYTES: Final = 8 << 20  # what a sender of HTTP content may ask for (RFC 9659)
_GZIP: Final = 16 + zlib.MAX_WBITS

Expand = Callable[[bytes], Iterator[bytes]]


class _Frame(Protocol):
    """What expands one frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview, /) -> bytes: ...


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
    return _frames("gzip", data, lambda: zlib.decompressobj(_GZIP), zlib.error)


def _zstd(data: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    return _frames("zstd", data, decompressor.decompressobj, zstandard.ZstdError)


def _frames(
    encoding: str, data: bytes, begin: Callable[[], _Frame], broken: type[Exception]
) -> Iterator[bytes]:
    """Yield what frames hold that follow one another, as `cat a.gz b.gz` makes them."""
    view = memoryview(data)
    position = 0
    for _ in range(_MOST_FRAMES):
        frame = begin()
        while not frame.eof:
            if position >= len(view):
                raise _broken(encoding, "it ends too early")
            try:
                piece = frame.decompress(view[position : position + _SLICE])
            except broken as error:
                raise _broken(encoding, str(error)) from error
            position = min(position + _SLICE, len(view))
            yield piece
        position -= len(frame.unused_data)
        if position >= len(view):
            return
    raise _broken(encoding, f"it has more than {_MOST_FRAMES:,} frames")


def _broken(encoding: str, problem: str) -> Unreadable:
    return Unreadable(f"The body is no {encoding}: {problem}.", encoding=encoding)


EXPANDERS: Final[Mapping[str, Expand]] = {"gzip": _gzip, "x-gzip": _gzip, "zstd": _zstd}
ACCEPTED: Final = "gzip, zstd"
