"""The parts that windows of made incidents are made of."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from ingest.events import MetricKind
from ingest.record import SECOND, Nanos, Origin
from ingest.sketch import sketch
from ingest.summary import Line, OperationWindow, SeriesKey, SeriesWindow, TemplateCount, WindowSummary

WIDTH: Nanos = 10 * SECOND
BEGIN: Nanos = 1_700_000_000 * SECOND
NORMAL, TROUBLED = 24, 15
"""Windows before the onset and after it."""


def template(
    begin: Nanos,
    service: str,
    index: int,
    text: str,
    count: int,
    *,
    severity: int = 9,
    traces: bool = False,
    at: float = 0.0,
) -> TemplateCount:
    """Return a template's count in window `index`, with lines that may be of traces."""
    start = begin + index * WIDTH
    lines = tuple(
        Line(
            time=start + number * SECOND + round(at * SECOND),
            origin=origin(3 * index + number),
            text=text,
            trace_id=f"trace {index} {number}" if traces else None,
        )
        for number in range(min(count, 3))
    )
    return TemplateCount(
        template_id=template_id(service, text),
        template=text,
        count=max(count, 1),
        severity_number=severity,
        first=start,
        last=start + SECOND,
        lines=lines,
    )


def template_id(service: str, text: str) -> str:
    """Return the id of a service's template."""
    return f"tpl_{zlib.crc32(f'{service} {text}'.encode()):08x}"


def origin(offset: int) -> Origin:
    """Return a place in the one topic."""
    return Origin(topic="logs", partition=0, offset=offset)


def gauge(
    begin: Nanos, index: int, name: str, value: float, unit: str, kind: MetricKind = MetricKind.GAUGE
) -> SeriesWindow:
    """Return a window of a series with two samples."""
    start = begin + index * WIDTH
    samples = ((start, value), (start + 5 * SECOND, value))
    return SeriesWindow(
        key=SeriesKey(name=name, instance="pod-1"),
        kind=kind,
        unit=unit,
        samples=samples,
        count=2,
        total=2 * value,
        minimum=value,
        maximum=value,
    )


def operation(name: str, own: Sequence[float], *, errors: int = 0, entry: int = 0) -> OperationWindow:
    """Return spans that took so many seconds by themselves, and a bit more where requests enter."""
    return OperationWindow(
        operation=name,
        count=len(own),
        errors=errors,
        entry=entry,
        duration=sketch([one + (0.02 if entry else 0.0) for one in own]),
        self_time=sketch(own),
    )


def idle(begin: Nanos, name: str = "idle-unit") -> tuple[WindowSummary, ...]:
    """Return the windows of a service that nobody asks and that does the same all the time."""
    return tuple(
        WindowSummary(
            environment="made",
            service=name,
            start=begin + index * WIDTH,
            end=begin + (index + 1) * WIDTH,
            severities={9: 2},
            templates=(template(begin, name, index, "waiting for work", 2),),
            operations=(operation("GET /health", [0.001] * 2, entry=2),),
            series=(gauge(begin, index, "cpu_usage", 3.0, "%"),),
        )
        for index in range(NORMAL + TROUBLED)
    )
