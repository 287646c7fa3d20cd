"""`faultline eval parse`: log lines grouped by template."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.eval_command.options import measure, names, with_data, with_system


@click.command()
@with_data
@with_system
def parse(data: Path, json_path: str | None, system: str) -> None:
    """Group labelled log lines by template: group accuracy (ga), its F1 over templates (fga), speed."""
    from agent.evaluate import parsing

    measure("Log parsing", json_path, lambda tell: parsing.evaluate(data, names(system), on_case=tell))
