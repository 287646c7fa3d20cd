"""The one pass over a recording: events in, counts, samples and templates out.

Blocks on the disk. Every event is counted once and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agent.evaluate.inspection.bins import Bins
from agent.evaluate.inspection.entries import Entries, Told
from agent.evaluate.inspection.lines import Lines
from agent.evaluate.inspection.reading import Read, events
from agent.evaluate.inspection.samples import Samples
from agent.evaluate.inspection.shape import Span
from agent.evaluate.inspection.tallies import Tallies
from ingest.events import ChangeEvent, LogEvent, MetricPoint, SpanEvent
from ingest.record import Nanos
from ingest.recordings import Interval, Recording


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """When things were normal, by signal, and when the incident was. Intervals are [start, end)."""

    baseline: Mapping[str, tuple[Span, ...]]
    incident: Span | None

    def of(self, signal: str, time: Nanos) -> int | None:
        """Return 0 in normal times, 1 in the incident, None where the recording claims neither."""
        if self.incident is not None and self.incident[0] <= time < self.incident[1]:
            return 1
        listed = self.baseline.get(signal)
        if listed is None or any(start <= time < end for start, end in listed):
            return 0
        return None


@dataclass(slots=True, kw_only=True)
class Gathered:
    """Everything that was counted."""

    phases: Phases
    bins: Bins = field(default_factory=Bins)
    tallies: Tallies = field(init=False)
    samples: Samples = field(default_factory=Samples)
    lines: Lines = field(default_factory=Lines)
    read: Read = field(default_factory=Read)

    def __post_init__(self) -> None:
        self.tallies = Tallies(self.bins)


def gather(recording: Recording, tell: Callable[[str], None]) -> Gathered:
    """Read a recording once; `tell` hears how far it is."""
    intervals = recording.intervals()
    incident = _span(intervals.incident) if intervals.incident else None
    baseline = {signal: tuple(map(_span, found)) for signal, found in intervals.baseline.items()}
    made = Gathered(phases=Phases(baseline=baseline, incident=incident))
    entries = Entries()
    for event in events(recording.path, made.read, tell):
        if isinstance(event, SpanEvent):
            for told in entries.add(event):
                _span_counted(made, told)
        elif isinstance(event, LogEvent):
            made.tallies.log(event)
            service = made.tallies.service(event.resource.service)
            made.lines.add(event, service, made.phases.of("logs", event.time))
        elif isinstance(event, MetricPoint):
            made.samples.add(event, made.tallies.service(event.resource.service))
        elif isinstance(event, ChangeEvent):
            made.tallies.change(event)
    for told in entries.rest():
        _span_counted(made, told)
    return made


def _span_counted(made: Gathered, told: Told) -> None:
    span, entry, callee = told
    made.tallies.span(span, entry=entry, callee=callee, phase=made.phases.of("spans", span.start))


def _span(interval: Interval) -> Span:
    return interval.start, interval.end
