"""`docs/cli.md`, made from the commands themselves."""

from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.main import get_command

from burnish.cli.session import PANEL

_HEAD: Final = """\
# Command line

Every command that asks a running Burnish takes the connection options, before or after its name.
An option after the name wins over one before it, and that over the environment. Without any, the
URLs are those of `DIR/burnish.toml` and the token that of `DIR/admin.token`.

Exit codes: 0 done; 1 the platform said no, or something is not well; 2 the command line is wrong;
3 a role does not answer; 130 interrupted. With `--json` a command prints the API's JSON on standard
output, one value a line where there are several, and problem documents on standard error.
`burnish --install-completion` sets up completion for your shell.

This page is made from the code: `python -m burnish reference > docs/cli.md`.
"""
_COMMON: Final = frozenset({"--help", "--install-completion", "--show-completion"})


def reference(app: typer.Typer) -> str:
    """Return the page about every command of an application."""
    root: Any = get_command(app)
    parts = [_HEAD, "\n## Connection options\n\n", *_options(root, connection=True, variables=True)]
    for words, command in sorted(_commands(root, ("burnish",)), key=lambda found: found[0]):
        arguments = " ".join(_metavar(p) for p in command.params if _is_argument(p))
        parts.append(f"\n## {' '.join(words)}\n\n{_prose(command.help)}\n\n")
        parts.append(f"`{' '.join(words)} {arguments}".rstrip() + "`\n")
        rows = list(_options(command, connection=False, variables=False))
        parts += ["\n", *rows] if rows else []
    return "".join(parts)


def _commands(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the commands below a group that do something themselves, with their full names."""
    for name, command in group.commands.items():
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            yield from _commands(command, (*words, name))
        else:
            yield (*words, name), command


def _options(command: Any, *, connection: bool, variables: bool) -> Iterator[str]:
    """Yield the rows of a table of a command's options, its head first; nothing without rows."""
    rows = [
        _row(parameter, variables=variables)
        for parameter in command.params
        if not _COMMON.intersection(parameter.opts)
        and (getattr(parameter, "rich_help_panel", None) == PANEL) == connection
    ]
    if rows:
        yield (
            "| option | environment | meaning |\n|---|---|---|\n"
            if variables
            else ("| | meaning |\n|---|---|\n")
        )
        yield from rows


def _row(parameter: Any, *, variables: bool) -> str:
    if _is_argument(parameter):
        name = f"`{_metavar(parameter)}`"
    else:
        value = "" if parameter.is_flag else f" {_metavar(parameter)}"
        name = f"`{', '.join(parameter.opts)}{value}`"
    notes = []
    if parameter.required and not _is_argument(parameter):
        notes.append("required")
    default = parameter.default
    if isinstance(default, (str, int)) and not isinstance(default, bool) and default != "":
        notes.append(f"default: `{default}`")
    meaning = " ".join([parameter.help or "", *([f"({'; '.join(notes)})"] if notes else [])])
    cells = [name, *([f"`{parameter.envvar}`" if parameter.envvar else ""] if variables else [])]
    return "| " + " | ".join([*cells, meaning]) + " |\n"


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _metavar(parameter: Any) -> str:
    """Return what stands for a parameter's value: `[FILE...]` may be left out or repeated."""
    name = str(parameter.metavar or parameter.name.strip("_").upper())
    if not _is_argument(parameter):
        return name
    several = "..." if parameter.nargs == -1 and not name.endswith("...") else ""
    return f"{name}{several}" if parameter.required else f"[{name}{several}]"


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())
