"""The object store as a local directory, synced, with signed URLs that the control plane serves."""

import hashlib
import hmac
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Protocol
from urllib.parse import quote, urlencode

from burnish.adapters.crash import crash_point
from burnish.adapters.files import TEMPORARY, make_folder, sync_folder, synced_temporary
from burnish.adapters.maps import Maps
from burnish.kernel.clock import Clock
from burnish.kernel.digest import Part
from burnish.kernel.errors import Forbidden, InvalidInput
from burnish.kernel.objects import ObjectConflict, ObjectNotFound, Objects

_SEGMENT: Final = re.compile(r"[A-Za-z0-9_=@+][A-Za-z0-9._=@+-]*", re.ASCII)
_MAX_KEY: Final = 1024  # characters, as S3 has it


class BadKey(InvalidInput):
    """The key is no path of plain names; it might lead out of the store."""

    code = "object.bad_key"


class BadSignature(Forbidden):
    """The URL was not signed by us for this method and key, or its time has passed."""

    code = "object.bad_signature"


class SignedObjects(Objects, Protocol):
    """A store, and the check of those of its URLs that the control plane serves."""

    def verify(self, key: str, *, method: str, expires: int, signature: str) -> None:
        """Raise BadSignature unless `presign` gave exactly this, and its time has not passed."""
        ...


def checked_key(key: str) -> list[str]:
    """Return the names in a key. Raises BadKey."""
    names = key.split("/")
    if len(key) > _MAX_KEY or not all(_SEGMENT.fullmatch(name) for name in names):
        raise BadKey.of("key", key[:_MAX_KEY], "join plain names by /, as in raw/a-1.zst")
    return names


@dataclass(frozen=True)
class Folder:
    """Objects below a folder, only to be read; it travels to other processes, without secrets."""

    root: Path

    def get(self, key: str) -> bytes:
        """Return the bytes. Raises ObjectNotFound."""
        try:
            return self.path(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound.of("object", key) from None

    def path(self, key: str) -> Path:
        """Return where an object lies. Raises BadKey."""
        return self.root.joinpath(*checked_key(key))


class LocalObjects:
    """Objects as files below a folder.

    Args:
        root: the folder.
        base_url: of the control plane, which serves `/v1/objects/{key}`.
        secret: signs the URLs.
        clock: tells when a URL's time has passed.
    """

    def __init__(self, root: Path, *, base_url: str, secret: bytes, clock: Clock) -> None:
        self.folder = Folder(root)
        self._base_url = base_url.rstrip("/")
        self._secret = secret
        self._clock = clock
        self._maps = Maps()
        make_folder(root)

    def put(self, key: str, *parts: Part) -> None:
        """Store the bytes. The same bytes again are a no-op; others raise ObjectConflict."""
        path = self._path(key)
        make_folder(path.parent)
        folder = key.partition("/")[0]
        with synced_temporary(path.parent, *parts) as temporary:
            crash_point(f"object.before:{folder}")
            try:
                os.link(temporary, path)
            except FileExistsError:
                if not _same(path, b"".join(parts)):
                    raise ObjectConflict(f"{key!r} is taken by other bytes.", key=key) from None
        sync_folder(path.parent)  # also for one who found it there: its maker may not be done
        crash_point(f"object.after:{folder}")

    def get(self, key: str) -> bytes:
        """Return the bytes. Raises ObjectNotFound."""
        return self.folder.get(key)

    def map(self, key: str) -> memoryview:
        """Return the bytes, read as they are looked at. Raises ObjectNotFound."""
        try:
            return self._maps.open(self._path(key))
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectNotFound.of("object", key) from None

    def exists(self, key: str) -> bool:
        """Tell whether the key is taken."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Take the bytes away for good, if they are there."""
        path = self._path(key)
        self._maps.forget(path)
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            sync_folder(path.parent)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a folder such as `raw/`, sorted."""
        folder = prefix.rstrip("/")
        yield from _walk(self._path(folder) if folder else self.folder.root, prefix=folder)

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: timedelta) -> str:
        """Return a URL that lets its bearer do this one thing for so long, without a key."""
        self._path(key)
        expires = int((self._clock() + lifetime).timestamp())
        query = urlencode(
            {"method": method, "expires": expires, "signature": self._sign(method, key, expires)}
        )
        return f"{self._base_url}/v1/objects/{quote(key)}?{query}"

    def verify(self, key: str, *, method: str, expires: int, signature: str) -> None:
        """Raise BadSignature unless `presign` gave exactly this, and its time has not passed."""
        if not hmac.compare_digest(
            self._sign(method, key, expires).encode(), signature.encode(errors="replace")
        ):
            raise BadSignature("The signature does not fit: ask for a new URL.", key=key)
        if self._clock().timestamp() >= expires:
            raise BadSignature("The URL has expired: ask for a new one.", key=key)

    def _sign(self, method: str, key: str, expires: int) -> str:
        message = f"{method}\n{key}\n{expires}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()

    def _path(self, key: str) -> Path:
        return self.folder.path(key)


def _same(path: Path, data: bytes) -> bool:
    return path.stat().st_size == len(data) and path.read_bytes() == data


def _walk(folder: Path, *, prefix: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            # A folder sorts as its keys do: "a/b" comes after "a-1" but before "a0".
            entries = sorted((one.name + "/" * one.is_dir(), one.path) for one in found)
    except (FileNotFoundError, NotADirectoryError):
        return
    for name, path in entries:
        key = f"{prefix}/{name}" if prefix else name
        if name.endswith("/"):
            yield from _walk(Path(path), prefix=key.rstrip("/"))
        elif not name.startswith(TEMPORARY):
            yield key
