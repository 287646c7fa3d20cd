"""`faultline run`: the whole service in one process."""

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
def command(config: Path | None) -> None:
    r"""Read telemetry from Kafka, find incidents, analyse and deliver them.

    Runs until SIGTERM or Ctrl-C, then finishes its step, commits and leaves the group.

    \b
    Example:
      FAULTLINE_KAFKA__BOOTSTRAP_SERVERS=localhost:9092 faultline run
      faultline run --config faultline.yaml
    """
    try:
        settings = load_settings(config)
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
