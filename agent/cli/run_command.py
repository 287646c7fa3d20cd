"""`faultline run`: the whole service in one process, or its part of several."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click
import structlog

from agent.cli import logs
from agent.settings import SettingsError, load_settings

log = structlog.get_logger(__name__)

STOP_WITHIN = 12.0
"""Seconds for all loops together: with the HTTP server's grace before it, less than the 20 s there are."""


@click.command()
@click.option(
    "--config", type=click.Path(path_type=Path), help="YAML settings; see `faultline config reference`."
)
@click.option(
    "--role",
    type=click.Choice(["all", "ingest", "detect"]),
    help="What this process does of it.  [default: as configured, else all]",
)
@click.option("--owner", help="Its place in the store; every process has one of its own.")
def command(config: Path | None, role: str | None, owner: str | None) -> None:
    r"""Read telemetry from Kafka, find incidents, analyse and deliver them.

    Runs until SIGTERM or Ctrl-C, then finishes its step, commits and leaves the group.

    One process does everything. When one core is not enough, start several of role ingest, no more than a
    topic has partitions, and one of role detect; they share the configuration with its redaction_key, a
    PostgreSQL and the topic kafka.windows_topic. On one machine give each a port of its own. Which process
    reads what is Kafka's to say: parts of a window are merged whoever made them. Keep the spans of a trace,
    and the lines of a session, on one partition. Detection and incidents are not shared out: one process of
    role detect sees everything. Send telemetry over HTTP to one of role ingest.

    Detection waits windows.idle seconds for a process that says nothing, then goes on without it, and what
    that one reads later is late: counted, not judged. So restart them one by one; where all of role ingest
    stop for longer, stop detect first and start it last. After a kill start the same owner again: what it
    had read of windows that are still open stands in its state. Lines published in the moment before the
    kill may count twice if another process reads on first.

    \b
    Example:
      FAULTLINE_KAFKA__BOOTSTRAP_SERVERS=localhost:9092 faultline run
      faultline run --config faultline.yaml
      faultline run --config faultline.yaml --role ingest --owner ingest-0
      FAULTLINE_HTTP__PORT=8322 faultline run --config faultline.yaml --role ingest --owner ingest-1
      FAULTLINE_HTTP__PORT=8323 faultline run --config faultline.yaml --role detect --owner detect-0
    """
    chosen = {"role": role, "owner": owner}
    try:
        settings = load_settings(config, **{name: value for name, value in chosen.items() if value})
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    logs.configure(settings.log_level)
    from agent.app import build
    from agent.app.http import http_server
    from agent.serve import ServeError
    from agent.store.port import StoreError
    from models.registry import UnknownModelError

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        service = build(settings)
    except (StoreError, UnknownModelError) as error:
        raise click.ClickException(str(error)) from error
    service.start()
    try:
        server = http_server(service)
    except ServeError as error:
        service.stop()
        raise click.ClickException(str(error)) from error
    click.echo(f"listening on http://{settings.http.host}:{server.port}", err=True)
    while not stop.wait(1.0) and not service.ended:
        pass
    log.info("service.stopping")
    server.stop()
    service.stop(STOP_WITHIN)
