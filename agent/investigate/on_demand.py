"""The same investigation, asked for by a person: any interval, without an incident having been detected.

Pure but for what the reader reads: telemetry in, an analysis of the statistics stage out. Nothing is stored
or sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.analysis import Analysis, Incident, IncidentState, Severity, Stage
from agent.investigate.gather import Gather, TelemetryReader
from agent.investigate.graph import Investigation, Nodes
from agent.investigate.remediate import Retrieve
from agent.investigate.state import Request
from agent.investigate.write import Write
from detectors.anomaly import Anomaly
from ingest.record import Nanos


class NothingThereError(Exception):
    """The interval holds no telemetry; the message says what to give instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person asks about; `baseline` are the intervals that count as normal."""

    environment: str
    start: Nanos
    end: Nanos
    baseline: tuple[tuple[Nanos, Nanos], ...]


class _NoAnomalies:
    """Nothing was detected, somebody asked."""

    def anomalies(self, incident_id: str) -> tuple[Anomaly, ...]:
        """Return none."""
        del incident_id
        return ()


def investigate_now(
    reader: TelemetryReader,
    question: Question,
    *,
    clock: Callable[[], float],
    edges: Sequence[tuple[str, str]] = (),
) -> tuple[Incident, Analysis]:
    """Return a stand-in incident and its analysis; raises `NothingThereError` without telemetry."""
    windows = reader.telemetry(question.environment, question.start, question.end)
    if not windows:
        raise NothingThereError(
            f"no telemetry of environment {question.environment} in that interval; "
            "give another --since and --until, or another --environment"
        )
    services = tuple(sorted({window.service for window in windows}))
    named = f"{question.environment}|{question.start}|{question.end}"
    incident = Incident(
        id=f"ask_{hashlib.sha256(named.encode()).hexdigest()[:16]}",
        environment=question.environment,
        state=IncidentState.OPEN,
        severity=Severity.INFO,
        services=services,
        anomaly_ids=(),
        title="an interval that somebody asked about",
        onset=question.start,
        opened_at=question.start,
        last_anomaly_at=question.end,
        revision=1,
    )
    request = Request(
        incident=incident,
        as_of=question.end,
        window=(question.start, question.end),
        baseline=question.baseline,
    )
    write = Write(stage=Stage.STATISTICS, context=_NoAnomalies(), publish=lambda _: None, clock=clock)
    nodes = Nodes(
        gather=Gather(reader, tuple(edges)),
        retrieve=Retrieve(None),
        state_facts=write,
        hypothesise=None,
        write=write,
    )
    return incident, Investigation(nodes, clock=clock).run(request, incident.id)
