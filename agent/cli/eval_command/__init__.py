"""`faultline eval`: accuracy on labelled data, the same commands on everyone's; one file a subcommand."""

from __future__ import annotations

import click

from agent.cli.eval_command.calibrate import calibrate
from agent.cli.eval_command.forecasts import forecasts
from agent.cli.eval_command.incidents import incidents
from agent.cli.eval_command.logs import logs
from agent.cli.eval_command.metrics import metrics
from agent.cli.eval_command.parse import parse
from agent.cli.eval_command.rca import rca
from agent.cli.eval_command.retrieval import retrieval


@click.group()
def command() -> None:
    r"""Measure accuracy on labelled data.

    Every command prints a table; --json writes {group: {figure: number}}.

    \b
    Examples:
      faultline eval rca --data tests/recordings
      faultline eval incidents --data tests/recordings --json -
    """


for _subcommand in (rca, calibrate, incidents, parse, logs, metrics, forecasts, retrieval):
    command.add_command(_subcommand)
