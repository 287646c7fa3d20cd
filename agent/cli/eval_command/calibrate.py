"""`faultline eval calibrate`: how sure a ranking is, fitted on labelled recordings."""

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
@with_without
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where to write the parameters as JSON.  [default: only print what they give]",
)
def calibrate(data: Path, json_path: str | None, system: str, without: str, out: Path | None) -> None:
    r"""Fit how sure a ranking is, on labelled recordings that are not held out.

    The figures are of parameters fitted on other systems than the one they judge; what --out gets is fitted
    on all. Several --data folders are one: give their parent.

    \b
    Example:
      faultline eval calibrate --data recordings --out agent/suspects/calibration.json
    """
    from agent.evaluate import calibrate as fitting
    from agent.evaluate import rca as measured
    from agent.evaluate.rca_figures import figures_of

    options = measured.Options(without=signals(without), looked_at=True)
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        answers = measured.collect(data, names(system), options, on_case=tell)
        learned = fitting.with_thresholds(fitting.fit(answers), fitting.held_apart(answers))
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in learned.weights.items())
        notes.append(f"confidence: intercept {learned.intercept:.2f}, {weights}")
        notes.append(f"confirmed from {learned.confirmed:.2f}, likely from {learned.likely:.2f}")
        if out:
            fitting.write(learned, out)
            notes.append(f"written: {out}")
        return {group: values for group, values in figures_of(answers).items() if group.startswith("all")}

    measure("Confidence", json_path, run, notes)
