"""Labelled recordings as cases: both sides of the comparison, and what was really broken.

Reads any folder laid out like the reference data: `<data>/<system>/truth.jsonl` beside one folder per
case. Nothing depends on a system's name. Memory holds one case at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.analysis import Incident, IncidentState, Severity
from agent.investigate import Request
from ingest.decode import Decode
from ingest.events import AlertEvent, Event, SpanEvent, TopicDefaults
from ingest.record import Nanos
from ingest.recordings import Recording
from ingest.redaction import Redactor
from ingest.summary import ClosedWindow, WindowSummary
from ingest.templates import Templates
from ingest.windows import Windows

ENVIRONMENT = "default"


class DataError(Exception):
    """The data folder does not hold what the evaluation needs; the message says what it looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What was broken. `fold` maps services to the one they count as."""

    id: str
    service: str
    fault: str
    fold: Mapping[str, str] = field(default_factory=dict)


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

    def request(self) -> Request:
        """Return the request that asks about the incident, given both intervals."""
        services = tuple(sorted({window.service for window in self.during}))
        environment = self.during[0].environment if self.during else ENVIRONMENT
        incident = Incident(
            id=f"inc_{self.truth.id}",
            environment=environment,
            state=IncidentState.OPEN,
            severity=Severity.ERROR,
            services=services,
            anomaly_ids=(),
            title=self.truth.id,
            onset=self.start,
            opened_at=self.start,
            last_anomaly_at=self.end,
            revision=1,
        )
        return Request(
            incident=incident, as_of=self.end, window=(self.start, self.end), baseline=((0, self.start),)
        )


def systems(data: Path, only: Sequence[str] = ()) -> list[Path]:
    """Return the folders with a `truth.jsonl`: `data` itself, its children, or those of its `rca` folder."""
    found: list[Path] = []
    for base in (data, data / "rca"):
        if (base / "truth.jsonl").is_file():
            found.append(base)
        if base.is_dir():
            found += sorted(path.parent for path in base.glob("*/truth.jsonl"))
        if found:
            break
    chosen = [path for path in found if not only or path.name in only]
    if not chosen:
        wanted = f" named {', '.join(only)}" if only else ""
        raise DataError(f"{data}: no folder{wanted} with a truth.jsonl; give --data the folder of recordings")
    return chosen


def truths(system: Path) -> list[Truth]:
    """Return the system's labelled cases that have a recording and a root cause, in file order."""
    found = []
    for number, line in enumerate((system / "truth.jsonl").read_text(encoding="utf-8").splitlines(), start=1):
        try:
            item = json.loads(line)
            cause = item.get("root_cause")
            if cause is None:
                continue
            found.append(
                Truth(
                    id=item["id"],
                    service=cause["service"],
                    fault=str(cause.get("fault", "")),
                    fold=item.get("fold", {}),
                )
            )
        except (ValueError, KeyError, AttributeError) as error:
            raise DataError(f"{system / 'truth.jsonl'}:{number}: {error!r}") from error
    return found


def load(system: Path, truth: Truth) -> Case:
    """Return the case, read through the service's own decoding, redaction and windows."""
    recording = Recording(system / truth.id)
    incident = recording.intervals().incident
    if incident is None:
        raise DataError(f"{recording.path}: has a root cause but no incident interval")
    before, during = _split(recording, incident.start)
    templates = Templates()
    return Case(
        truth=truth,
        start=incident.start,
        end=incident.end,
        before=_summarised(before, templates),
        during=_summarised(during, templates),
        edges=tuple((caller, callee) for caller, callee in recording.topology.get("edges", [])),
    )


def _split(recording: Recording, start: Nanos) -> tuple[list[Event], list[Event]]:
    decode = Decode({"^recording\\..*": TopicDefaults(format="json", environment=ENVIRONMENT)})
    redactor = Redactor(b"evaluation only!")
    before: list[Event] = []
    during: list[Event] = []
    for time, record in recording.records():
        for event in decode.decode(record, time).events:
            began = event.start if isinstance(event, SpanEvent) else event.time
            (during if began >= start else before).append(redactor.redact(event))
    return before, during


def _summarised(events: Sequence[Event], templates: Templates) -> tuple[WindowSummary, ...]:
    windows = Windows(templates)
    closed: list[ClosedWindow] = []
    for event in events:
        if not isinstance(event, AlertEvent):
            windows.add(event, partition=("recording", 0), wall=event.time)
            closed.extend(windows.advance(event.time))
    closed.extend(windows.flush())
    return tuple(summary for window in closed for summary in window.summaries)


def iterate(data: Path, only: Sequence[str] = ()) -> Iterator[tuple[str, Case]]:
    """Yield (system name, case) of every labelled case."""
    for system in systems(data, only):
        for truth in truths(system):
            yield system.name, load(system, truth)
