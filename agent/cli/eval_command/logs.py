"""`faultline eval logs`: labelled sequences of log lines."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.eval_command.options import measure, names, with_data, with_system


@click.command()
@with_data
@with_system
@click.option(
    "--peers/--no-peers", default=True, show_default=True, help="Show PyOD's detectors beside ours."
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw what was found when and by what into this folder, one SVG a set.",
)
def logs(data: Path, json_path: str | None, system: str, peers: bool, plots: Path | None) -> None:
    r"""Find labelled sequences of log lines that are written as few are: precision, recall, F1.

    Lines are streamed once, unsupervised; labels only score. PyOD's detectors are given whole sequences and
    the threshold that suits each best.

    \b
    Examples:
      faultline eval logs --data DATA
      faultline eval logs --data DATA --no-peers --json -
      faultline eval logs --data DATA --plots out
    """
    from agent.evaluate import sequence_logs, sequence_peers

    beside = sequence_peers.count_vector_peers if peers else dict
    measure(
        "Log sequences",
        json_path,
        lambda tell: sequence_logs.evaluate(data, names(system), peers=beside, plots=plots, on_case=tell),
    )
