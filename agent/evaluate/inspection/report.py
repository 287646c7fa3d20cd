"""What the page and the terminal show of a recording: facts, marks, services by how strongly they changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.evaluate.inspection.changes import Change
from agent.evaluate.inspection.lines import Template
from agent.evaluate.inspection.meaning import family
from agent.evaluate.inspection.samples import Series
from agent.evaluate.inspection.shape import Layout, Span
from agent.evaluate.inspection.tracks import Grid
from ingest.record import Nanos


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Something that happened. `harmless` says that it is known not to be the fault."""

    time: Nanos
    what: str
    service: str = ""
    harmless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What `truth.jsonl` says, as far as it does."""

    service: str
    fault: str
    mechanism: str
    signal: str
    postmortem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Spans of one name, or calls of one callee. Per side: a second, failed %, p95 in s (None: no spans)."""

    callee: str
    name: str
    before: tuple[float, float, float] | None
    during: tuple[float, float, float] | None
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A resource's series, the most changed first, and how much of it there is (None: not told)."""

    family: str
    changes: tuple[Change, ...]
    capacity: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceReport:
    """One service, everything about it that is drawn or told."""

    name: str
    strength: float
    changes: Mapping[str, Change]
    """By track name: what came from spans, logs, or metrics in their place."""
    resources: tuple[Resource, ...]
    metrics: tuple[Change, ...]
    """Other series that changed, the most changed first."""
    series: int
    levels: tuple[Sequence[float], ...]
    """Lines a minute in every cell, by level."""
    templates: tuple[Template, ...]
    operations: tuple[Operation, ...]
    happened: tuple[Mark, ...]

    @property
    def leading(self) -> tuple[Change, ...]:
        """Return the changes that say most, of every kind."""
        best = [resource.changes[0] for resource in self.resources]
        named = [change for name, change in self.changes.items() if name not in {"p50", "lines"}]
        found = [change for change in (*named, *best) if change.harm >= 3 or abs(change.score) >= 6]
        if not found:
            own = [c for c in self.metrics if family(series_of(c)) not in {"machine", "network"}]
            found = [c for c in (*self.changes.values(), *own[:1]) if abs(c.score) >= 4]
        return tuple(sorted(found, key=lambda change: -change.harm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A recording as it is shown."""

    id: str
    system: str
    symptom: str
    signals: Mapping[str, int]
    notes: tuple[str, ...]
    truth: Told | None
    quiet: bool
    """The truth says that nothing was wrong."""
    incident: Span | None
    baseline: Mapping[str, tuple[Span, ...]]
    layout: Layout
    grid: Grid
    marks: tuple[Mark, ...]
    services: tuple[ServiceReport, ...]

    @property
    def notable(self) -> tuple[ServiceReport, ...]:
        """Return the services with a change worth telling."""
        return tuple(service for service in self.services if service.leading)


def series_of(change: Change) -> Series:
    """Return the series that a metric's change is about."""
    assert change.track.series is not None
    return change.track.series
