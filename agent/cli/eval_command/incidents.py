"""`faultline eval incidents`: which recordings open an incident, faulty and quiet."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.eval_command.options import measure, names, settings, with_data, with_system

_REDACTION_KEY = b"evaluation only!"
"""Redaction runs as in production; nothing of what it makes here is kept."""


@click.command()
@with_data
@with_system
def incidents(data: Path, json_path: str | None, system: str) -> None:
    """Count recordings whose fault opens an incident, and whose quiet baseline does.

    Replays each recording through the service's own stages: the detectors learn from the first two thirds
    of the baseline. opened_fault is better the higher, opened_baseline and opened_quiet the lower.
    within_60s, within_30s and delay_median_seconds count from when the truth says that the fault began, so
    from its first visible effect on it is as soon or sooner; a fault that opened nothing is in neither.
    """
    from agent.app import parts
    from agent.evaluate import openings
    from agent.pipeline import Pipeline

    configured = settings()

    def fresh(edges: openings.Edges) -> Pipeline:
        with_edges = configured.model_copy(update={"edges": (*configured.edges, *edges)})
        return parts.pipeline(with_edges, _REDACTION_KEY)()

    measure(
        "Incidents",
        json_path,
        lambda tell: openings.evaluate(data, names(system), pipeline=fresh, on_case=tell),
    )
