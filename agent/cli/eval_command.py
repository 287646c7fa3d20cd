"""`faultline eval`: accuracy on labelled data, the same commands on everyone's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

DATA = "FAULTLINE_DATA"


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every evaluation has."""
    function = click.option(
        "--json", "json_path", metavar="PATH", help="Write the figures as JSON; - is standard output."
    )(function)
    return click.option(
        "--data",
        envvar=DATA,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        required=True,
        help=f"Folder of labelled data; {DATA} sets it for good.",
    )(function)


@click.group()
def command() -> None:
    r"""Measure accuracy on labelled data.

    Every command prints a table; --json writes {group: {figure: number}}.

    \b
    Example:
      faultline eval rca --data ../shared/data/rca
      faultline eval rca --data tests/recordings --json -
    """


@command.command()
@_options
@click.option("--system", default="", help="Only these systems, separated by commas.")
@click.option(
    "--predictions", type=click.Path(path_type=Path), help="Write every case's ranking as JSON lines."
)
def rca(data: Path, json_path: str | None, system: str, predictions: Path | None) -> None:
    """Rank root causes of labelled recordings: AC@1/3/5, Avg@5, mechanism, seconds, calibration."""
    from agent.evaluate import cases
    from agent.evaluate import rca as measured
    from agent.evaluate.report import show, write_json

    errors = Console(stderr=True)
    try:
        with errors.status("reading recordings") as status:
            figures = measured.evaluate(
                data,
                [name for name in system.split(",") if name],
                predictions=predictions,
                on_case=status.update,
            )
    except cases.DataError as error:
        raise click.ClickException(str(error)) from error
    if json_path != "-":
        show("Root cause", figures, Console(soft_wrap=True))
    if json_path:
        write_json(figures, json_path)


@command.command()
@_options
@click.option("--system", default="", help="Only these systems, separated by commas.")
def incidents(data: Path, json_path: str | None, system: str) -> None:
    """Count recordings whose fault opens an incident, and whose quiet baseline does."""
    from agent.evaluate import cases, openings
    from agent.evaluate.report import show, write_json

    errors = Console(stderr=True)
    try:
        with errors.status("replaying recordings") as status:
            names = [name for name in system.split(",") if name]
            figures = openings.evaluate(data, names, on_case=status.update)
    except cases.DataError as error:
        raise click.ClickException(str(error)) from error
    if json_path != "-":
        show("Incidents", figures, Console(soft_wrap=True))
    if json_path:
        write_json(figures, json_path)
