"""`faultline templates`: which templates a service's lines have, and what became of an id.

Reads telemetry memory, so it works while the service runs, and while it does not.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.cli import logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ingest.summary import WindowSummary
    from ingest.templates.history import KnownTemplate

_HOUR = 3600 * 10**9
_MINUTES = len("2000-01-01T00:00")


@click.command(name="templates", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("service")
@click.argument("template_id", required=False)
@click.option("--environment", default="default", show_default=True, help="Where the service runs.")
@click.option(
    "--hours",
    type=click.FloatRange(0, 10_000, min_open=True),
    default=24.0,
    show_default=True,
    help="How far back.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a template.")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Faultline's YAML file."
)
def command(
    service: str,
    template_id: str | None,
    environment: str,
    hours: float,
    as_json: bool,
    config: Path | None,
) -> None:
    r"""Show the templates of SERVICE's log lines, or what became of TEMPLATE_ID.

    When words turn out to be values, templates become one: the oldest id stays, the others are its aliases.
    An incident, a mute or a note that names an alias means the template shown beside it.

    \b
    Examples:
      faultline templates cart
      faultline templates cart tpl_51c0a2b3 --json
    """
    from ingest.templates.history import known_templates

    found = known_templates(_windows(config, environment, service, hours))
    if not found:
        raise click.ClickException(
            f"nothing is remembered of {service!r} in {environment!r} in the last {hours:g} h: "
            "name another --environment, or more --hours"
        )
    if template_id is not None:
        found = tuple(one for one in found if template_id in {one.template_id, *one.aliases})
        if not found:
            raise click.ClickException(f"no template of {service!r} is or was {template_id!r} in this time")
    if as_json:
        _print_json(found)
    else:
        _print_table(found)


def _windows(config: Path | None, environment: str, service: str, hours: float) -> Sequence[WindowSummary]:
    from agent.app import parts
    from agent.settings import SettingsError, load_settings
    from agent.store.port import StoreError

    logs.configure("warning")
    try:
        store = parts.store(load_settings(config))
        try:
            now = time.time_ns()
            return store.telemetry(environment, now - round(hours * _HOUR), now, [service])
        finally:
            store.close()
    except (SettingsError, StoreError) as error:
        raise click.ClickException(str(error)) from error


def _print_json(found: Sequence[KnownTemplate]) -> None:
    import msgspec

    for one in found:
        click.echo(msgspec.json.encode(one).decode())


def _print_table(found: Sequence[KnownTemplate]) -> None:
    from ingest.times import format_time

    table = Table("template", "id", "last (UTC)", box=None, pad_edge=False)
    table.add_column("lines", justify="right")
    table.add_column("was")
    for one in found:
        # Templates are made of telemetry: nothing of them is markup or a control sequence.
        text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in one.template)
        last = format_time(one.last)[:_MINUTES].replace("T", " ")
        table.add_row(Text(text), one.template_id, last, f"{one.lines:,}", ", ".join(one.aliases))
    Console().print(table)
