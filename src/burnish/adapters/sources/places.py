"""Where the databases of SQL sources are: by name, so that no policy, log or error holds a secret.

`BURNISH_SOURCE_<NAME>` in the worker's environment, else the line `name = "URL"` of a file.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from burnish.kernel.errors import InvalidInput, Unavailable

VARIABLE: Final = "BURNISH_SOURCE_"
_SAID: Final = 300  # characters of a database's words that fit in a log line
_HIDDEN: Final = "***"


class SourceFailed(Unavailable):
    """A source does not answer, or not with what its policy promises; nothing is built from it."""

    code = "source.failed"


class SourceMisfit(InvalidInput):
    """A source is set up in a way that no later attempt can mend."""

    code = "source.misfit"


class Places:
    """The URLs of the databases, by name.

    Args:
        file: TOML, a line for each: `shop = "postgresql://…"`; need not exist.
        environ: this process's environment unless given.
    """

    def __init__(self, file: Path, environ: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._environ = os.environ if environ is None else environ

    def url(self, database: str) -> str:
        """Return the URL of a database. Raises SourceMisfit without quoting one."""
        variable = VARIABLE + database.upper().replace("-", "_")
        url = self._environ.get(variable) or self._in_file(database)
        if not isinstance(url, str) or not url.startswith(
            ("postgresql://", "postgres://", "sqlite:///")
        ):
            raise SourceMisfit(
                f"The worker does not know the database {database!r}: set {variable}, or {database}"
                f" in {self._file}, to sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
                database=database,
            )
        return url

    def _in_file(self, database: str) -> object:
        try:
            return tomllib.loads(self._file.read_text(encoding="utf-8")).get(database)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise SourceMisfit(
                f"{self._file} cannot be read ({type(error).__name__}): make it TOML, a line"
                ' NAME = "URL" for each database.'
            ) from None  # a parser's error may quote the secret


def said(error: Exception, url: str) -> str:
    """Return what a database said, in one line, without the secrets of its URL.

    >>> said(OSError("no pg_hba entry for ann:s3cret"), "postgresql://ann:s3cret@db/shop")
    'no pg_hba entry for ann:***'
    """
    text = " ".join(str(error).split())
    for secret in _secrets(url):
        text = text.replace(secret, _HIDDEN)
    return text[:_SAID]


def _secrets(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        password = parts.password or ""
    except ValueError:
        return [url]
    query = [pair.partition("=")[2] for pair in parts.query.split("&") if "password" in pair]
    raw = [url, password, *query]
    return sorted({one for text in raw for one in (text, unquote(text)) if one}, key=len)[::-1]
