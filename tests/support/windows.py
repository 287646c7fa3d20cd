"""Closed windows built by hand: what detectors, correlation and topology are tested with."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ingest.events import MetricKind
from ingest.record import SECOND, Nanos, Origin
from ingest.sketch import sketch
from ingest.summary import (
    CallWindow,
    ClosedWindow,
    Line,
    OperationWindow,
    SeriesKey,
    SeriesWindow,
    TemplateCount,
    WindowSummary,
)

EPOCH: Nanos = 1_700_000_000 * SECOND
WIDTH: Nanos = 10 * SECOND


def start_of(index: int) -> Nanos:
    """Return the start of the window with this number."""
    return EPOCH + index * WIDTH


def template(
    name: str, count: int, index: int, *, severity: int = 9, text: str = "order <*> accepted"
) -> TemplateCount:
    """Return a template's count in window `index`, with one sample line."""
    start = start_of(index)
    line = Line(
        time=start, origin=Origin(topic="logs", partition=0, offset=index), text=text, instance="orders-1"
    )
    return TemplateCount(
        template_id=name,
        template=text,
        count=count,
        severity_number=severity,
        first=start,
        last=start,
        lines=(line,),
    )


def logs(
    index: int,
    templates: Sequence[TemplateCount],
    *,
    service: str = "orders",
    environment: str = "shop",
) -> WindowSummary:
    """Return a window of log lines; severities follow from the templates."""
    severities: dict[int, int] = {}
    for one in templates:
        severities[one.severity_number] = severities.get(one.severity_number, 0) + one.count
    return WindowSummary(
        environment=environment,
        service=service,
        start=start_of(index),
        end=start_of(index + 1),
        templates=tuple(sorted(templates, key=lambda one: one.template_id)),
        severities=dict(sorted(severities.items())),
    )


def series(
    name: str,
    index: int,
    values: Sequence[float],
    *,
    unit: str = "%",
    kind: MetricKind = MetricKind.GAUGE,
    instance: str = "orders-1",
) -> SeriesWindow:
    """Return samples of a series, spread evenly over window `index`."""
    step = WIDTH // len(values)
    return SeriesWindow(
        key=SeriesKey(name=name, instance=instance),
        kind=kind,
        unit=unit,
        samples=tuple((start_of(index) + number * step, value) for number, value in enumerate(values)),
        count=len(values),
        total=sum(values),
        minimum=min(values),
        maximum=max(values),
    )


def metrics(
    index: int, windows: Sequence[SeriesWindow], *, service: str = "orders", environment: str = "shop"
) -> WindowSummary:
    """Return a window of metric samples."""
    return WindowSummary(
        environment=environment,
        service=service,
        start=start_of(index),
        end=start_of(index + 1),
        series=tuple(sorted(windows, key=lambda one: one.key)),
    )


def operation(
    name: str, latencies: Sequence[float], *, errors: int = 0, entry: bool = True
) -> OperationWindow:
    """Return an operation that took these many seconds each time."""
    return OperationWindow(
        operation=name,
        count=len(latencies),
        errors=errors,
        entry=len(latencies) if entry else 0,
        duration=sketch(latencies),
        self_time=sketch(latencies),
    )


def call(callee: str, name: str, latencies: Sequence[float], *, errors: int = 0) -> CallWindow:
    """Return calls to `callee` that took these many seconds each."""
    return CallWindow(
        callee=callee,
        operation=name,
        count=len(latencies),
        errors=errors,
        caller_latency=sketch(latencies),
        callee_latency=sketch(latencies),
    )


def traffic(
    index: int,
    *,
    operations: Sequence[OperationWindow] = (),
    calls: Sequence[CallWindow] = (),
    service: str = "orders",
    environment: str = "shop",
    nodes: Sequence[tuple[str, str]] = (),
) -> WindowSummary:
    """Return a window of spans."""
    return WindowSummary(
        environment=environment,
        service=service,
        start=start_of(index),
        end=start_of(index + 1),
        operations=tuple(operations),
        calls=tuple(calls),
        instances=tuple(instance for instance, _ in nodes),
        nodes=tuple(nodes),
    )


def latencies(rng: random.Random, count: int, typical: float) -> list[float]:
    """Return log-normal latencies (seconds) around `typical`."""
    return [typical * rng.lognormvariate(0.0, 0.3) for _ in range(count)]


def closed(index: int, summaries: Sequence[WindowSummary]) -> ClosedWindow:
    """Return the closed window of these summaries."""
    ordered = sorted(summaries, key=lambda one: (one.environment, one.service))
    return ClosedWindow(start=start_of(index), end=start_of(index + 1), summaries=tuple(ordered))
