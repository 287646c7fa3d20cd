"""`faultline runbooks`: index, search and lint runbooks from a terminal.

Reads a folder of Markdown (the shipped one by default) and a Qdrant folder or server; changes only the index.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from agent.knowledge.index import QdrantRunbookIndex
    from agent.settings import Settings

_SHOWN = 120
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_QDRANT = click.option(
    "--qdrant",
    metavar="PATH|URL",
    help="Index folder, the URL of a Qdrant server, or `:memory:`.  [default: as configured]",
)
_WORDS_ONLY = click.option("--words-only", is_flag=True, help="Do without the embedding model.")
_CONFIG = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Faultline's YAML file."
)


@click.group(name="runbooks", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    r"""Index, search and lint runbooks.

    Runbooks are Markdown files. Faultline ships some; your own folder works too, with or without front
    matter: sections come from headings, steps from numbered lists, and a step says its risk in a line
    `**Risk:** read-only`, `reversible` or `disruptive`. A command without a stated risk counts as
    disruptive unless all it does is surely reading.

    \b
      faultline runbooks lint  ./my-runbooks
      faultline runbooks index ./my-runbooks
      faultline runbooks search "deadlock detected on orders"
    """


@command.command()
@click.argument("folder", type=_FOLDER, required=False)
def lint(folder: Path | None) -> None:
    """Check the runbooks in FOLDER (default: the shipped ones); fails when one is wrong.

    Runbooks with our front matter (an `id`) need every field, every section and a risk on every step.
    Plain Markdown only has to be readable. Problems are printed as `file:line: error: what to do`.
    """
    from agent.knowledge.lint import lint as find_problems
    from agent.knowledge.load import load_folder

    library = load_folder(folder or _shipped())
    problems = find_problems(library)
    for problem in problems:
        click.echo(str(problem))
    fatal = sum(problem.fatal for problem in problems)
    click.echo(f"{len(library.runbooks)} runbooks, {fatal} errors, {len(problems) - fatal} pieces of advice")
    if fatal:
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("folders", type=_FOLDER, nargs=-1, metavar="[DIR]...")
@_QDRANT
@_WORDS_ONLY
@_CONFIG
def index(folders: tuple[Path, ...], qdrant: str | None, words_only: bool, config: Path | None) -> None:
    """Make the index hold exactly the runbooks in DIR...

    Without DIR: the shipped ones and the configured folders, which is what `faultline run` does at its
    start. Only content that changed is embedded again and what is gone is removed, so running it twice
    costs nothing. Without the embedding model (`faultline models pull`) it indexes words only and says so.
    """
    from agent.knowledge.load import load_folder

    settings = _settings(config)
    libraries = [load_folder(folder) for folder in folders or _folders(settings)]
    for problem in (problem for library in libraries for problem in library.problems):
        click.echo(str(problem), err=True)
    runbooks = [runbook for library in libraries for runbook in library.runbooks]
    with _opened(settings, qdrant, words_only=words_only) as opened:
        synced = opened.sync(runbooks)
        _say_degraded(opened.degraded)
    click.echo(
        f"{len(runbooks)} runbooks indexed: {synced.added} sections added, "
        f"{synced.removed} removed, {synced.unchanged} unchanged"
    )


@command.command()
@click.argument("text")
@_QDRANT
@_WORDS_ONLY
@_CONFIG
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 50), help="Runbooks to show.")
@click.option("--steps", is_flag=True, help="Also print the steps of the best runbook, each with its risk.")
def search(
    text: str, qdrant: str | None, words_only: bool, config: Path | None, limit: int, steps: bool
) -> None:
    """Find runbooks for TEXT: an error message, an alert's summary, or what you see.

    Words and meaning are both compared and their rankings fused. Run `faultline runbooks index` first.
    """
    with _opened(_settings(config), qdrant, words_only=words_only) as opened:
        hits = opened.search(text, limit=limit)
        offered = opened.steps_for(hits[0]) if steps and hits else ()
        _say_degraded(opened.degraded)
    if not hits:
        raise click.ClickException("nothing found: run `faultline runbooks index` first, or use other words")
    table = Table("runbook", "section", "score", "begins with")
    for hit in hits:
        table.add_row(*map(_escaped, (hit.runbook, hit.section, f"{hit.score:.4f}", hit.snippet[:_SHOWN])))
    Console().print(table)
    for one in offered:
        click.echo(f"\n{one.citation.section} {one.step.number} [{one.step.risk.value}] {one.step.text}")
        if one.step.command:
            click.echo("\n".join(f"    {line}" for line in one.step.command.splitlines()))


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")


def _shipped() -> Path:
    from agent.knowledge.shipped import shipped_runbooks

    return shipped_runbooks()


def _settings(config: Path | None) -> Settings:
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def _folders(settings: Settings) -> list[Path]:
    return [*([_shipped()] if settings.knowledge.shipped else []), *settings.knowledge.runbooks]


def _say_degraded(reasons: tuple[str, ...]) -> None:
    for reason in reasons:
        click.echo(f"note: {reason}", err=True)


@contextmanager
def _opened(settings: Settings, qdrant: str | None, *, words_only: bool) -> Iterator[QdrantRunbookIndex]:
    """Open the index and close it again; what keeps it from working ends the command with one sentence."""
    from agent.knowledge.index import open_index
    from agent.knowledge.port import IndexUnavailable
    from models.embeddings import MiniLmEmbeddings
    from models.registry import EMBEDDING_MODEL

    wanted = settings.knowledge.embeddings and not words_only
    embeddings = MiniLmEmbeddings.from_home(settings.home_folder / "models", threads=2) if wanted else None
    location = qdrant or settings.knowledge.qdrant or str(settings.home_folder / "qdrant")
    try:
        index = open_index(location, embeddings, embedding_model=EMBEDDING_MODEL if embeddings else "")
        try:
            yield index
        finally:
            index.close()
    except IndexUnavailable as error:
        raise click.ClickException(str(error)) from error
