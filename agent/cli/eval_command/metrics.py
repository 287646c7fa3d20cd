"""`faultline eval metrics`: labelled anomalies of metric series."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.eval_command.options import measure, with_data


@click.command()
@with_data
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw every series with its windows and what was found into this folder, as SVG.",
)
@click.option(
    "--alarms-a-day",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    help="Alarm budget of each series for `faultline (budget)`; by default as shipped.",
)
@click.option("--peers/--no-peers", default=True, help="Run the other detectors too (minutes).")
def metrics(data: Path, json_path: str | None, plots: Path | None, alarms_a_day: float, peers: bool) -> None:
    """Find labelled anomalies in metric series: score of the NAB formula, standard profile.

    0 is finding nothing, 100 finding every window at its first sample without a false alarm. Each detector
    has the one threshold that is best for it over all series; `faultline (budget)` sets its own.
    """
    from agent.evaluate import nab

    measure(
        "Metric anomalies",
        json_path,
        lambda tell: nab.evaluate(
            data, plots=plots, with_peers=peers, alarms_a_day=alarms_a_day, on_case=tell
        ),
    )
