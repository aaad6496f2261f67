"""The files of a new data directory, commented from the code itself, and the settings reference."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from burnish.config import FILE_NAME, SettingsError
from burnish.kernel.policy import Kind, ModelPolicy, parse_policy
from burnish.settings import Setting, catalogue, sections

# What a policy's keys mean, for the person who edits the file; a test checks that none is missing.
POLICY_HELP: Final[dict[str, str]] = {
    "trigger": "When to retrain. Counts are effective corrections since the last training.",
    "trigger.min_corrections": "Train at so many corrections, if min_days have passed too.",
    "trigger.min_days": "Days between two trainings; urgent corrections do not wait for them.",
    "trigger.urgent_corrections": "Train at once at so many corrections.",
    "trigger.paused": "true: decide, but never train by itself.",
    "dataset": "How corrections become examples.",
    "dataset.validation": "Share of the examples that choose between trained models.",
    "dataset.holdout": "Examples that no training sees, on which releases are judged.",
    "dataset.holdout_source": "If set, exactly the records of this source are the holdout.",
    "dataset.look_budget": "Evaluations on one holdout before another is drawn; 0: any number.",
    "dataset.actor_share": "Largest share of the corrections that count from one person; 1: all.",
    "dataset.reviewers": "People whose later verdict settles a contradiction.",
    "dataset.near_duplicate": "What counts once: same bytes (off), pixels (content), photo.",
    "payload": "Which inputs a correction may name.",
    "payload.allow": "URI prefixes beside our own store; others are quarantined.",
    "capture": "Which served inputs are kept, so that corrections need not carry them.",
    "capture.sample": "Share of the inputs that is kept.",
    "capture.days": "Days that they are kept.",
    "feedback": "What a correction must bring along.",
    "feedback.window_days": "Days in which a prediction may be corrected.",
    "feedback.require_prediction": "true: only corrections of our own predictions count.",
    "train": "Which trainer, and what it may cost.",
    "train.trainer": "Name of the trainer.",
    "train.path": "fast: a new head on a frozen backbone.",
    "train.max_retries": "Attempts after the first one has failed.",
    "train.max_train_time": "Longest training: a number and s, m, h or d.",
    "gates": "What a candidate must reach to be released; 0 switches a gate off.",
    "gates.validation": "Least accuracy on the validation examples.",
    "gates.holdout": "Least accuracy on the holdout.",
    "gates.per_class": "Least accuracy of every single class.",
    "gates.p_better": "Least probability of being better than the model now serving.",
    "gates.latency_ms": "Most milliseconds that a single request may take in the mean.",
    "gates.memory_mb": "Most megabytes that the process which answers may hold.",
    "gates.throughput": "Least requests a second.",
    "release": "How a candidate that passed reaches production.",
    "release.approval": "manual: a person approves. auto: nobody is asked.",
    "monitor": "The lines that live accuracy must not cross.",
    "monitor.alert": "Below it, people are told.",
    "monitor.rollback": "Below it, the previous release comes back by itself.",
    "monitor.min_outcomes": "Judged predictions needed before either happens.",
    "monitor.confirm_share": "Random share of predictions offered for confirmation.",
    "sources": "SQL databases whose rows are feedback too, a table each: see docs/sources.md.",
}
_LONG = 100_000  # longer numbers are read in groups of three
_DEFAULT_LABELS = ("good", "defect")
_SETTINGS_HEAD = """\
# Settings of this Burnish installation. Every line that is commented out shows a default.
# The environment (BURNISH_<SECTION>__<KEY>) and flags override this file; unknown keys are errors.
# {data} stands for this directory; {host} and {port} for those of the same section.
"""
_POLICY_HEAD = """\
# The policy of the model {name}: when it trains, what it must reach, how it ships.
# Roles read it at start; `burnish model apply` applies an edit at once.
# Every line that is commented out shows a default.
"""
_DOCS_HEAD = """\
# Settings

Every setting, with its default. The value that counts is the last one given: default, then the file
`DIR/burnish.toml` (`burnish init` writes it), then the environment, then the command line
(`--host` and `--port` of a role, or `--set section.key=value`). An unknown key is an error that
names the nearest ones. `{data}` stands for the data directory, `{host}` and `{port}` for those of
the same section. The data directory itself is `--data`, else `BURNISH_DATA`, else `./burnish-data`.

This page is made from the code: `python -m burnish.scaffold > docs/settings.md`.
"""


def settings_text() -> str:
    """Return the commented settings file of a new data directory."""
    parts = [_SETTINGS_HEAD]
    for name, struct in sections().items():
        parts.append(f"\n# {_summary(struct)}\n[{name}]\n")
        parts += [
            f"# {setting.help}\n# {setting.key.partition('.')[2]} = {toml(setting.default)}\n"
            for setting in catalogue()
            if setting.key.startswith(f"{name}.")
        ]
    return "".join(parts)


def policy_text(name: str, kind: Kind, labels: tuple[str, ...] = _DEFAULT_LABELS) -> str:
    """Return the commented policy file of a new model.

    Raises PolicyError if the name or the labels cannot be.
    """
    parts = [
        _POLICY_HEAD.format(name=name),
        f"\nname = {toml(name)}\nkind = {toml(kind.value)}\n",
        f"labels = {toml(labels)}  # the classes; change them before the model is first applied\n",
    ]
    for section in msgspec.structs.fields(ModelPolicy):
        if isinstance(section.type, type) and issubclass(section.type, Struct):
            parts.append(f"\n# {POLICY_HELP[section.encode_name]}\n[{section.name}]\n")
            parts += [
                f"# {POLICY_HELP[f'{section.name}.{item.name}']}\n"
                f"# {item.name} = {toml(item.default)}\n"
                for item in msgspec.structs.fields(section.type)
            ]
        elif section.name in POLICY_HELP:
            parts.append(f"\n# {POLICY_HELP[section.name]}\n")
    text = "".join(parts)
    parse_policy(text)
    return text


def initialise(
    data_dir: Path, model: str | None, kind: Kind, labels: tuple[str, ...] = _DEFAULT_LABELS
) -> Iterator[tuple[Path, bool]]:
    """Write the files of a new data directory; yield each with whether it was written.

    A file that exists is a person's and is left as it is. Raises PolicyError before anything is
    written if the model cannot be, SettingsError if the directory cannot be made.
    """
    files = {data_dir / FILE_NAME: settings_text()}
    if model is not None:
        files[data_dir / "models" / f"{model}.toml"] = policy_text(model, kind, labels)
    try:
        (data_dir / "models").mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            yield path, _write_new(path, text)
    except OSError as error:
        raise SettingsError(f"{data_dir} cannot be a data directory: {error}.") from error


def settings_page() -> str:
    """Return `docs/settings.md`."""
    parts = [_DOCS_HEAD]
    for name, struct in sections().items():
        parts.append(f"\n## {name}\n\n{_summary(struct)}\n\n")
        parts.append("| setting | default | environment | meaning |\n|---|---|---|---|\n")
        parts += [_row(s) for s in catalogue() if s.key.startswith(f"{name}.")]
    return "".join(parts)


def toml(value: Any) -> str:
    """Return a value as TOML.

    >>> toml(("a", 1.5, True))
    '["a", 1.5, true]'
    """
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, int) and value >= _LONG:
        return f"{value:_}"
    return msgspec.json.encode(value).decode()  # JSON's texts, floats and booleans are TOML's too


def _row(setting: Setting) -> str:
    return (
        f"| `{setting.key}` | `{toml(setting.default)}` | `{setting.variable}` | {setting.help} |\n"
    )


def _summary(struct: type[Struct]) -> str:
    return (struct.__doc__ or "").partition("\n")[0]


def _write_new(path: Path, text: str) -> bool:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    print(settings_page(), end="")  # noqa: T201
