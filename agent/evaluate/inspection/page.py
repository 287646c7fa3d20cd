"""The page of `faultline inspect`: one self-contained file, no script, nothing from elsewhere.

All text from the recording is cleaned of control characters and escaped by the engine, whatever template it
passes through; a policy in the page forbids what should come through nevertheless.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from agent.deliver.sanitize import block, cut
from agent.evaluate.inspection.drawing import Frame, steps
from agent.evaluate.inspection.figures import Figure, Small, figures, hot, metric, smalls
from agent.evaluate.inspection.overview import Run, strip
from agent.evaluate.inspection.report import Mark, Report, ServiceReport
from agent.evaluate.inspection.shape import Span
from agent.serve.plots import quantity
from agent.serve.text import clock, length, stamp
from ingest.record import Nanos

_DETAILED = 40
"""Services with plots; a recording of hundreds must still be a page that opens."""
_NOTHING_ELSE = "base-uri 'none'; form-action 'none'"
_OPEN = 3
_NARROW = 360.0
"""Pixels that the overview has at least: times are as many as fit there."""
_COMPLAINT, _TELLING = 110, 30
_ROWS = 30
"""Services that the overview shows unfolded; quiet ones after `_QUIET` are folded too."""
_QUIET = 12


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
        loose=[
            (round(100 * report.layout.place(mark.time), 2), mark)
            for mark in report.marks
            if not any(mark.service == service.name for service in report.services)
        ],
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
        "clock": clock, "stamp": stamp, "lasting": length, "steps": steps, "quantity": quantity, "hot": hot,
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
        smalls=tuple(smalls(service, report)),
        figures=tuple(figures(service, report, frame)) if detailed else None,
        metrics=tuple(metric(change, report, frame) for change in service.metrics) if detailed else (),
        opened=(number < _OPEN and bool(service.leading)) or guilty,
    )


def _complaint(service: ServiceReport) -> str:
    """Return the new warning or error that says most: an access log's line says less than a sentence."""
    found = [t.gist for t in service.templates if t.what == "new" and t.severe]
    return cut(
        max(found, key=lambda gist: min(sum(map(str.isalpha, gist)), _TELLING), default=""), _COMPLAINT
    )


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
