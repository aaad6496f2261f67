"""`burnish evaluation`: the report on a candidate, gate by gate."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from burnish.cli.output import facts, moment, plain, safe, table
from burnish.cli.session import Session, connected
from burnish.client.api import path

app = typer.Typer(no_args_is_help=True, help="Reports on candidates.")

_NAMED: Final = 10  # subjects that are named; the JSON has them all


@app.command("show")
@connected
def show(
    session: Session,
    evaluation: Annotated[
        str, typer.Argument(metavar="EVALUATION", help="The report's id, as its run shows it.")
    ],
) -> None:
    """Show what every gate said of a candidate, and which examples changed sides."""
    found = session.control.get(path("evaluations", evaluation)).json()
    session.out.give(found, lambda: _report(found))


def _report(found: Any) -> RenderableType:
    parts: list[RenderableType] = [
        facts(_facts(found)),
        Text(),
        table(
            found["gates"],
            [
                ("GATE", lambda g: g["gate"]),
                ("VERDICT", lambda g: g["verdict"]),
                ("VALUE", lambda g: g["value"]),
                ("95 %", _interval),
                ("LINE", lambda g: g["threshold"] or "off"),
                ("N", lambda g: g["n"]),
                ("BECAUSE", lambda g: g["reason"]),
            ],
            "No gate was asked.",
        ),
        Text(),
        table(
            ({"truth": truth, **said} for truth, said in found["confusion"].items()),
            [
                ("TRUTH / SAID", lambda row: row["truth"]),
                *((label, _said(label)) for label in found["confusion"]),
            ],
            "No example was judged.",
        ),
    ]
    if found["paired"]:
        parts += [
            Text(),
            Text(_changed("newly right", found["newly_right"])),
            Text(_changed("newly wrong", found["newly_wrong"])),
        ]
    return Group(*parts)


def _facts(found: Any) -> list[tuple[str, Any]]:
    holdout, paired = found["holdout"], found["paired"]
    interval = f"{holdout['low']:.3f} to {holdout['high']:.3f}, n {holdout['n']}"
    rows = [
        ("report", found["id"]),
        ("model", found["model"]),
        ("run", found["run"]),
        ("verdict", found["verdict"]),
        ("candidate", found["candidate"]),
        ("champion", found["champion"] or "none: it is the first"),
        ("accuracy", f"{holdout['accuracy']:.3f} ({interval})"),
    ]
    if paired:
        better = f"P(better) {paired['p_better']:.3f}"
        rows += [
            ("champion's", holdout["champion_accuracy"]),
            ("paired", f"fixes {paired['fixes']}, breaks {paired['breaks']}, {better}"),
        ]
    if found.get("performance"):
        rows.append(("performance", _performance(found["performance"])))
    return [*rows, ("judged", moment(found["created_at"]))]


def _performance(measured: Any) -> str:
    if measured["failure"]:
        return str(measured["failure"])
    quantiles = ", ".join(f"p{q} {measured[f'p{q}_ms']:.1f}" for q in (50, 95, 99))
    rate = measured["throughput"]
    throughput = f"{rate:.0f} requests/s, " if rate else ""
    return (
        f"{measured['mean_ms']:.1f} ms ({quantiles}), {throughput}"
        f"{measured['memory_mb']:.0f} MB, loaded in {measured['load_seconds']:.2f} s"
    )


def _interval(gate: Any) -> str:
    return plain(None) if gate["low"] is None else f"{gate['low']:.3f} to {gate['high']:.3f}"


def _said(label: str) -> Any:
    return lambda row: row.get(label, 0)


def _changed(what: str, subjects: Sequence[str]) -> str:
    named = ", ".join(subjects[:_NAMED])
    more = f" and {len(subjects) - _NAMED} more" if len(subjects) > _NAMED else ""
    return safe(f"{what}: {len(subjects)}" + (f" ({named}{more})" if subjects else ""))
