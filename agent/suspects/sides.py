"""The two sides of a comparison: what services did in normal times, and what they do in the incident.

Pure aggregation of window summaries; every evidence kind of this room reads nothing else. Rates are per
window in which the signal was there at all, so that gaps in telemetry do not look like drops.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.suspects.missing import missing_telemetry
from agent.topology.links import BELIEVED, Link, hops, links_of
from ingest.events import ChangeEvent, MetricKind
from ingest.record import SECOND, Nanos
from ingest.sketch import Sketch
from ingest.summary import MAX_LINES, Line, SeriesKey, WindowSummary

LATER_WINDOWS = 4
"""Windows that the last third of an incident must have to be compared alone."""


@dataclass(slots=True, kw_only=True)
class TemplateSide:
    """One template on one side."""

    template: str
    id: str = ""
    count: int = 0
    windows: int = 0
    severity_number: int = 0
    first: Nanos = 0
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class FlowSide:
    """Calls of an edge, or spans of an operation, on one side. Sketches hold seconds."""

    count: int = 0
    errors: int = 0
    entries: int = 0
    """Spans of the operation that another service, or nobody seen, asked for."""
    outer: Sketch = field(default_factory=Sketch)
    """Caller-side latency, or an operation's duration."""
    inner: Sketch = field(default_factory=Sketch)
    """Callee-side latency, or an operation's self time."""


@dataclass(slots=True, kw_only=True)
class ServiceSide:
    """One service on one side. `start` and `end` span the windows it was seen in."""

    start: Nanos = 0
    end: Nanos = 0
    log_windows: int = 0
    span_windows: int = 0
    templates: dict[str, TemplateSide] = field(default_factory=dict)
    pairs: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often one template directly followed another under one sequence key."""
    series: dict[SeriesKey, list[tuple[Nanos, float]]] = field(default_factory=dict)
    units: dict[SeriesKey, str] = field(default_factory=dict)
    calls: dict[tuple[str, str], FlowSide] = field(default_factory=dict)
    operations: dict[str, FlowSide] = field(default_factory=dict)
    counters: set[SeriesKey] = field(default_factory=set)
    entries: int = 0
    instances: set[str] = field(default_factory=set)
    changes: list[ChangeEvent] = field(default_factory=list)
    hops: dict[str, list[float]] = field(default_factory=dict)
    """Seconds between a line of this service and the next one of its trace, where another wrote that."""
    untimely: int = 0
    """Records that came too late for their window, or from too far ahead."""

    @property
    def lines(self) -> int:
        return sum(side.count for side in self.templates.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Baseline and incident, service by service; a service missing on a side has an empty side there."""

    environment: str
    start: Nanos
    end: Nanos
    baseline: dict[str, ServiceSide]
    incident: dict[str, ServiceSide]
    baseline_log_windows: int
    incident_log_windows: int
    baseline_span_windows: int
    incident_span_windows: int
    baseline_windows: int = 0
    """In which anything at all was seen."""
    links: tuple[Link, ...] = ()
    """Who calls whom, from both sides and whatever was given."""
    later: Sides | None = None
    """The same with the last third of the incident alone, what came before it counted as normal: trouble may
    begin in the middle. None where the incident is too short."""

    @classmethod
    def of(
        cls,
        *,
        baseline: tuple[WindowSummary, ...],
        incident: tuple[WindowSummary, ...],
        given: Iterable[tuple[str, str]] = (),
    ) -> Sides:
        """Aggregate the windows of both sides; `given` are edges (caller, callee) known beside them."""
        normal = _aggregated(baseline)
        links = links_of((*baseline, *incident), given)
        starts = sorted({w.start for w in incident})
        later = None
        if len(starts) >= 3 * LATER_WINDOWS:
            since = starts[2 * len(starts) // 3]
            late = tuple(w for w in incident if w.start >= since)
            early = (*baseline, *(w for w in incident if w.start < since))
            later = cls._of(_aggregated(early), early, late, links, None)
        return cls._of(normal, baseline, incident, links, later)

    @classmethod
    def _of(
        cls,
        normal: dict[str, ServiceSide],
        baseline: tuple[WindowSummary, ...],
        incident: tuple[WindowSummary, ...],
        links: tuple[Link, ...],
        later: Sides | None,
    ) -> Sides:
        everything = (*incident, *baseline)
        return cls(
            later=later,
            links=links,
            environment=everything[0].environment if everything else "default",
            start=min((w.start for w in incident), default=0),
            end=max((w.end for w in incident), default=0),
            baseline=normal,
            incident=_aggregated(incident),
            baseline_log_windows=_spanned(w.start for w in baseline if w.severities),
            incident_log_windows=_spanned(w.start for w in incident if w.severities),
            baseline_span_windows=_spanned(w.start for w in baseline if w.operations),
            incident_span_windows=_spanned(w.start for w in incident if w.operations),
            baseline_windows=_spanned(w.start for w in baseline),
        )

    def services(self) -> tuple[str, ...]:
        """Return every service seen on either side, sorted."""
        return tuple(sorted({*self.baseline, *self.incident}))

    def both(self, service: str) -> tuple[ServiceSide, ServiceSide]:
        """Return the service's (baseline, incident)."""
        return self.baseline.get(service, ServiceSide()), self.incident.get(service, ServiceSide())

    def edges(self) -> set[tuple[str, str]]:
        """Return the (caller, callee) pairs that are believed."""
        return {(link.caller, link.callee) for link in self.links if link.confidence >= BELIEVED}

    def missing(self) -> tuple[str, ...]:
        """Say what telemetry was not there to compare."""
        return missing_telemetry(self)


def _spanned(starts: Iterable[Nanos]) -> int:
    return len(set(starts))


def _aggregated(windows: tuple[WindowSummary, ...]) -> dict[str, ServiceSide]:
    services: dict[str, list[WindowSummary]] = {}
    for window in sorted(windows, key=lambda w: (w.start, w.service)):
        services.setdefault(window.service, []).append(window)
    sides = {service: _side(held) for service, held in services.items()}
    for first, second, gap in hops(windows):
        sides[first].hops.setdefault(second, []).append(gap)
    return sides


def _side(windows: list[WindowSummary]) -> ServiceSide:
    """Return one service's side, of its windows in order of time."""
    side = ServiceSide(start=windows[0].start, end=windows[-1].end)
    for window in windows:
        side.instances.update(window.instances)
        side.changes.extend(window.changes)
        side.untimely += window.late + window.rejected
        _add_templates(side, window)
        _add_series(side, window)
    _add_flows(side, windows)
    for key, samples in side.series.items():
        samples.sort()
        if key in side.counters:
            side.series[key] = rates(samples)
    return side


def _add_templates(side: ServiceSide, window: WindowSummary) -> None:
    side.log_windows += bool(window.severities)
    for seen in window.templates:
        found = side.templates.get(seen.template_id)
        if found is None:
            found = TemplateSide(template=seen.template, id=seen.template_id, first=seen.first)
            side.templates[seen.template_id] = found
        found.count += seen.count
        found.windows += 1
        found.template = seen.template
        found.severity_number = max(found.severity_number, seen.severity_number)
        if len(found.lines) < MAX_LINES:
            found.lines.extend(seen.lines[: MAX_LINES - len(found.lines)])
    for pair in window.pairs:
        key = pair.first, pair.second
        side.pairs[key] = side.pairs.get(key, 0) + pair.count


def _add_series(side: ServiceSide, window: WindowSummary) -> None:
    for series in window.series:
        known = side.series.get(series.key)
        if known is None:
            side.series[series.key] = list(series.samples)
        else:
            known.extend(series.samples)
        side.units[series.key] = series.unit
        if series.kind is MetricKind.CUMULATIVE:
            side.counters.add(series.key)


def rates(samples: list[tuple[Nanos, float]]) -> list[tuple[Nanos, float]]:
    """Return per-second increases of a counter's samples; a fall is a restart and gives no rate."""
    result = []
    for (before, low), (after, high) in itertools.pairwise(samples):
        if after > before and high >= low:
            result.append((after, (high - low) * SECOND / (after - before)))
    return result


class _Flow:
    """One flow as it adds up: sketches are merged in place, which is what they are not made for."""

    __slots__ = ("inner", "outer", "side")

    def __init__(self) -> None:
        self.side = FlowSide()
        self.outer: dict[int, int] = {}
        self.inner: dict[int, int] = {}

    def add(self, count: int, errors: int, outer: Sketch, inner: Sketch) -> None:
        self.side.count += count
        self.side.errors += errors
        for buckets, found in ((self.outer, outer.buckets), (self.inner, inner.buckets)):
            for index, n in found.items():
                buckets[index] = buckets.get(index, 0) + n

    def whole(self) -> FlowSide:
        self.side.outer = Sketch(buckets=dict(sorted(self.outer.items())))
        self.side.inner = Sketch(buckets=dict(sorted(self.inner.items())))
        return self.side


def _add_flows(side: ServiceSide, windows: list[WindowSummary]) -> None:
    calls: dict[tuple[str, str], _Flow] = {}
    operations: dict[str, _Flow] = {}
    for window in windows:
        side.span_windows += bool(window.operations)
        for call in window.calls:
            flow = calls.get(key := (call.callee, call.operation))
            if flow is None:
                flow = calls[key] = _Flow()
            flow.add(call.count, call.errors, call.caller_latency, call.callee_latency)
        for operation in window.operations:
            flow = operations.get(operation.operation)
            if flow is None:
                flow = operations[operation.operation] = _Flow()
            flow.add(operation.count, operation.errors, operation.duration, operation.self_time)
            flow.side.entries += operation.entry
            side.entries += operation.entry
    side.calls = {key: flow.whole() for key, flow in calls.items()}
    side.operations = {key: flow.whole() for key, flow in operations.items()}
