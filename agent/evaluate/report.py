"""Printing figures: a table for people, one JSON object for programs."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.box import SIMPLE
from rich.table import Table

from agent.evaluate.figures import Figures


def show(title: str, figures: Figures, console: Console) -> None:
    """Print one table a set of figures: groups with the same figures share one."""
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


def number(value: float) -> str:
    """Return a figure as people read it."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3f}"


def write_json(figures: Figures, path: str) -> None:
    """Write the figures as one JSON object; `-` is standard output."""
    text = json.dumps(figures, indent=1, sort_keys=True)
    if path == "-":
        print(text)  # noqa: T201 - what the caller asked for
    else:
        Path(path).write_text(text + "\n", encoding="utf-8")
