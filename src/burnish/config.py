"""The settings: one frozen value, from defaults < file < environment < flags. Only we read it.

File: DIR/burnish.toml, one table a section. Environment: BURNISH_<SECTION>__<KEY>. Flags: what the
command line names outright, or `--set section.key=value`.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from burnish.kernel.errors import InvalidInput
from burnish.settings import PREFIX, Settings, catalogue, sections

FILE_NAME: Final = "burnish.toml"
DATA_VARIABLE: Final = "BURNISH_DATA"
DEFAULT_DATA: Final = Path("burnish-data")
_WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class SettingsError(InvalidInput):
    """A setting is unknown, or holds what it must not; says which, where it came from, the fix."""

    code = "settings.invalid"


def load(
    data: Path | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of a data directory, which need not exist yet.

    `data` is the flag; without it BURNISH_DATA counts, then ./burnish-data. `flags` maps keys such
    as `ingest.port` to texts. `environ` is this process's environment unless given. Raises
    SettingsError naming the key, where it came from, and the fix.
    """
    environ = os.environ if environ is None else environ
    directory = (data or Path(environ.get(DATA_VARIABLE) or DEFAULT_DATA)).expanduser().absolute()
    values: dict[str, Any] = {}
    for origin, strict, layer in (
        (str(directory / FILE_NAME), True, _from_file(directory / FILE_NAME)),
        ("the environment", False, _from_environment(environ)),
        ("the command line", False, dict(flags or {})),
    ):
        values |= _checked(layer, origin=origin, strict=strict)
    return _assemble(directory, values)


def environment(settings: Settings) -> dict[str, str]:
    """Return the variables that give another process these very settings."""
    variables = {DATA_VARIABLE: str(settings.data)}
    for setting in catalogue():
        section, _, name = setting.key.partition(".")
        value = getattr(getattr(settings, section), name)
        variables[setting.variable] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def process_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for a process of ours: that of this one, with these very settings."""
    return {**os.environ, **environment(settings)}


def reachable(host: str) -> str:
    """Return the host of a URL by which this machine reaches what listens on an address.

    >>> reachable("0.0.0.0"), reachable("::1")
    ('127.0.0.1', '[::1]')
    """
    host = _WILDCARD_HOSTS.get(host, host)
    return f"[{host}]" if ":" in host else host


def _from_file(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}.") from error
    return dict(_flatten(tables))


def _flatten(tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, table in tables.items():
        if isinstance(table, dict):
            yield from ((f"{section}.{name}", value) for name, value in table.items())
        else:
            yield section, table


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).replace("__", ".", 1).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and "__" in name
    }


def _checked(layer: Mapping[str, Any], *, origin: str, strict: bool) -> dict[str, Any]:
    known = {setting.key: setting for setting in catalogue()}
    checked = {}
    for key, value in layer.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
            hint = f"did you mean {' or '.join(near)}?" if near else "see docs/settings.md."
            raise SettingsError(f"There is no setting {key!r} (in {origin}): {hint}", key=key)
        try:
            checked[key] = msgspec.convert(value, known[key].type, strict=strict)
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"{key} is {value!r} (in {origin}): {error}. {known[key].help}", key=key
            ) from error
    return checked


def _assemble(directory: Path, values: dict[str, Any]) -> Settings:
    built: dict[str, Any] = {}
    for section, struct in sections().items():
        given = {
            item.name: values.get(f"{section}.{item.name}", item.default)
            for item in msgspec.structs.fields(struct)
        }
        host = str(given.get("host", ""))
        places = {
            "{data}": str(directory),
            "{host}": reachable(host),
            "{port}": str(given.get("port", "")),
        }
        built[section] = struct(**{name: _fill(value, places) for name, value in given.items()})
    settings = Settings(data=directory, **built)
    _check(settings)
    return settings


def _fill(value: object, places: Mapping[str, str]) -> object:
    if isinstance(value, str):
        for place, text in places.items():
            value = value.replace(place, text)
    return value


def _check(settings: Settings) -> None:
    """Check what no single setting can know."""
    ingest = settings.ingest
    if ingest.spool_low_water_bytes > ingest.spool_high_water_bytes:
        raise SettingsError.of(
            "ingest.spool_low_water_bytes",
            ingest.spool_low_water_bytes,
            f"give at most ingest.spool_high_water_bytes ({ingest.spool_high_water_bytes})",
        )
    if ingest.max_record_bytes > ingest.max_batch_bytes:
        raise SettingsError.of(
            "ingest.max_record_bytes",
            ingest.max_record_bytes,
            f"give at most ingest.max_batch_bytes ({ingest.max_batch_bytes})",
        )
