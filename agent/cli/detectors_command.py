"""`faultline detectors`: which models judge, what they learned from, and how to change them.

Reads the store and puts requests into it; the stream that owns the detectors carries them out with its next
commit, in the same transaction as its state. So it works while the service runs, and while it does not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from agent.cli import logs

if TYPE_CHECKING:
    from agent.settings import Settings
    from agent.store.port import StoredModel
    from agent.store.sql import SqlStore
    from detectors.manifest import ModelVersion

_CONFIG = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Faultline's YAML file."
)
_OWNER = click.option("--owner", help="The stream whose detectors are meant.  [default: as configured]")
_WAIT = click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=0.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait so long for the running service to do it.",
)
_POLL = 0.2
_DIGITS = 12
"""Of a checksum, for people."""
_MINUTES = len("2000-01-01T00:00")


@click.group(name="detectors", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    r"""See which models the detectors judge by, retrain one, or go back to an older one.

    A detector's model learns all the time. When its inputs have drifted for days, or it flags far too much
    for long, a new version begins to learn in shadow: it is counted, it pages nobody. After a day it takes
    over, unless it is louder than the old one. The last versions are kept with their state. Rules are under
    `retraining` in the configuration.

    \b
      faultline detectors list
      faultline detectors history outliers
      faultline detectors retrain outliers
      faultline detectors rollback outliers --to 1
    """


@command.command(name="list")
@_CONFIG
@_OWNER
def list_(config: Path | None, owner: str | None) -> None:
    """Show each detector's live versions: active, and in shadow if one learns beside it.

    Windows and services are what a version has learned from since it began. Drift is the share of its
    inputs that had moved at the end of the last span, flagged the share of windows with a finding.
    """
    with _opened(config, owner) as (store, name):
        silent = _settings(config).detectors.shadow
        found = _models(store, name)
        waiting = store.model_requests(name)
    table = Table("detector", "version", "since (UTC)", box=None, pad_edge=False)
    for heading in ("windows", "services", "drift", "flagged"):
        table.add_column(heading, justify="right")
    for version in (one.version for one in found):
        if version.status.value != "retired":
            table.add_row(*_live_row(version))
    Console().print(table)
    if silent:
        click.echo(f"in shadow by the settings (counted, open no incident): {', '.join(silent)}")
    for request in waiting:
        target = f" to version {request.number}" if request.number is not None else ""
        click.echo(f"waiting for the service: {request.action.value} {request.detector}{target}")


@command.command()
@click.argument("name")
@_CONFIG
@_OWNER
def history(name: str, config: Path | None, owner: str | None) -> None:
    """Show the versions of detector NAME, newest first: what they learned from, and why each began and ended.

    Those marked with * still have their state and can be rolled back to. A checksum says which state it is:
    after a rollback the new version begins with exactly that of the old one.
    """
    with _opened(config, owner) as (store, owner_name):
        found = _of(_models(store, owner_name), name)
    for one in found:
        for line in _told(one):
            click.echo(line)


@command.command()
@click.argument("name")
@_WAIT
@_CONFIG
@_OWNER
def retrain(name: str, wait: float, config: Path | None, owner: str | None) -> None:
    """Have detector NAME learn anew, in shadow beside the version that goes on judging."""
    from agent.store.port import ModelAction

    with _opened(config, owner) as (store, owner_name):
        _of(_models(store, owner_name), name)
        seq = store.ask_model(owner_name, name, ModelAction.RETRAIN, None, time.time_ns())
        click.echo(f"asked {owner_name} to retrain {name}")
        _await(store, seq, wait)


@command.command()
@click.argument("name")
@click.option("--to", "to", type=click.IntRange(min=1), metavar="VERSION", help="[default: the last active]")
@_WAIT
@_CONFIG
@_OWNER
def rollback(name: str, to: int | None, wait: float, config: Path | None, owner: str | None) -> None:
    """Have detector NAME judge by an older version again, with exactly the state it ended with.

    It becomes a new version with the old one as its parent; what judges now is kept and can be returned to.
    A version in shadow is dropped. No rule retrains for `retraining.pause_hours` after it.
    """
    from agent.store.port import ModelAction

    with _opened(config, owner) as (store, owner_name):
        target = _target(_of(_models(store, owner_name), name), to)
        seq = store.ask_model(owner_name, name, ModelAction.ROLLBACK, target.number, time.time_ns())
        click.echo(f"asked {owner_name} to roll {name} back to version {target.number}")
        _await(store, seq, wait)


def _target(found: Sequence[StoredModel], to: int | None) -> ModelVersion:
    """Return the version to go back to; an error says which can be had."""
    code = next((one.version.code for one in found if one.version.status.value == "active"), None)
    fitting = [one.version for one in found if one.kept and one.version.code == code]
    if to is None:
        active = [one for one in fitting if one.active_since is not None]
        if not active:
            raise click.ClickException("no earlier version is kept: there is nothing to roll back to")
        return max(active, key=lambda one: (one.retired_at or 0, one.number))
    for version in fitting:
        if version.number == to:
            return version
    can = ", ".join(str(version.number) for version in fitting) or "none"
    raise click.ClickException(
        f"version {to} cannot be rolled back to: its state is not kept or of other code; kept: {can}"
    )


def _await(store: SqlStore, seq: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    answer = store.model_answer(seq)
    while answer is None and time.monotonic() < deadline:
        time.sleep(_POLL)
        answer = store.model_answer(seq)
    if answer is None:
        click.echo("the service does it with its next commit, or once it is started; see `detectors list`")
        return
    if answer.startswith("refused"):
        raise click.ClickException(answer)
    click.echo(answer)


def _models(store: SqlStore, owner: str) -> tuple[StoredModel, ...]:
    found = store.models(owner)
    if not found:
        raise click.ClickException(
            f"no detector of stream {owner!r} is stored yet: start `faultline run`, or name another --owner"
        )
    return found


def _of(found: Sequence[StoredModel], name: str) -> tuple[StoredModel, ...]:
    mine = tuple(one for one in found if one.version.detector == name)
    if not mine:
        known = ", ".join(sorted({one.version.detector for one in found}))
        raise click.ClickException(f"there is no detector {name!r}; there are: {known}")
    return mine


def _live_row(version: ModelVersion) -> tuple[str, ...]:
    learned = version.learned
    return (
        version.detector,
        f"{version.number} {version.status.value}",
        _time(learned.since),
        f"{learned.windows:,}",
        str(learned.services),
        f"{version.drift:.2f}",
        f"{version.flagged:.1%}",
    )


def _told(one: StoredModel) -> Iterator[str]:
    version, learned = one.version, one.version.learned
    mark = " *" if one.kept else ""
    begun = f", began as version {version.parent}" if version.parent is not None else ""
    yield f"version {version.number} ({version.status.value}){mark}{begun}"
    yield f"  why      {version.why}"
    yield (
        f"  learned  {_time(learned.since)} to {_time(learned.until)}: {learned.windows:,} windows, "
        f"{learned.records:,} records, {learned.services} services"
    )
    if version.active_since is not None:
        yield f"  active   from {_time(version.active_since)}"
    if version.retired_at is not None:
        yield f"  ended    {_time(version.retired_at)}: {version.retired_why}"
    yield f"  drift    {version.drift:.2f} of its inputs moved, {version.flagged:.1%} of windows flagged"
    yield f"  state    code {version.code}, sha256 {version.sha256[:_DIGITS] or 'not kept'}"


def _time(at: int) -> str:
    if not at:
        return "–"
    from ingest.times import format_time

    return format_time(at)[:_MINUTES].replace("T", " ")


def _settings(config: Path | None) -> Settings:
    from agent.settings import SettingsError, load_settings

    try:
        return load_settings(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def _opened(config: Path | None, owner: str | None) -> Iterator[tuple[SqlStore, str]]:
    """Open the configured store; what is wrong with it ends the command with one sentence."""
    from agent.store.port import StoreError
    from agent.store.sql import SqlStore

    logs.configure("warning")
    settings = _settings(config)
    try:
        store = SqlStore(settings.database_url)
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    try:
        yield store, owner or settings.owner
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    finally:
        store.close()
