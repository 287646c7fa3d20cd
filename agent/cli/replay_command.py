"""`faultline replay`: a recording through the embedded service, or into Kafka as raw OTLP."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from agent.cli import logs


@click.command()
@click.argument("recording", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--to",
    "target",
    type=click.Choice(["embedded", "kafka"]),
    default="embedded",
    show_default=True,
    help="Through the embedded service, or into Kafka.",
)
@click.option("--speed", type=float, help="Times real time; without it as fast as possible.")
@click.option("--bootstrap", help="Kafka servers for --to kafka, host:port[,host:port].")
@click.option("--prefix", default="telemetry.", show_default=True, help="Topics are <prefix>logs, metrics, …")
@click.option(
    "--as-recorded", is_flag=True, help="Into Kafka: keep the recorded times instead of ending now."
)
@click.option("--config", type=click.Path(path_type=Path), help="Settings; embedded defaults without.")
@click.option("--no-model", is_flag=True, help="Statistics only: no language model.")
@click.option("--page", type=click.Path(path_type=Path), help="Write the incident page as one HTML file.")
@click.option(
    "--serve-if-terminal",
    is_flag=True,
    help="On a terminal serve the incident page until Ctrl-C; otherwise write it as a file.",
)
def command(
    recording: Path,
    target: str,
    speed: float | None,
    bootstrap: str | None,
    prefix: str,
    as_recorded: bool,
    config: Path | None,
    no_model: bool,
    page: Path | None,
    serve_if_terminal: bool,
) -> None:
    r"""Play RECORDING (a folder with case.json) and show what Faultline makes of it.

    \b
    Examples:
      faultline replay tests/recordings/demo/slow-dependency
      faultline replay DIR --speed 10 --no-model
      faultline replay DIR --to kafka --bootstrap localhost:9092
    """
    logs.configure("warning")
    if target == "kafka":
        _to_kafka(recording, bootstrap, prefix, speed, as_recorded)
        return
    from agent.cli.embedded import Embedded

    Embedded(
        recording=recording, speed=speed, config=config, no_model=no_model, page=page, serve=serve_if_terminal
    ).run(Console(width=None if sys.stdout.isatty() else 110))


def _to_kafka(
    folder: Path, bootstrap: str | None, prefix: str, speed: float | None, as_recorded: bool
) -> None:
    from agent.app.replay_to_kafka import replay_to_kafka
    from ingest.kafka_producer import DeliveryError
    from ingest.recordings import RecordingError

    if not bootstrap:
        raise click.UsageError("--to kafka needs --bootstrap host:port")
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("producing")
        try:
            counts = replay_to_kafka(
                folder,
                bootstrap,
                prefix=prefix,
                speed=speed,
                shift_to=None if as_recorded else time.time_ns(),
                on_progress=lambda n: progress.update(task, description=f"produced {n} events"),
            )
        except (DeliveryError, RecordingError) as error:
            raise click.ClickException(str(error)) from error
    told = ", ".join(f"{count} {signal}" for signal, count in sorted(counts.items()))
    click.echo(f"produced {told} to {bootstrap}")
