"""The plots of one service: what is drawn in each, how it is captioned, and how hot it looks.

Pure. Which curves belong together is decided here, places are `drawing`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.evaluate.inspection import meaning
from agent.evaluate.inspection.changes import NOTABLE, Change
from agent.evaluate.inspection.drawing import Frame, Line, Plot, plot, spark
from agent.evaluate.inspection.report import Report, Resource, ServiceReport, series_of
from agent.evaluate.inspection.shape import Span
from agent.evaluate.inspection.tallies import LEVELS
from agent.serve.plots import quantity

SPARKS = (
    ("requests", "requests"),
    ("p95", "p95"),
    ("failed", "failed"),
    ("complaints", "warn + error lines"),
)
_PATIENCE = 4
"""Cells without a request over which a latency's curve goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Small:
    """A small curve in a service's line."""

    label: str
    path: str
    words: str
    hot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A plot with its caption."""

    title: str
    words: str
    hot: int
    plot: Plot
    keys: tuple[tuple[str, str], ...]
    """(class, label) of what is drawn."""


def smalls(service: ServiceReport, report: Report) -> list[Small]:
    """Return the small curves of a service's line: requests, latency, failures, complaints, a resource."""
    found = [(label, service.changes[name]) for name, label in SPARKS if name in service.changes]
    busiest = max((r for r in service.resources), key=lambda r: r.changes[0].harm, default=None)
    if busiest is not None:
        found.append((meaning.TITLES[busiest.family], busiest.changes[0]))
    return [
        Small(
            label=change.track.label if label == "p95" else label,
            path=spark(_cells(change, report), report.layout),
            words=_levels(change),
            hot=hot(change),
        )
        for label, change in found
    ]


def figures(service: ServiceReport, report: Report, frame: Frame) -> list[Figure]:
    """Return the plots of a service: requests, latency, failures, log lines and resources."""
    found = []
    changes = service.changes
    for title, names in (("Requests", ("requests",)), ("Latency", ("p50", "p95")), ("Failed", ("failed",))):
        drawn = [changes[name] for name in names if name in changes]
        if drawn:
            normal = report.baseline.get("spans" if service.operations else "metrics", ())
            css = ("c5", "c1") if len(drawn) > 1 else ("c1",)
            lines = [_cells(change, report, name) for change, name in zip(drawn, css, strict=True)]
            found.append(_figure(title, drawn, lines, frame, normal))
    if service.levels:
        found.append(_log_figure(service, report, frame))
    found += [_resource(resource, report, frame) for resource in service.resources]
    return found


def _figure(
    title: str, drawn: Sequence[Change], lines: Sequence[Line], frame: Frame, normal: Sequence[Span]
) -> Figure:
    told = drawn[-1]
    return Figure(
        title=title,
        words=_words(told) if len(drawn) > 1 else _levels(told),
        hot=hot(told),
        plot=plot(lines, frame, unit=told.track.unit, normal=normal, from_zero=True),
        keys=tuple((line.css, line.label) for line in lines) if len(lines) > 1 else (),
    )


def _log_figure(service: ServiceReport, report: Report, frame: Frame) -> Figure:
    told = service.changes["complaints"]
    lines = [
        Line(
            label=name,
            css=f"v-{name}",
            times=report.grid.starts,
            values=np.asarray(values),
            interval=report.grid.cell,
        )
        for name, values in zip(LEVELS, service.levels, strict=True)
    ]
    shown = [line for line in lines if np.nan_to_num(line.values).any()]
    normal = report.baseline.get("logs", ())
    return Figure(
        title="Log lines",
        words=_words(told if abs(told.score) >= NOTABLE else service.changes["lines"]),
        hot=hot(told),
        plot=plot(shown or lines[:1], frame, unit="/min", normal=normal, stacked=True),
        keys=tuple((line.css, line.label) for line in shown) if len(shown) > 1 else (),
    )


def _resource(resource: Resource, report: Report, frame: Frame) -> Figure:
    lines = [_raw(change, f"c{number + 1}") for number, change in enumerate(resource.changes)]
    told = resource.changes[0]
    capacity = (
        ""
        if resource.capacity is None or resource.unit == "%"
        else f" of {quantity(resource.capacity, resource.unit)}"
    )
    return Figure(
        title=meaning.TITLES[resource.family],
        words=_words(told) + capacity,
        hot=hot(told),
        plot=plot(
            lines,
            frame,
            unit=resource.unit,
            normal=report.baseline.get("metrics", ()),
            capacity=resource.capacity,
            from_zero=True,
        ),
        keys=tuple((line.css, line.label) for line in lines) if len(lines) > 1 else (),
    )


def metric(change: Change, report: Report, frame: Frame) -> Figure:
    """Return the plot of one changed series."""
    normal = report.baseline.get("metrics", ())
    return Figure(
        title=change.track.label,
        words=_levels(change),
        hot=hot(change),
        plot=plot([_raw(change, "c1")], frame, unit=change.track.unit, normal=normal),
        keys=(),
    )


def _cells(change: Change, report: Report, css: str = "c1") -> Line:
    grid, track = report.grid, change.track
    middles = grid.starts + grid.cell // 2
    # A service that is asked rarely has a latency now and then: its curve goes on over a few empty cells.
    patience = _PATIENCE if track.name in {"p50", "p95", "failed"} else 1
    return Line(label=track.label, css=css, times=middles, values=track.values, interval=patience * grid.cell)


def _raw(change: Change, css: str) -> Line:
    series = series_of(change)
    return Line(
        label=series.label, css=css, times=series.times, values=series.values, interval=series.interval
    )


def _levels(change: Change) -> str:
    if not np.isfinite(change.before):
        return quantity(change.during, change.track.unit) if np.isfinite(change.during) else ""
    if abs(change.score) < NOTABLE:
        return quantity(change.before, change.track.unit).replace(" /", "/")
    return change.words.removeprefix(change.track.label).strip()


def _words(change: Change) -> str:
    return f"{change.track.label} {_levels(change)}"


def hot(change: Change) -> int:
    """Return 0 to 3: how strongly a change for the worse is to be seen."""
    return sum(change.harm >= edge for edge in (3.0, 8.0, 20.0))
