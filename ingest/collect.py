"""Turns the records of one closed window into summaries; part of `ingest.windows`.

Everything that depends on order (templates, pairs, first lines, span join, the series limit) runs here,
on records sorted by time and origin, and so gives the same whatever the order of arrival was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from operator import lt
from typing import TypeVar

from ingest.events import ChangeEvent, LogEvent, MetricKind, MetricPoint, Resource, SpanEvent
from ingest.log_tally import LogTally
from ingest.merge import change_order, kept_points
from ingest.record import SECOND, Nanos, Origin
from ingest.spans import SpanJoin, SpanWindow
from ingest.summary import (
    MAX_SAMPLES,
    CounterPoint,
    CounterWindow,
    SeriesKey,
    SeriesWindow,
    WindowSummary,
)
from ingest.tallying import loops
from ingest.templates import Templates
from ingest.traces import Traces

ServiceKey = tuple[str, str]
"""Environment and service."""
_FORGET_SERIES = 3600 * SECOND
_Timed = TypeVar("_Timed", LogEvent, MetricPoint)


@dataclass(slots=True)
class Records:
    """What has come so far for one open window, by kind, in order of arrival."""

    logs: list[LogEvent] = field(default_factory=list)
    metrics: list[MetricPoint] = field(default_factory=list)
    spans: list[SpanEvent] = field(default_factory=list)
    changes: list[ChangeEvent] = field(default_factory=list)

    def add(self, event: LogEvent | MetricPoint | SpanEvent | ChangeEvent) -> None:
        if isinstance(event, LogEvent):
            self.logs.append(event)
        elif isinstance(event, MetricPoint):
            self.metrics.append(event)
        elif isinstance(event, SpanEvent):
            self.spans.append(event)
        else:
            self.changes.append(event)

    def extend(self, other: Records) -> None:
        self.logs.extend(other.logs)
        self.metrics.extend(other.metrics)
        self.spans.extend(other.spans)
        self.changes.extend(other.changes)

    def all(self) -> list[LogEvent | MetricPoint | SpanEvent | ChangeEvent]:
        """Return every record, kind by kind."""
        return [*self.logs, *self.metrics, *self.spans, *self.changes]

    def __len__(self) -> int:
        return len(self.logs) + len(self.metrics) + len(self.spans) + len(self.changes)


@dataclass(slots=True)
class _Service:
    logs: LogTally = field(default_factory=LogTally)
    series: dict[SeriesKey, list[MetricPoint]] = field(default_factory=dict)
    counters: dict[SeriesKey, list[MetricPoint]] = field(default_factory=dict)
    spans: SpanWindow = field(default_factory=SpanWindow)
    instances: set[str] = field(default_factory=set)
    nodes: set[tuple[str, str]] = field(default_factory=set)
    changes: list[ChangeEvent] = field(default_factory=list)
    late: int = 0
    rejected: int = 0

    def seen(self, resource: Resource) -> None:
        if resource.instance:
            self.instances.add(resource.instance)
            if resource.node:
                self.nodes.add((resource.instance, resource.node))


class Collector:
    """Holds what one window leaves to the next: templates, recent spans, known series."""

    def __init__(self, templates: Templates, spans: SpanJoin, *, series_limit: int = 50_000) -> None:
        self.templates = templates
        self.spans = spans
        self.traces = Traces()
        self._loops = loops()
        self.series: dict[tuple[str, str, SeriesKey], Nanos] = {}
        """End of the last window in which a series had a sample."""
        self._series_limit = series_limit
        self.series_refused = 0
        """Samples of series beyond the limit."""

    def collect(
        self,
        records: Records,
        *,
        start: Nanos,
        end: Nanos,
        late: dict[ServiceKey, int],
        rejected: dict[ServiceKey, int],
    ) -> tuple[WindowSummary, ...]:
        """Return the summaries of the window [start, end), by environment and service."""
        services: dict[ServiceKey, _Service] = {}
        self._logs(services, self.traces.join(_in_order(records.logs)))
        self._metrics(services, records.metrics, end)
        self._spans(services, records.spans, end)
        for change in sorted(records.changes, key=change_order):
            of(services, change.resource).changes.append(change)
        for key, count in late.items():
            services.setdefault(key, _Service()).late += count
        for key, count in rejected.items():
            services.setdefault(key, _Service()).rejected += count
        return tuple(self._summary(key, services[key], start, end) for key in sorted(services))

    def _logs(self, services: dict[ServiceKey, _Service], logs: list[LogEvent]) -> None:
        merged = self.templates.merged
        self._loops.gathered(logs, lambda resource: of(services, resource).logs.events)
        for key, service in services.items():
            # Services have nothing to do with each other, and one by one their lines are quicker assigned.
            service.logs.ids = self.templates.of(*key).ids(service.logs.events, self._loops)
        if self.templates.merged != merged:
            for key, service in services.items():
                service.logs.unite(partial(self.templates.canonical, *key))

    def _metrics(self, services: dict[ServiceKey, _Service], points: list[MetricPoint], end: Nanos) -> None:
        known: dict[int, _Service] = {}
        for point in _in_order(points):
            resource = point.resource
            service = known.get(id(resource))
            if service is None:
                service = known[id(resource)] = of(services, resource)
            key = SeriesKey(name=point.name, instance=resource.instance or "", labels=point.labels)
            series = service.counters if _counts(point) else service.series
            held = series.get(key)
            if held is not None:
                held.append(point)
            elif self._take_series((resource.environment, resource.service, key), end):
                series[key] = [point]
            else:
                self.series_refused += 1
                service.rejected += 1

    def _take_series(self, key: tuple[str, str, SeriesKey], end: Nanos) -> bool:
        if key not in self.series and len(self.series) >= self._series_limit:
            self.series = {k: last for k, last in self.series.items() if last > end - _FORGET_SERIES}
            if len(self.series) >= self._series_limit:
                return False
        self.series[key] = end
        return True

    def _spans(self, services: dict[ServiceKey, _Service], spans: list[SpanEvent], end: Nanos) -> None:
        for resource in {span.resource for span in spans}:
            of(services, resource)
        for key, window in self.spans.join(_spans_in_order(spans), end=end).items():
            services.setdefault(key, _Service()).spans = window

    def _summary(self, key: ServiceKey, service: _Service, start: Nanos, end: Nanos) -> WindowSummary:
        followed = service.logs.follow()
        return WindowSummary(
            environment=key[0],
            service=key[1],
            start=start,
            end=end,
            templates=service.logs.template_counts(partial(self.templates.text, *key)),
            pairs=followed.pairs,
            severities=service.logs.severities(),
            series=tuple([_series_window(key, service.series[key]) for key in sorted(service.series)]),
            calls=service.spans.call_windows(),
            operations=service.spans.operation_windows(),
            instances=tuple(sorted(service.instances)),
            nodes=tuple(sorted(service.nodes)),
            changes=tuple(service.changes),
            late=service.late,
            rejected=service.rejected,
            counters=tuple([_counter_window(key, service.counters[key]) for key in sorted(service.counters)]),
            sequences=followed.sequences,
            sequence_share=followed.share,
            renamed=self.templates.renamed(*key),
        )


def of(services: dict[ServiceKey, _Service], resource: Resource) -> _Service:
    """Return the collection of the resource's service, noting its instance and node."""
    key = (resource.environment, resource.service)
    service = services.get(key)
    if service is None:
        service = services[key] = _Service()
    service.seen(resource)
    return service


def _counts(point: MetricPoint) -> bool:
    """Say whether only what a series grew by means anything; an amount without a start stays a sample."""
    if point.kind is MetricKind.DELTA:
        return point.start > 0 or point.distribution is not None
    return point.kind is MetricKind.CUMULATIVE or point.distribution is not None


def _counter_window(key: SeriesKey, points: list[MetricPoint]) -> CounterWindow:
    first, count = points[0], len(points)
    readings = [
        CounterPoint(time=point.time, value=point.value, start=point.start, distribution=point.distribution)
        for point in points
    ]
    return CounterWindow(
        key=key,
        kind=first.kind,
        unit=first.unit,
        points=kept_points(readings, count, first.kind),
        count=count,
    )


def _series_window(key: SeriesKey, points: list[MetricPoint]) -> SeriesWindow:
    first = points[0]
    if len(points) == 1:
        # The usual case by far: a sample a minute in windows of seconds. Adding zero is what a sum does.
        value = first.value
        return SeriesWindow(
            key=key,
            kind=first.kind,
            unit=first.unit,
            samples=((first.time, value),),
            count=1,
            total=value + 0.0,
            minimum=value,
            maximum=value,
        )
    samples = sorted([(point.time, point.value) for point in points])
    values = [value for _, value in samples]
    return SeriesWindow(
        key=key,
        kind=first.kind,
        unit=first.unit,
        samples=tuple(samples if len(samples) <= MAX_SAMPLES else samples[-1:]),
        count=len(samples),
        total=math.fsum(values),
        minimum=min(values),
        maximum=max(values),
    )


def _in_order(events: list[_Timed]) -> list[_Timed]:
    """Return the events by time and origin; most come that way."""
    times = [event.time for event in events]
    if all(map(lt, times, islice(times, 1, None))):
        return events
    return sorted(events, key=_order)


def _spans_in_order(spans: list[SpanEvent]) -> list[SpanEvent]:
    """Return the spans by end and origin: the same, without a property asked for each."""
    ends = [span.end for span in spans]
    if all(map(lt, ends, islice(ends, 1, None))):
        return spans
    return sorted(spans, key=lambda span: (span.end, span.origin))


def _order(event: LogEvent | MetricPoint) -> tuple[Nanos, Origin]:
    return (event.time, event.origin)
