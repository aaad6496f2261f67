"""The two secrets of a data directory: the key that signs, and the first administrator's token."""

import re
import secrets
from pathlib import Path
from typing import Final

from msgspec import Struct

from burnish.adapters.files import sync_folder, synced_temporary
from burnish.kernel.errors import InvalidInput

KEY_FILE: Final = "secret.key"
TOKEN_FILE: Final = "admin.token"  # noqa: S105
_KEY_BYTES = 32  # as many as HMAC-SHA256 has
_TOKEN = re.compile(r"bn_[A-Za-z0-9_-]{43}")  # 43 url-safe characters carry 32 bytes


class Secrets(Struct, frozen=True, kw_only=True):
    """What a data directory keeps to itself."""

    key: bytes  # 32 bytes; signs tokens, presigned URLs and the published directory
    admin_token: str
    token_is_new: bool  # made just now: to be printed, once

    def __repr__(self) -> str:
        """Keep secrets out of logs and tracebacks."""
        return f"Secrets(token_is_new={self.token_is_new})"


class SecretUnreadable(InvalidInput):
    """A secret's file holds something that cannot be one."""

    code = "secret.unreadable"


def ensure_secrets(data_dir: Path) -> Secrets:
    """Return the secrets of a data directory, made durably now if they are not there yet.

    Processes may race: all of them see the same secrets, and exactly one sees a new token.
    Raises SecretUnreadable if a file holds something else.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    _create(data_dir / KEY_FILE, secrets.token_hex(_KEY_BYTES))
    token_is_new = _create(data_dir / TOKEN_FILE, "bn_" + secrets.token_urlsafe(_KEY_BYTES))
    return Secrets(
        key=_read_key(data_dir / KEY_FILE),
        admin_token=_read_token(data_dir / TOKEN_FILE),
        token_is_new=token_is_new,
    )


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretUnreadable(
            f"{path} does not hold {_KEY_BYTES} bytes in hex: restore it from a backup, or delete "
            "it to start anew, which ends every token signed with it."
        )
    return key


def _read_token(path: Path) -> str:
    token = path.read_text(encoding="utf-8").strip()
    if _TOKEN.fullmatch(token) is None:
        raise SecretUnreadable(
            f"{path} does not hold a token (bn_ and 43 characters): delete it to get a new one."
        )
    return token


def _create(path: Path, text: str) -> bool:
    """Write a secret unless there is one; tell whether it was written.

    The name is linked only once the bytes are on disk, so that no reader meets half a secret.
    Its file is the owner's alone, as temporary files are.
    """
    if path.exists():
        return False
    with synced_temporary(path.parent, f"{text}\n".encode()) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
    sync_folder(path.parent)
    return True
