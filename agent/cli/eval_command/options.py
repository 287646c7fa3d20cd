"""What every `faultline eval` subcommand shares: its options, its progress, how its figures are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from agent.evaluate.figures import Figures
    from agent.settings import Settings

DATA = "FAULTLINE_DATA"
SIGNALS = ("logs", "metrics", "spans", "changes")

with_system = click.option("--system", default="", help="Only these systems, separated by commas.")
with_without = click.option(
    "--without", default="", help="Hide these signals: logs, metrics, spans, changes."
)


def with_data(function: Callable[..., Any]) -> Callable[..., Any]:
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


def signals(separated: str) -> frozenset[str]:
    """Return the signals that --without names; raises click.BadParameter on others."""
    named = frozenset(names(separated))
    unknown = sorted(named - set(SIGNALS))
    if unknown:
        raise click.BadParameter(
            f"{', '.join(unknown)}: name some of {', '.join(SIGNALS)}", param_hint="--without"
        )
    return named


def measure(
    title: str,
    json_path: str | None,
    run: Callable[[Callable[[str], None]], Figures],
    notes: Sequence[str] = (),
) -> None:
    """Run an evaluation with its progress on standard error, then print and write its figures."""
    from agent.evaluate.data import DataError
    from agent.evaluate.report import show, write_json
    from ingest.recordings import RecordingError

    errors = Console(stderr=True)
    try:
        with errors.status("reading data") as status:
            figures = run(lambda text: status.update(Text(text)))
    except (DataError, RecordingError) as error:
        raise click.ClickException(str(error)) from error
    if json_path == "-":
        for note in notes:
            click.echo(note, err=True)
    else:
        show(title, figures, notes)
    if json_path:
        write_json(figures, json_path)


def names(separated: str) -> list[str]:
    """Return the names between commas."""
    return [name.strip() for name in separated.split(",") if name.strip()]


def settings() -> Settings:
    """Return the settings in force; raises click.ClickException where they are wrong."""
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
