"""What is counted of each service while its recording streams by: requests, failures, latency, log lines.

Memory holds counts and sketches a bin, operation and peer, never events: it grows with services and bins, not
with the length of a recording. Services and operations past a limit are counted together under one name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from agent.evaluate.inspection.bins import Bins
from ingest.events import ChangeEvent, LogEvent, SpanEvent, SpanKind
from ingest.record import SECOND
from ingest.sketch import bucket

OTHERS = "(others)"
MOST_SERVICES = 1_000
_MOST_OPERATIONS = 100
_MOST_CHANGES = 50
LEVELS = ("info", "warning", "error")


@dataclass(slots=True)
class Flow:
    """Spans: how many, how many failed, and their durations as DDSketch buckets of seconds."""

    count: int = 0
    errors: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, span: SpanEvent, place: int) -> None:
        """Count a span whose duration lies in bucket `place`."""
        self.count += 1
        self.errors += span.error
        self.buckets[place] = self.buckets.get(place, 0) + 1

    def take(self, other: Flow) -> None:
        """Add another flow's counts."""
        self.count += other.count
        self.errors += other.errors
        for place, count in other.buckets.items():
            self.buckets[place] = self.buckets.get(place, 0) + count


@dataclass(slots=True)
class ServiceTally:
    """One service. Bins are numbers."""

    requests: dict[int, Flow] = field(default_factory=dict)
    lines: dict[int, list[int]] = field(default_factory=dict)
    """Bin to lines per level of `LEVELS`."""
    operations: dict[tuple[str, str], dict[int, Flow]] = field(default_factory=dict)
    """(callee or "", operation) to flows by phase: 0 in normal times, 1 in the incident."""
    changes: list[ChangeEvent] = field(default_factory=list)


class Tallies:
    """All services of one recording."""

    def __init__(self, bins: Bins) -> None:
        self._bins = bins
        self.services: dict[str, ServiceTally] = {}
        self.outcomes = False
        """Whether spans say how they ended: a source that knows no kinds knows no status either."""
        bins.listeners.append(self._widen)

    def service(self, name: str) -> str:
        """Return the name that a service is kept under, its own while there is room."""
        if name not in self.services:
            if len(self.services) >= MOST_SERVICES:
                name = OTHERS
            self.services.setdefault(name, ServiceTally())
        return name

    def log(self, event: LogEvent) -> None:
        """Count a line by its severity."""
        tally = self.services[self.service(event.resource.service)]
        level = 0 if event.severity_number < 13 else 1 if event.severity_number < 17 else 2
        number = self._bins.of(event.time)
        tally.lines.setdefault(number, [0] * len(LEVELS))[level] += 1

    def span(self, span: SpanEvent, *, entry: bool, callee: str, phase: int | None) -> None:
        """Count a span as a request, or as a call of another service; both by operation."""
        tally = self.services[self.service(span.resource.service)]
        place = bucket(max(span.end - span.start, 0) / SECOND)
        self.outcomes = self.outcomes or span.error or span.kind is not SpanKind.UNKNOWN
        number = self._bins.of(span.start)
        if entry:
            tally.requests.setdefault(number, Flow()).add(span, place)
        elif not callee:
            return
        if phase is None:
            return
        key = (callee, span.name)
        if key not in tally.operations and len(tally.operations) >= _MOST_OPERATIONS:
            key = (callee, OTHERS) if (callee, OTHERS) in tally.operations else ("", OTHERS)
        tally.operations.setdefault(key, {}).setdefault(phase, Flow()).add(span, place)

    def change(self, event: ChangeEvent) -> None:
        """Keep a change event."""
        tally = self.services[self.service(event.resource.service)]
        if len(tally.changes) < _MOST_CHANGES:
            tally.changes.append(event)

    def thin(self, enough: int) -> bool:
        """Return whether an ordinary service's ordinary bin holds fewer than `enough` requests."""
        usual = [
            median(flow.count for flow in tally.requests.values())
            for tally in self.services.values()
            if tally.requests
        ]
        return bool(usual) and median(usual) < enough

    def _widen(self, factor: int) -> None:
        for tally in self.services.values():
            requests: dict[int, Flow] = {}
            for number, flow in tally.requests.items():
                requests.setdefault(number // factor, Flow()).take(flow)
            tally.requests = requests
            lines: dict[int, list[int]] = {}
            for number, counts in tally.lines.items():
                kept = lines.setdefault(number // factor, [0] * len(LEVELS))
                for level, count in enumerate(counts):
                    kept[level] += count
            tally.lines = lines
