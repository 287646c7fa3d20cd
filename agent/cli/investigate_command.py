"""`faultline investigate`: the analysis of an interval on demand, of a recording or of telemetry memory."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

if TYPE_CHECKING:
    from agent.analysis import Analysis, Incident
    from ingest.record import Nanos

HOUR = 3600 * 10**9
"""Normal times that are compared with, before the interval."""


@click.command()
@click.argument("recording", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--since", help="Begin of the interval, RFC 3339: 2025-03-01T09:30:00Z.")
@click.option("--until", help="Its end.  [default: the recording's end, or now]")
@click.option("--environment", default="default", show_default=True, help="Which environment to look at.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings; embedded defaults without.")
@click.option("--json", "json_path", metavar="PATH", help="Write the analysis as JSON; - is standard output.")
def command(
    recording: Path | None,
    since: str | None,
    until: str | None,
    environment: str,
    config: Path | None,
    json_path: str | None,
) -> None:
    r"""Rank the suspects of an interval now, whether or not an incident was detected in it.

    RECORDING is a folder with case.json; its incident is taken where no --since is given. Without a
    RECORDING the telemetry memory of the service is read, and the hour before --since counts as normal.
    Nothing is stored or sent, and no language model is asked.

    \b
    Examples:
      faultline investigate tests/recordings/demo/slow-dependency
      faultline investigate --since 2025-03-01T09:30:00Z --until 2025-03-01T09:45:00Z
    """
    begin, end = _time("--since", since), _time("--until", until)
    if recording is None and begin is None:
        raise click.UsageError("give a RECORDING, or --since for the service's own telemetry")
    if recording is not None:
        incident, analysis = _recorded(recording, begin, end)
    else:
        incident, analysis = _remembered(config, environment, begin or 0, end)
    _tell(incident, analysis, json_path)


def _recorded(folder: Path, begin: Nanos | None, end: Nanos | None) -> tuple[Incident, Analysis]:
    from agent.evaluate.cases import read_case
    from agent.evaluate.data import DataError
    from agent.investigate.on_demand import NothingThereError, Question, investigate_now
    from ingest.recordings import RecordingError

    try:
        with Console(stderr=True).status("reading"):
            case = read_case(folder, begin, end)
        asked = Question(
            environment=case.environment, start=case.start, end=case.end, baseline=((0, case.start),)
        )
        return investigate_now(case, asked, clock=time.time, edges=case.edges)
    except (RecordingError, DataError, NothingThereError) as error:
        raise click.ClickException(str(error)) from error


def _remembered(
    config: Path | None, environment: str, begin: Nanos, end: Nanos | None
) -> tuple[Incident, Analysis]:
    from agent.app import parts
    from agent.investigate.on_demand import NothingThereError, Question, investigate_now
    from agent.settings import SettingsError, load_settings
    from agent.store.port import StoreError

    until = time.time_ns() if end is None else end
    if until <= begin:
        raise click.UsageError("--until must be after --since")
    asked = Question(environment=environment, start=begin, end=until, baseline=((begin - HOUR, begin),))
    try:
        settings = load_settings(config)
        store = parts.store(settings)
        try:
            return investigate_now(store, asked, clock=time.time, edges=settings.edges)
        finally:
            store.close()
    except (SettingsError, StoreError, NothingThereError) as error:
        raise click.ClickException(str(error)) from error


def _tell(incident: Incident, analysis: Analysis, json_path: str | None) -> None:
    from agent.deliver.terminal import render
    from agent.deliver.view import analysis_view

    text = json.dumps(analysis_view(analysis), indent=1) if json_path else ""
    if json_path == "-":
        click.echo(text)
        return
    if json_path:
        Path(json_path).write_text(text + "\n", encoding="utf-8")
    render(incident, analysis, Console())


def _time(option: str, text: str | None) -> Nanos | None:
    from ingest.decoders.times import parse_time

    if text is None:
        return None
    found = parse_time(text)
    if found is None:
        raise click.BadParameter(
            f"{text!r} is no RFC 3339 time such as 2025-03-01T09:30:00Z", param_hint=option
        )
    return found
