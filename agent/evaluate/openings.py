"""`faultline eval incidents`: every recording through the service's own stages, counting what opens.

A replay as in production, with the recording's time, up to the incidents and without store or
investigation. The detectors learn from the first two thirds of each signal's (shifted) baseline; what
opens on the last third is a false page, what opens inside the incident is a fault found. In a quiet
recording anything that opens is a false page. An incident that comes again counts as opening.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.analysis import ChangeKind, IncidentChange
from agent.evaluate.data import DataError, labels, systems
from agent.evaluate.figures import Figures, share
from agent.pipeline import Pipeline
from detectors.anomaly import Anomaly, EvidenceKind
from ingest.record import SECOND, Nanos
from ingest.recordings import Interval, Recording

Edges = tuple[tuple[str, str], ...]
TICK: Nanos = SECOND
EMPTY_EVERY: Nanos = 60 * SECOND
"""How often what the replay would store is let go of."""

_SIGNALS = {
    EvidenceKind.LOG: "logs",
    EvidenceKind.METRIC: "metrics",
    EvidenceKind.CALL: "spans",
    EvidenceKind.OPERATION: "spans",
    EvidenceKind.CHANGE: "changes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """An incident that opened (or came again) at stream time `at`, and the signals that it rests on."""

    at: Nanos
    signals: frozenset[str]
    """Empty where it rests on what was not there: silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What opened in one labelled recording."""

    fault: bool
    baseline: bool


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    pipeline: Callable[[Edges], Pipeline],
    on_case: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Return the figures per system; `pipeline` makes a fresh one for the topology of a recording."""
    figures: Figures = {}
    for system in systems(data, only):
        known = labels(system)
        faults = [_judged(system, truth.id, pipeline, on_case) for truth in known.truths]
        quiet = [_noisy(system, identity, pipeline, on_case) for identity in known.quiet]
        group: dict[str, float] = {}
        if faults:
            group["opened_fault"] = share(one.fault for one in faults)
            group["opened_baseline"] = share(one.baseline for one in faults)
            group["cases"] = len(faults)
        if quiet:
            group["opened_quiet"] = share(quiet)
            group["quiet"] = len(quiet)
        if group:
            figures[system.name] = group
    if not figures:
        raise DataError(f"{data}: the truth.jsonl files name no recordings")
    return figures


def openings(recording: Recording, pipeline: Pipeline) -> list[Opening]:
    """Replay a recording and return what opens, in order of time."""
    changes: list[IncidentChange] = []
    anomalies: dict[str, Anomaly] = {}

    def empty() -> None:
        outcome = pipeline.outcome()
        anomalies.update((anomaly.id, anomaly) for _, anomaly in outcome.anomalies)
        changes.extend(outcome.changes)

    ticked = emptied = None
    for at, record in recording.records():
        if ticked is None or at - ticked >= TICK:
            pipeline.tick(at)
            ticked = at
        if emptied is None or at - emptied >= EMPTY_EVERY:
            empty()
            emptied = at
        pipeline.take(record, at)
    pipeline.finish()
    empty()
    return [
        Opening(at=change.at, signals=_signals(change, anomalies))
        for change in changes
        if change.kind in (ChangeKind.OPENED, ChangeKind.REOPENED)
    ]


def _signals(change: IncidentChange, anomalies: dict[str, Anomaly]) -> frozenset[str]:
    members = [anomalies[identity] for identity in change.incident.anomaly_ids if identity in anomalies]
    kinds = {evidence.kind for anomaly in members for evidence in anomaly.evidence}
    return frozenset(_SIGNALS[kind] for kind in kinds if kind in _SIGNALS)


def judged(found: Sequence[Opening], incident: Interval, baseline: dict[str, Interval]) -> Opened:
    """Say where incidents opened; the time of an opening is the end of the window that led to it."""
    return Opened(
        fault=any(incident.start < one.at <= incident.end for one in found),
        baseline=any(_in_last_third(one, baseline) for one in found),
    )


def _in_last_third(opening: Opening, baseline: dict[str, Interval]) -> bool:
    """Any signal that the opening rests on counts; all do where it rests on silence."""
    return any(
        interval.start + interval.length * 2 // 3 < opening.at <= interval.end
        for signal, interval in baseline.items()
        if signal in opening.signals or not opening.signals
    )


def _judged(
    system: Path, identity: str, pipeline: Callable[[Edges], Pipeline], on_case: Callable[[str], None]
) -> Opened:
    recording = Recording(system / identity)
    incident = recording.intervals().incident
    if incident is None:
        raise DataError(f"{recording.path}: has a root cause but no incident interval")
    opened = judged(openings(recording, pipeline(_edges(recording))), incident, recording.shifted_baseline())
    on_case(f"{system.name} {identity} fault {opened.fault} baseline {opened.baseline}")
    return opened


def _noisy(
    system: Path, identity: str, pipeline: Callable[[Edges], Pipeline], on_case: Callable[[str], None]
) -> bool:
    recording = Recording(system / identity)
    found = openings(recording, pipeline(_edges(recording)))
    on_case(f"{system.name} {identity} quiet, {len(found)} opened")
    return bool(found)


def _edges(recording: Recording) -> Edges:
    return tuple((caller, callee) for caller, callee in recording.topology.get("edges", ()))
