"""`faultline eval rca`: root causes of labelled recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.eval_command.options import measure, names, signals, with_data, with_system, with_without

if TYPE_CHECKING:
    from agent.evaluate.figures import Figures


@click.command()
@with_data
@with_system
@click.option(
    "--predictions",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write every case's ranking as JSON lines.",
)
@click.option("--ablate", is_flag=True, help="Add what is lost with each kind of evidence left out.")
@with_without
@click.option("--looked-at", is_flag=True, help="Leave cases alone that are held out of tuning.")
@click.option(
    "--report",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a page for every case, and an index, into this folder.",
)
def rca(
    data: Path,
    json_path: str | None,
    system: str,
    predictions: Path | None,
    ablate: bool,
    without: str,
    looked_at: bool,
    report: Path | None,
) -> None:
    r"""Rank root causes of labelled recordings: AC@1/3/5, Avg@5, mechanism, seconds, calibration.

    Beside ours, simple and published rankings of the same telemetry (rival) and each fault class are
    scored. The group all is the confidence as analyses say it; all/other_systems is fitted anew for each
    system on the others.

    \b
    Examples:
      faultline eval rca --data recordings --report out --ablate
      faultline eval rca --data recordings --without spans
    """
    from agent.evaluate import rca as measured
    from agent.evaluate.rca_report import CasePages

    options = measured.Options(ablate=ablate, without=signals(without), looked_at=looked_at)
    written = CasePages(report) if report else None
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        each = {"on_analysis": written.add} if written else {}
        figures = measured.evaluate(
            data, names(system), options, predictions=predictions, on_case=tell, **each
        )
        if written:
            notes.append(f"report: {written.finish(figures)}")
        return figures

    measure("Root cause", json_path, run, notes)
