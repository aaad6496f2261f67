"""The object store as a bucket of S3, or of whatever speaks its protocol."""

import configparser
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit

import obstore
from msgspec import Struct
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from burnish.adapters.objects import BadSignature, checked_key
from burnish.kernel.digest import Part
from burnish.kernel.errors import InvalidInput, Unavailable
from burnish.kernel.objects import ObjectConflict, ObjectNotFound

if TYPE_CHECKING:
    from obstore.store import S3Config  # a type that does not exist at run time

LONGEST_URL: Final = timedelta(days=7)  # signature version 4 knows no longer one
_CONNECT: Final = timedelta(seconds=5)
_RETRIES: Final = 3  # of one call: who must not fail tries again by itself, without end
_RETRY_FIRST: Final = timedelta(milliseconds=100)
_RETRY_CAP: Final = timedelta(seconds=2)
_SAID: Final = 300  # characters of a store's answer that fit in a log line
_NO_BUCKET: Final = "NoSuchBucket"
# What no later attempt can mend.
_REFUSALS: Final = (_NO_BUCKET, "InvalidBucketName", "403 Forbidden", "401 Unauthorized")
_Failure: Final = (BaseError, OSError, ValueError)  # all that obstore raises


class StoreUnavailable(Unavailable):
    """The bucket does not answer, or refuses us; nothing is known of what was asked."""

    code = "object.store_unavailable"


class StoreRefused(InvalidInput):
    """The bucket answers, and will never let us in as we are set up."""

    code = "object.store_refused"


class Credentials(Struct, frozen=True, kw_only=True):
    """An access key."""

    key_id: str
    secret: str
    token: str | None = None  # of a temporary key

    def __repr__(self) -> str:
        """Keep secrets out of logs and tracebacks."""
        return f"Credentials(key_id={self.key_id!r})"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the section [default] of a file in the form of AWS's. Raises InvalidInput."""
        parser = configparser.ConfigParser(interpolation=None, default_section="")
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
            section = parser["default"]
            return cls(
                key_id=section["aws_access_key_id"],
                secret=section["aws_secret_access_key"],
                token=section.get("aws_session_token"),
            )
        except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
            raise InvalidInput.of(
                "objects.credentials_file",
                str(path),
                "write [default], aws_access_key_id = … and aws_secret_access_key = … in it "
                f"({type(error).__name__})",
            ) from None  # a parser's error may quote the secret


class S3Objects:
    """Objects in a bucket, created only if their key is free.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`.
        endpoint: of the server; empty for AWS.
        region: of the bucket.
        credentials: None to take what the machine offers: AWS_* variables, or its role.
        allow_http: lets data and signatures travel unencrypted.
        timeout_s: for one request, from connecting to the last byte.
    """

    def __init__(
        self,
        url: str,
        *,
        endpoint: str = "",
        region: str,
        credentials: Credentials | None = None,
        allow_http: bool = False,
        timeout_s: float,
    ) -> None:
        parts = urlsplit(url)
        self._url = url
        self._store = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=_config(endpoint, region, credentials),
            client_options={
                "allow_http": allow_http,
                "connect_timeout": min(_CONNECT, timedelta(seconds=timeout_s)),
                "timeout": timedelta(seconds=timeout_s),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=timeout_s),
                "backoff": {"init_backoff": _RETRY_FIRST, "max_backoff": _RETRY_CAP, "base": 2},
            },
        )

    def reach(self) -> None:
        """Look whether the bucket lets us in.

        Raises:
            StoreRefused: it does not, and will not.
            StoreUnavailable: it does not answer now.
        """
        try:
            next(iter(obstore.list(self._store, chunk_size=1)), None)
        except _Failure as error:
            said = _said(error)
            if any(one in said for one in _REFUSALS):
                raise StoreRefused.of(
                    "objects.url", self._url, f"check bucket, region and credentials: {said}"
                ) from error
            raise StoreUnavailable(f"{self._url} does not answer: {said}") from error

    def put(self, key: str, *parts: Part) -> None:
        """Store the bytes. The same bytes again are a no-op; others raise ObjectConflict."""
        checked_key(key)
        data = b"".join(parts)
        try:
            # In one request: a multipart upload cannot be made conditional.
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            if not self._holds(key, data):
                raise ObjectConflict(f"{key!r} is taken by other bytes.", key=key) from error
        except _Failure as error:
            raise self._failed("put", key, error) from error

    def get(self, key: str) -> bytes:
        """Return the bytes. Raises ObjectNotFound, StoreUnavailable."""
        checked_key(key)
        try:
            return bytes(obstore.get(self._store, key).bytes())
        except _Failure as error:
            raise self._failed("get", key, error) from error

    def exists(self, key: str) -> bool:
        """Tell whether the key is taken. Raises StoreUnavailable."""
        checked_key(key)
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        except _Failure as error:
            raise self._failed("head", key, error) from error
        return True

    def delete(self, key: str) -> None:
        """Take the bytes away for good, if they are there. Raises StoreUnavailable.

        A bucket that keeps old versions keeps them until its own rules let go of them.
        """
        checked_key(key)
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except _Failure as error:
            raise self._failed("delete", key, error) from error

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys below a folder such as `raw/`, sorted. Raises StoreUnavailable."""
        folder = prefix.rstrip("/")
        try:
            found = [
                one["path"]
                for chunk in obstore.list(self._store, folder or None, chunk_size=1000)
                for one in chunk
            ]
        except _Failure as error:
            raise self._failed("list", prefix, error) from error
        yield from sorted(found)  # not every server sorts as S3 does

    def presign(self, key: str, method: Literal["GET", "PUT"], lifetime: timedelta) -> str:
        """Return a URL that lets its bearer do this one thing for so long, without a key.

        It ends earlier if the credentials that signed it do.
        """
        checked_key(key)
        if lifetime > LONGEST_URL:
            raise InvalidInput.of(
                "lifetime", str(lifetime), f"S3 signs URLs for {LONGEST_URL.days} days at most"
            )
        try:
            return obstore.sign(self._store, method, key, lifetime)
        except _Failure as error:
            raise self._failed("sign", key, error) from error

    def verify(self, key: str, *, method: str, expires: int, signature: str) -> None:
        """Raise BadSignature: the bucket itself serves, and checks, the URLs that we presign."""
        del method, expires, signature
        raise BadSignature("Objects lie in a bucket here: ask for its own URL.", key=key)

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            found = obstore.get(self._store, key)
            return found.meta["size"] == len(data) and bytes(found.bytes()) == data
        except FileNotFoundError:
            return False  # a server that keeps files has a folder of this name
        except _Failure as error:
            raise self._failed("compare", key, error) from error

    def _failed(self, what: str, key: str, error: Exception) -> Exception:
        said = _said(error)
        if isinstance(error, FileNotFoundError) and what == "get" and _NO_BUCKET not in said:
            return ObjectNotFound.of("object", key)
        return StoreUnavailable(f"The object store did not {what} {key!r}: {said}", key=key)


def _config(endpoint: str, region: str, credentials: Credentials | None) -> "S3Config":
    config: S3Config = {"region": region, "conditional_put": "etag"}
    if endpoint:
        config["endpoint"] = endpoint
    if credentials is not None:
        config["access_key_id"] = credentials.key_id
        config["secret_access_key"] = credentials.secret
        if credentials.token is not None:
            config["session_token"] = credentials.token
    return config


def _said(error: Exception) -> str:
    """Return what a store answered, in one line."""
    return " ".join(str(error).partition("Debug source")[0].split())[:_SAID]
