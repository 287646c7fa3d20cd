"""A labelled recording as a case: both sides of the comparison, summarised as the service does.

Reads one recording; memory holds no more than it and its summaries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.analysis import Incident, IncidentState, Severity
from agent.evaluate.data import DataError, Truth
from agent.investigate import Request
from agent.suspects import Sides
from ingest.decode import Decode
from ingest.events import AlertEvent, Event, SpanEvent, TopicDefaults
from ingest.record import SECOND, Nanos
from ingest.recordings import Recording
from ingest.redaction import Redactor
from ingest.summary import ClosedWindow, WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows

ENVIRONMENT = "default"
FOREVER: Nanos = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One recording with both sides summarised; serves as the investigation's telemetry reader."""

    truth: Truth
    start: Nanos
    end: Nanos
    before: tuple[WindowSummary, ...]
    during: tuple[WindowSummary, ...]
    edges: tuple[tuple[str, str], ...]

    def telemetry(
        self, environment: str, start: Nanos, end: Nanos, services: Sequence[str] | None = None
    ) -> tuple[WindowSummary, ...]:
        """Return the side that [start, end) stands for."""
        del environment, end, services
        return self.during if start >= self.start else self.before

    @property
    def environment(self) -> str:
        """Return the environment that the telemetry is of."""
        return self.during[0].environment if self.during else ENVIRONMENT

    def sides(self) -> Sides:
        """Return the comparison that the investigation makes."""
        return Sides.of(baseline=self.before, incident=self.during, given=self.edges)

    def request(self) -> Request:
        """Return the request that asks about the incident, given both intervals."""
        services = tuple(sorted({window.service for window in self.during}))
        incident = Incident(
            id=f"inc_{self.truth.id}",
            environment=self.environment,
            state=IncidentState.OPEN,
            severity=Severity.ERROR,
            services=services,
            anomaly_ids=(),
            title="an incident given by its interval",
            onset=self.start,
            opened_at=self.start,
            last_anomaly_at=self.end,
            revision=1,
        )
        return Request(
            incident=incident, as_of=self.end, window=(self.start, self.end), baseline=((0, self.start),)
        )


def load(system: Path, truth: Truth, without: frozenset[str] = frozenset()) -> Case:
    """Return the case, read through the service's own decoding, redaction and windows.

    Signals in `without` (logs, metrics, spans, changes) are left unread, and so is the topology with spans.
    """
    recording = Recording(system / truth.id)
    incident = recording.intervals().incident
    if incident is None:
        raise DataError(f"{recording.path}: has a root cause but no incident interval")
    return _case(recording, truth, incident.start, incident.end, without)


def read_case(folder: Path, start: Nanos | None = None, end: Nanos | None = None) -> Case:
    """Return a recording as a case without a label: the given interval, by default its incident's.

    Raises `DataError` where neither is known.
    """
    recording = Recording(folder)
    incident = recording.intervals().incident
    if incident is not None:
        start = incident.start if start is None else start
        end = incident.end if end is None else end
    if start is None:
        raise DataError(f"{folder}: has no incident interval; give --since")
    nobody = Truth(id=recording.id, service="", fault="")
    return _case(recording, nobody, start, FOREVER if end is None else end)


def _case(
    recording: Recording, truth: Truth, start: Nanos, end: Nanos, without: frozenset[str] = frozenset()
) -> Case:
    before, during = _split(recording, start, end, without)
    templates = Templates()
    return Case(
        truth=truth,
        start=start,
        end=max((event_time(event) for event in during), default=start) + 1 if end == FOREVER else end,
        before=_summarised(before, templates),
        during=_summarised(during, templates),
        edges=() if "spans" in without else edges_of(recording),
    )


def event_time(event: Event) -> Nanos:
    """Return when an event happened; a span, when it began."""
    return event.start if isinstance(event, SpanEvent) else event.time


def edges_of(recording: Recording) -> tuple[tuple[str, str], ...]:
    """Return the (caller, callee) pairs that come with a recording."""
    return tuple((caller, callee) for caller, callee in recording.topology.get("edges", []))


def _split(
    recording: Recording, start: Nanos, end: Nanos, without: frozenset[str] = frozenset()
) -> tuple[list[Event], list[Event]]:
    decode = Decode({"^recording\\..*": TopicDefaults(format="json", environment=ENVIRONMENT)})
    redactor = Redactor(b"evaluation only!")
    before: list[Event] = []
    during: list[Event] = []
    for time, record in recording.records():
        if record.origin.topic.rpartition(".")[2] in without:
            continue
        for event in decode.decode(record, time).events:
            began = event_time(event)
            if began < end:
                (during if began >= start else before).append(redactor.redact(event))
    return before, during


def _summarised(events: Sequence[Event], templates: Templates) -> tuple[WindowSummary, ...]:
    windows = Windows(templates)
    closed: list[ClosedWindow] = []
    partition, ticked = ("recording", 0), 0
    for event in events:
        if isinstance(event, AlertEvent):
            continue
        time = event.time
        windows.add(event, partition=partition, wall=time)
        # Events come in order of time, so none is late however seldom windows are closed.
        if time - ticked >= SECOND:
            ticked = time
            closed.extend(windows.advance(time))
    closed.extend(windows.flush())
    return tuple(summary for window in closed for summary in window.summaries)
