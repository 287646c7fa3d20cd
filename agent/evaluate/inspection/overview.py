"""The overview: for each service one strip of time, coloured by how far it was from normal.

Pure. A cell takes the colour of the signal that is worst in it, in four steps; fewer requests or lines than
usual have a colour of their own. Equal neighbours become one run, titled with its worst cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from agent.evaluate.inspection.changes import Change
from agent.evaluate.inspection.report import Report, ServiceReport
from agent.evaluate.inspection.shape import Layout
from agent.serve.plots import quantity
from agent.serve.text import clock
from ingest.record import Nanos

_STEPS = (3.5, 7.0, 14.0, 28.0)
_RESTLESS = 2
"""Cells in a row that must be off before a faint colour is used: single ones are noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Neighbouring cells of one colour; `x` and `width` in percent."""

    x: float
    width: float
    css: str
    title: str


def strip(service: ServiceReport, report: Report) -> tuple[Run, ...]:
    """Return a service's runs; cells without any telemetry are `none`, normal ones are left out."""
    changes = [c for name, c in service.changes.items() if name not in {"p50", "lines"}]
    changes += [resource.changes[0] for resource in service.resources]
    quiet = [c for name, c in service.changes.items() if name == "lines"]
    size = len(report.grid.starts)
    changes += [
        change for change in service.leading if not any(change is known for known in (*changes, *quiet))
    ]
    harm = [_harm(change) for change in changes]
    drop = [-np.nan_to_num(c.deviations) for c in (*changes, *quiet) if c.track.name in {"requests", "lines"}]
    worst = np.max([*harm, np.zeros(size)], axis=0)
    fewer = np.max([*drop, np.zeros(size)], axis=0)
    seen = _seen(service, size)
    levels = [
        _level(float(up), float(down), bool(known))
        for up, down, known in zip(worst, fewer, seen, strict=True)
    ]
    return tuple(_runs(_calm(levels), np.maximum(worst, fewer), [*changes, *quiet], report))


def _harm(change: Change) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    known = np.nan_to_num(change.deviations)
    worse = change.track.worse
    return known * worse if worse else known


def _seen(service: ServiceReport, size: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return the cells in which anything of the service is known."""
    every = [*service.changes.values(), *service.metrics, *(c for r in service.resources for c in r.changes)]
    found = np.zeros(size, dtype=np.bool_)
    for change in every:
        found |= np.isfinite(change.track.values)
    return found


def _level(up: float, down: float, known: bool) -> str:
    if not known:
        return "none"
    strongest = max(up, down)
    step = sum(strongest >= edge for edge in _STEPS)
    return "" if not step else f"{'h' if up >= down else 'l'}{step}"


def _calm(levels: list[str]) -> list[str]:
    """Leave out faint cells that stand alone."""
    calm = list(levels)
    for place, level in enumerate(levels):
        if level[1:] in {"1", "2"}:
            around = levels[max(place - 1, 0) : place + 2]
            if sum(one not in {"", "none"} for one in around) < _RESTLESS:
                calm[place] = ""
    return calm


def _runs(
    levels: Sequence[str], strength: Sequence[float], changes: Sequence[Change], report: Report
) -> Iterator[Run]:
    grid, layout = report.grid, report.layout
    first = 0
    for place in range(1, len(levels) + 1):
        ended = place == len(levels) or levels[place] != levels[first]
        if not ended and int(grid.starts[place] - grid.starts[place - 1]) == grid.cell:
            continue
        if levels[first]:
            peak = max(range(first, place), key=lambda n: strength[n])
            start, end = int(grid.starts[first]), int(grid.starts[place - 1]) + grid.cell
            yield Run(
                x=_percent(layout, start),
                width=round(max(_percent(layout, end) - _percent(layout, start), 0.15), 2),
                css=levels[first],
                title=_title(start, end, levels[first], peak, changes),
            )
        first = place


def _percent(layout: Layout, time: Nanos) -> float:
    return round(100 * layout.place(time), 2)


def _title(start: Nanos, end: Nanos, level: str, peak: int, changes: Sequence[Change]) -> str:
    span = f"{clock(start)} to {clock(end)}"
    if level == "none":
        return f"{span}: nothing recorded"
    change = max(changes, key=lambda c: abs(float(np.nan_to_num(c.deviations[peak]))))
    unit = change.track.unit
    value = quantity(float(change.track.values[peak]), unit)
    return f"{span}: {change.track.label} {value}, usually {quantity(change.before, unit)}"
