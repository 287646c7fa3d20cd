"""The page of `faultline inspect`: one self-contained file, no script, nothing from elsewhere.

All text from the recording is cleaned of control characters and escaped by the engine, whatever template it
passes through; a policy in the page forbids what should come through nevertheless.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.deliver.sanitize import block, cut
from agent.evaluate.inspection import meaning
from agent.evaluate.inspection.changes import NOTABLE, Change
from agent.evaluate.inspection.drawing import Frame, Line, Plot, plot, spark, steps
from agent.evaluate.inspection.overview import Run, strip
from agent.evaluate.inspection.report import Mark, Report, Resource, ServiceReport, series_of
from agent.evaluate.inspection.shape import Span
from agent.evaluate.inspection.tallies import LEVELS
from agent.serve.plots import quantity
from agent.serve.text import clock, length, stamp
from ingest.record import Nanos

_DETAILED = 40
"""Services with plots; a recording of hundreds must still be a page that opens."""
_NOTHING_ELSE = "base-uri 'none'; form-action 'none'"
_OPEN = 3
_PATIENCE = 4
_NARROW = 360.0
"""Pixels that the overview has at least: times are as many as fit there."""
_COMPLAINT, _TELLING = 110, 30
_ROWS = 30
"""Services that the overview shows unfolded; quiet ones after `_QUIET` are folded too."""
_QUIET = 12
_SPARKS = (
    ("requests", "requests"),
    ("p95", "p95"),
    ("failed", "failed"),
    ("complaints", "warn + error lines"),
)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One service as the page shows it. `figures` are None where there is no room for them."""

    anchor: str
    service: ServiceReport
    line: str
    """A line that was not logged before and complains, "" where there is none."""
    strip: tuple[Run, ...]
    marks: tuple[tuple[float, Mark], ...]
    guilty: bool
    smalls: tuple[Small, ...]
    figures: tuple[Figure, ...] | None
    metrics: tuple[Figure, ...]
    opened: bool


def render(report: Report) -> str:
    """Return the page as HTML."""
    environment = _environment()
    assert environment.loader is not None
    style, _, _ = environment.loader.get_source(environment, "inspect.css")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    rows = tuple(_row(number, service, report) for number, service in enumerate(report.services))
    shown = _unfolded(rows)
    layout = report.layout
    return environment.get_template(
        "inspect.html"
    ).render(
        style=Markup(style),  # noqa: S704 - our own file
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; {_NOTHING_ELSE}",
        report=report,
        rows=rows,
        shown=rows[:shown],
        folded=rows[shown:],
        ticks=[
            (round(100 * tick.at / _NARROW, 2), tick.label, tick.anchor)
            for tick in layout.ticks(_NARROW, 64.0)
        ],
        seams=[(round(100 * seam.at, 2), seam.cut) for seam in layout.seams],
        incident=_ribbon(report, [report.incident] if report.incident else []),
        normal=_ribbon(report, _union(report)),
        columns=_SPARKS,
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("agent.evaluate.inspection", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clock": clock, "stamp": stamp, "lasting": length, "steps": steps, "quantity": quantity, "hot": _hot,
    }  # fmt: skip
    return environment


def _shown(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return block(value)
    return value


def _unfolded(rows: Sequence[Row]) -> int:
    """Return how many services the overview shows at once: those that changed, and some that did not."""
    changed = sum(bool(row.service.leading) or row.guilty for row in rows)
    last = max((n + 1 for n, row in enumerate(rows) if row.guilty or row.service.leading), default=0)
    shown = min(max(last, changed, _QUIET), _ROWS)
    return len(rows) if len(rows) <= shown + 3 else shown


def _row(number: int, service: ServiceReport, report: Report) -> Row:
    guilty = report.truth is not None and report.truth.service == service.name
    detailed = number < _DETAILED or guilty
    frame = Frame(
        layout=report.layout,
        incident=report.incident,
        marks=tuple(
            (mark.time, f"{clock(mark.time)} {mark.what}", mark.harmless) for mark in service.happened
        ),
    )
    return Row(
        anchor=f"s{number + 1}",
        service=service,
        line=_complaint(service),
        strip=strip(service, report),
        marks=tuple((round(100 * report.layout.place(mark.time), 2), mark) for mark in service.happened),
        guilty=guilty,
        smalls=tuple(_smalls(service, report)),
        figures=tuple(_figures(service, report, frame)) if detailed else None,
        metrics=tuple(_metric(change, report, frame) for change in service.metrics) if detailed else (),
        opened=(number < _OPEN and bool(service.leading)) or guilty,
    )


def _complaint(service: ServiceReport) -> str:
    """Return the new warning or error that says most: an access log's line says less than a sentence."""
    found = [t.gist for t in service.templates if t.what == "new" and t.severe]
    return cut(
        max(found, key=lambda gist: min(sum(map(str.isalpha, gist)), _TELLING), default=""), _COMPLAINT
    )


def _smalls(service: ServiceReport, report: Report) -> list[Small]:
    found = [(label, service.changes[name]) for name, label in _SPARKS if name in service.changes]
    busiest = max((r for r in service.resources), key=lambda r: r.changes[0].harm, default=None)
    if busiest is not None:
        found.append((meaning.TITLES[busiest.family], busiest.changes[0]))
    return [
        Small(
            label=change.track.label if label == "p95" else label,
            path=spark(_cells(change, report), report.layout),
            words=_levels(change),
            hot=_hot(change),
        )
        for label, change in found
    ]


def _figures(service: ServiceReport, report: Report, frame: Frame) -> list[Figure]:
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
        hot=_hot(told),
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
        hot=_hot(told),
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
        hot=_hot(told),
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


def _metric(change: Change, report: Report, frame: Frame) -> Figure:
    normal = report.baseline.get("metrics", ())
    return Figure(
        title=change.track.label,
        words=_levels(change),
        hot=_hot(change),
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


def _hot(change: Change) -> int:
    """Return 0 to 3: how strongly a change for the worse is to be seen."""
    return sum(change.harm >= edge for edge in (3.0, 8.0, 20.0))


def _ribbon(report: Report, spans: Sequence[Span]) -> list[tuple[float, float]]:
    found = []
    for start, end in spans:
        left, right = (100 * report.layout.place(time) for time in (start, end))
        if right - left > 0.2:
            found.append((round(left, 2), round(right - left, 2)))
    return found


def _union(report: Report) -> list[Span]:
    united: list[tuple[Nanos, Nanos]] = []
    for start, end in sorted(span for spans in report.baseline.values() for span in spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((start, end))
    return united
