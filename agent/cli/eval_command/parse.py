"""`faultline eval parse`: log lines grouped by template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.cli.eval_command.options import measure, names, with_data, with_system

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.evaluate.figures import Figures
    from agent.evaluate.parsing_misses import Miss


@click.command()
@with_data
@with_system
@click.option(
    "--peers/--no-peers", default=False, show_default=True, help="Group the lines by Drain3 as well."
)
@click.option(
    "--plots",
    type=click.Path(file_okay=False, path_type=Path),
    help="Draw the figures beside Drain3's, and the worst system's misses, into this folder as SVG.",
)
@click.option("--misses", is_flag=True, help="Name the templates that were split or merged.")
def parse(
    data: Path, json_path: str | None, system: str, peers: bool, plots: Path | None, misses: bool
) -> None:
    r"""Group labelled log lines by template: group accuracy (ga), its F1 over templates (fga), speed.

    Drain3 is run twice: as it comes, and with our masks before it.

    \b
    Examples:
      faultline eval parse --data logs --misses
      faultline eval parse --data logs --plots out
    """
    from agent.evaluate import parsing

    details = parsing.Details()
    if peers or plots:
        from agent.evaluate.peers import PlainDrain

        details.rivals = {
            "Drain3 with our masks": PlainDrain,
            "Drain3 as it comes": lambda: PlainDrain(masks=False),
        }
    notes: list[str] = []

    def run(tell: Callable[[str], None]) -> Figures:
        figures = parsing.evaluate(data, names(system), on_case=tell, details=details)
        if plots:
            from agent.evaluate import parsing_plots

            notes.extend(f"plot: {path}" for path in parsing_plots.write(plots, figures, details.misses))
        return figures

    measure("Log parsing", json_path, run, notes)
    if misses and json_path != "-":
        _show(details.misses)


def _show(found: Mapping[str, Sequence[Miss]]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from agent.evaluate.parsing_misses import SHOWN

    table = Table("system", "template", "kind", "lines", "our groups", "with", box=SIMPLE, title="Misses")
    for system, misses in found.items():
        for miss in misses:
            groups = "\n".join(f"{count} × {text[:100]}" for text, count in miss.groups[:SHOWN])
            others = ", ".join(f"{count} of {label}" for label, count in miss.others[:SHOWN])
            # Lines are untrusted: nothing of them is markup.
            cells = (system, miss.event, miss.kind, str(miss.lines), groups, others)
            table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
