"""`faultline mutes`: be quiet about work in progress and about known noise, always until some time.

Writes into the store; the stream heeds it with its next commit. So it works while the service runs, and
while it does not.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli import logs

if TYPE_CHECKING:
    from agent.settings import Settings
    from agent.store.sql import SqlStore


def _user() -> str:
    """Return who runs the command; nobody where the system knows no name, as in many containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


_CONFIG = click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Faultline's YAML file."
)
_UNTIL = click.option("--until", required=True, metavar="WHEN", help="45m, 2h, 3d or an RFC 3339 time.")
_STARTS = click.option("--from", "starts", metavar="WHEN", help="The same; without it, from now on.")
_REASON = click.option("--reason", required=True, help="Why; whoever is on call reads it.")
_AUTHOR = click.option("--author", default=_user, help="Who asks for it.  [default: you]")
_ENVIRONMENT = click.option("--environment", help="Only this one.")
_WEEK = 7 * 86_400 * 10**9


@click.group(name="mutes", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    r"""Be quiet about services under maintenance, or about what is known to be noise.

    What a mute covers is still found, counted and shown; an incident that rests on nothing else pages
    nobody. As soon as something joins that is not covered, or goes on after the end, it is told.

    \b
      faultline mutes maintenance orders payments --until 2h --reason "moving the database"
      faultline mutes add --detector severity --service cart --until 3d --reason "ticket 4711"
      faultline mutes add --subject tpl_51c0 --until 1d --reason "a bot probes the login"
      faultline mutes list
      faultline mutes lift mu_2f6a
    """


@command.command()
@click.argument("services", nargs=-1)
@_ENVIRONMENT
@_STARTS
@_UNTIL
@_REASON
@_AUTHOR
@_CONFIG
def maintenance(
    services: tuple[str, ...],
    environment: str | None,
    starts: str | None,
    until: str,
    reason: str,
    author: str,
    config: Path | None,
) -> None:
    """Expect trouble on SERVICES, or in a whole --environment, until a time."""
    with _opened(config) as (store, _):
        _save(
            store,
            "maintenance",
            starts,
            until,
            reason=reason,
            author=author,
            environment=environment,
            services=services,
        )


@command.command()
@click.option("--subject", help="A template id, a series as it is shown, an alert's fingerprint.")
@click.option("--detector", help="Findings of this detector only; needs --service or --subject.")
@click.option("--service", "services", multiple=True, help="On this service only; may be repeated.")
@_ENVIRONMENT
@_STARTS
@_UNTIL
@_REASON
@_AUTHOR
@_CONFIG
def add(
    subject: str | None,
    detector: str | None,
    services: tuple[str, ...],
    environment: str | None,
    starts: str | None,
    until: str,
    reason: str,
    author: str,
    config: Path | None,
) -> None:
    """Mute one template, series or alert, or one detector on some services."""
    with _opened(config) as (store, _):
        _save(
            store,
            "mute",
            starts,
            until,
            reason=reason,
            author=author,
            environment=environment,
            services=services,
            detector=detector,
            subject=subject,
        )


@command.command(name="list")
@click.option("--ended", is_flag=True, help="Also those that ended within a week.")
@_CONFIG
def list_(ended: bool, config: Path | None) -> None:
    """Show what is muted or will be, soonest end first; those of the settings are marked with *."""
    from agent.app.parts import configured_mutes

    now = time.time_ns()
    after = now - _WEEK if ended else now
    with _opened(config) as (store, settings):
        found = [(one, "") for one in store.mutes(after)]
        found += [(one, " *") for one in configured_mutes(settings) if one.ends > after]
    if not found:
        click.echo("nothing is muted")
        return
    table = Table("id", "kind", "from (UTC)", "until", "covers", "by", "why", box=None, pad_edge=False)
    for one, mark in sorted(found, key=lambda pair: (pair[0].ends, pair[0].id)):
        by = one.author if one.lifted_by is None else f"{one.author}, lifted by {one.lifted_by}"
        state = "" if one.active(now) else (" (ended)" if one.ends <= now else " (to come)")
        table.add_row(
            one.id + mark,
            one.kind.value + state,
            _time(one.starts),
            _time(one.ends),
            _plain(one.covered),
            _plain(by),
            _plain(one.reason),
        )
    Console().print(table)


@command.command()
@click.argument("mute_id", metavar="ID")
@_AUTHOR
@_CONFIG
def lift(mute_id: str, author: str, config: Path | None) -> None:
    """End the mute ID now."""
    from agent.app.parts import configured_mutes
    from agent.mutes import MuteError, lifted

    with _opened(config) as (store, settings):
        if any(one.id == mute_id for one in configured_mutes(settings)):
            raise click.ClickException(f"{mute_id} stands in the settings: take it out there and restart")
        known = store.mute(mute_id)
        if known is None:
            raise click.ClickException(f"there is no mute {mute_id!r}; see `faultline mutes list`")
        try:
            store.save_mute(lifted(known, author, time.time_ns()))
        except MuteError as error:
            raise click.ClickException(f"{mute_id}: {error}") from error
    click.echo(f"lifted {mute_id}")


def _save(
    store: SqlStore,
    kind: str,
    starts: str | None,
    until: str,
    *,
    reason: str,
    author: str,
    environment: str | None,
    services: tuple[str, ...],
    detector: str | None = None,
    subject: str | None = None,
) -> None:
    from agent.mutes import MuteError, MuteKind, moment, mute

    now = time.time_ns()
    try:
        made = mute(
            kind=MuteKind(kind),
            starts=moment(starts, now) if starts else now,
            ends=moment(until, now),
            reason=reason,
            author=author,
            now=now,
            environment=environment,
            services=services,
            detector=detector,
            subject=subject,
        )
    except MuteError as error:
        raise click.ClickException(f"nothing was muted: {error}") from error
    store.save_mute(made)
    click.echo(f"{made.id}: {made.covered} until {_time(made.ends)} UTC")


def _plain(text: str) -> Text:
    """Return what somebody wrote, over HTTP perhaps: nothing of it is markup or a control sequence."""
    return Text("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text))


def _time(at: int) -> str:
    from ingest.times import format_time

    return format_time(at)[: len("2000-01-01T00:00")].replace("T", " ")


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[SqlStore, Settings]]:
    """Open the configured store; what is wrong with it ends the command with one sentence."""
    from agent.app import parts
    from agent.settings import SettingsError, load_settings
    from agent.store.port import StoreError

    logs.configure("warning")
    try:
        settings = load_settings(config)
        store = parts.store(settings)
    except (SettingsError, StoreError) as error:
        raise click.ClickException(str(error)) from error
    try:
        yield store, settings
    except StoreError as error:
        raise click.ClickException(str(error)) from error
    finally:
        store.close()
