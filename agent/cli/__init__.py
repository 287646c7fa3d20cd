"""The `faultline` command: one file a subcommand, imported only when that subcommand runs.

Start-up stays fast because `--help` imports nothing heavy: PyOD and LangGraph take seconds.
"""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "run": "Read telemetry from Kafka, find incidents, analyse and deliver them.",
    "replay": "Play a recording through the embedded service, or into Kafka as raw OTLP.",
    "record": "Write what passes on Kafka topics into a recording.",
    "inspect": "Plot what happened in a recording, as one HTML file.",
    "investigate": "Rank the suspects of any interval, of a recording or of the service's memory.",
    "decode": "Show how records of a file or a topic would be read, and why.",
    "eval": "Measure accuracy on labelled data.",
    "bench": "Measure speed as ratios to raw components.",
    "models": "Pull, list and verify model weights.",
    "detectors": "See, retrain or roll back the models that detectors judge by.",
    "templates": "Show what a service's log lines are made of, and what became of a template's id.",
    "mutes": "Be quiet about maintenance and known noise, until some time.",
    "runbooks": "Index, search and lint runbooks.",
    "config": "Check a configuration, or print every setting with its default.",
}


class _LazyGroup(click.Group):
    """Looks a subcommand up in `agent.cli.<name>` when asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"agent.cli.{cmd_name}_command").command
        if not isinstance(command, click.Command):
            raise TypeError(f"agent.cli.{cmd_name}_command.command is no click command")
        _keep_lines(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _keep_lines(command: click.Command) -> None:
    """Let paragraphs after a line of backslash-b stay as written: raw docstrings spell click's mark."""
    if command.help:
        command.help = command.help.replace("\\b\n", "\b\n")
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _keep_lines(inner)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="faultline")
def main() -> None:
    """Faultline finds incidents in raw telemetry and explains them with evidence.

    Start with `faultline replay tests/recordings/<name>`: it needs no server. Then
    `faultline config reference` and `faultline run --config faultline.yaml`.
    """
