"""Printing figures: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from agent.evaluate.figures import Figures

if TYPE_CHECKING:
    from agent.evaluate.bench import Result

_WIDE = 400
"""Columns that a table may take: figures are never cut, a narrow terminal wraps them."""


def show(title: str, figures: Figures, notes: Sequence[str] = ()) -> None:
    """Print one table a set of figures (groups with the same figures share one), then the notes."""
    console = Console(width=_WIDE)
    shapes: dict[tuple[str, ...], list[str]] = {}
    for group, values in figures.items():
        shapes.setdefault(tuple(values), []).append(group)
    for names, groups in shapes.items():
        table = Table(title=title, title_justify="left", box=SIMPLE)
        table.add_column("", no_wrap=True)
        for name in names:
            table.add_column(name, justify="right", no_wrap=True)
        for group in groups:
            table.add_row(group, *(number(figures[group][name]) for name in names))
        console.print(table)
    for note in notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def show_bench(results: Sequence[Result]) -> None:
    """Print the speed ratios with what each is measured against and on."""
    title = "Speed: ours over that of the raw component on the same input, in one run on one core"
    table = Table(title=title, title_justify="left", box=SIMPLE)
    for name in ("", "speed", "against", "input"):
        table.add_column(name, justify="right" if name == "speed" else "left", no_wrap=True)
    for one in results:
        table.add_row(one.name, f"{number(one.speed)}×", one.against, one.given)
    Console(width=_WIDE).print(table)


def number(value: float) -> str:
    """Return a figure as people read it: counts whole, shares with three decimals."""
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.0f}"


def write_json(figures: Figures, path: str) -> None:
    """Write the figures as one JSON object; `-` is standard output."""
    text = json.dumps(figures, indent=1, sort_keys=True)
    if path == "-":
        print(text)  # noqa: T201 - what the caller asked for
    else:
        Path(path).write_text(text + "\n", encoding="utf-8")
