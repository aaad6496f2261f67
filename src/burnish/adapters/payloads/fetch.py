"""Payloads by URI: from web servers, buckets and folders, as far as the policy allows."""

import os
import stat
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

import obstore
from msgspec import Struct
from obstore.exceptions import BaseError
from obstore.store import S3Store

from burnish.adapters.objects_s3 import Credentials
from burnish.adapters.payloads.errors import PayloadSourceDown, PayloadUnusable
from burnish.adapters.payloads.web import Web, too_large
from burnish.datasets.model import Reason
from burnish.feedback.admission import payload_allowed

if TYPE_CHECKING:
    from obstore.store import S3Config  # a type that does not exist at run time

_ATTEMPTS: Final = 3
_FIRST_WAIT_S: Final = 0.2  # doubles after each failed attempt
_NO_FILE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
_SAID: Final = 200  # characters of a store's answer


class Bucketry(Struct, frozen=True, kw_only=True):
    """How buckets are reached."""

    endpoint: str = ""
    region: str = "us-east-1"
    credentials: Credentials | None = None
    allow_http: bool = False


class PayloadFetcher:
    """Gets bytes by URI, one at a time; safe in many threads.

    Args:
        web: gets http:// and https://.
        bucketry: how s3:// is reached.
        max_bytes: of one payload.
        timeout_s: for one attempt.
        pause: waits between attempts, in seconds.
    """

    def __init__(
        self,
        web: Web,
        bucketry: Bucketry,
        *,
        max_bytes: int,
        timeout_s: float,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._web = web
        self._bucketry = bucketry
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s
        self._pause = pause
        self._buckets: dict[str, S3Store] = {}

    def fetch(self, uri: str, allow: tuple[str, ...]) -> bytes:
        """Return the bytes at a URI, tried again while its source does not answer well.

        Raises:
            PayloadUnusable: there are none that we may or can take.
            PayloadSourceDown: the source does not answer well, again and again.
        """
        if not payload_allowed(uri, allow):
            raise PayloadUnusable(
                Reason.PAYLOAD_NOT_ALLOWED, "payload.allow of the policy does not cover it"
            )
        get = {"http": self._web.get, "https": self._web.get, "s3": self._bucket,
               "file": self._file}.get(urlsplit(uri).scheme)  # fmt: skip
        if get is None:
            raise PayloadUnusable(
                Reason.PAYLOAD_NOT_ALLOWED, "workers read http, https, s3 and file URIs only"
            )
        wait = _FIRST_WAIT_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return get(uri, allow)
            except PayloadSourceDown:
                if attempt == _ATTEMPTS:
                    raise
            self._pause(wait)
            wait *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def close(self) -> None:
        """Let go of connections that are kept; it may go on all the same."""
        self._web.close()

    def _file(self, uri: str, allow: tuple[str, ...]) -> bytes:
        """Read a plain file; a link may not lead out of the allowed folder."""
        path = Path(unquote(urlsplit(uri).path))
        try:
            real = path.resolve(strict=True)
            if not any(real.is_relative_to(folder) for folder in _folders(allow, path)):
                raise PayloadUnusable(
                    Reason.PAYLOAD_NOT_ALLOWED, f"it is a link to {real}, outside payload.allow"
                )
            # A pipe would be waited for; nobody waits for a file.
            with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise PayloadUnusable(Reason.PAYLOAD_MISSING, f"{real} is no plain file")
                data = file.read(self._max_bytes + 1)
        except (*_NO_FILE, ValueError) as error:
            raise PayloadUnusable(Reason.PAYLOAD_MISSING, f"{path}: {error}") from error
        except OSError as error:
            raise PayloadSourceDown(f"{path}: {error}") from error
        if len(data) > self._max_bytes:
            raise too_large(self._max_bytes)
        return data

    def _bucket(self, uri: str, allow: tuple[str, ...]) -> bytes:
        del allow
        parts = urlsplit(uri)
        key = unquote(parts.path).lstrip("/")
        try:
            found = obstore.get(self._store(parts.netloc), key)
            if found.meta["size"] > self._max_bytes:
                raise too_large(self._max_bytes)
            return bytes(found.bytes())
        except FileNotFoundError as error:
            raise PayloadUnusable(
                Reason.PAYLOAD_MISSING, f"bucket {parts.netloc} has no {key!r}"
            ) from error
        except (BaseError, OSError, ValueError) as error:
            said = " ".join(str(error).partition("Debug source")[0].split())[:_SAID]
            raise PayloadSourceDown(f"bucket {parts.netloc}: {said}") from error

    def _store(self, bucket: str) -> S3Store:
        store = self._buckets.get(bucket)
        if store is None:
            store = S3Store(
                bucket,
                config=self._config(),
                client_options={
                    "allow_http": self._bucketry.allow_http,
                    "timeout": timedelta(seconds=self._timeout_s),
                },
                retry_config={"max_retries": 0, "retry_timeout": timedelta(0)},
            )
            self._buckets[bucket] = store
        return store

    def _config(self) -> "S3Config":
        bucketry = self._bucketry
        config: S3Config = {"region": bucketry.region}
        if bucketry.endpoint:
            config["endpoint"] = bucketry.endpoint
        if bucketry.credentials is not None:
            config["access_key_id"] = bucketry.credentials.key_id
            config["secret_access_key"] = bucketry.credentials.secret
            if bucketry.credentials.token is not None:
                config["session_token"] = bucketry.credentials.token
        return config


def _folders(allow: tuple[str, ...], path: Path) -> list[Path]:
    """Return the allowed folders that hold a path, as they really are."""
    named = [Path(unquote(urlsplit(one).path)) for one in allow if one.startswith("file://")]
    return [folder.resolve() for folder in named if path.is_relative_to(folder)]
