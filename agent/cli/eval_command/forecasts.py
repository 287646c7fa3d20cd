"""`faultline eval forecasts`: warnings that something will be full, against when it was."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.eval_command.options import measure, names, with_data, with_system


@click.command()
@with_data
@with_system
def forecasts(data: Path, json_path: str | None, system: str) -> None:
    r"""Say how long before a resource ran out it was foretold, and how often that was wrong.

    A failure is a fault whose labelled series reached its end; `warned` is the share of those that were
    foretold, `lead_seconds` how long before. `precision` is of all warnings: right where the series was full
    within twice the time told. `calm` is the time without a fault, in which every warning is false.

    \b
    Example:
      faultline eval forecasts --data tests/recordings
    """
    from agent.evaluate import forecasts as evaluation

    measure("Forecasts", json_path, lambda tell: evaluation.evaluate(data, names(system), on_case=tell))
