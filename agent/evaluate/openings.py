"""`faultline eval incidents`: every recording through the service's own stages, counting what opens.

A replay as in production, with the recording's time, up to the incidents and without store or
investigation. The detectors learn from the first two thirds of each signal's (shifted) baseline; what
opens on the last third is a false page, what opens inside the incident is a fault found. In a quiet
recording anything that opens is a false page. An incident that comes again counts as opening. A quiet
recording that is held out from some time on counts there for what opens from then on.

How soon an incident opens is counted from when the fault began, as the recording's truth has it. No effect
of a fault can be seen before that, so from the first visible effect on it is as soon or sooner.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.analysis import ChangeKind, IncidentChange
from agent.evaluate.data import DataError, Quiet, Truth, labels, systems
from agent.evaluate.figures import Figures, Group, parts, share
from agent.pipeline import Pipeline
from detectors.anomaly import Anomaly, EvidenceKind
from ingest.record import SECOND, Nanos
from ingest.recordings import Interval, Recording

Edges = tuple[tuple[str, str], ...]
TICK: Nanos = SECOND
HOUR: Nanos = 3600 * SECOND
SOON = (60, 30)
"""Seconds from a fault's beginning within which an opening is soon."""
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
    held_out: bool = False
    delay: Nanos | None = None
    """From the incident's start to the first opening inside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A quiet recording, or the part of one that is held out or is not: how often an incident opened."""

    opened: int
    length: Nanos
    held_out: bool


def evaluate(
    data: Path,
    only: Sequence[str] = (),
    *,
    pipeline: Callable[[Edges], Pipeline],
    on_case: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Return the figures per system; `pipeline` makes a fresh one for the topology of a recording."""
    counted: Figures = {}
    for system in systems(data, only):
        known = labels(system)
        faults = [_judged(system, truth, pipeline, on_case) for truth in known.truths]
        quiet = [_stills(system, label, pipeline, on_case) for label in known.quiet]
        judged: list[Opened | Still] = [*faults, *(still for parted in quiet for still in parted)]
        groups = {group: figures(members) for group, members in parts(system.name, judged).items()}
        if groups:
            groups[system.name] = figures([*faults, *map(_whole, quiet)])
        counted |= groups
    if not counted:
        raise DataError(f"{data}: the truth.jsonl files name no recordings")
    return counted


def figures(judged: Sequence[Opened | Still]) -> Group:
    """Return the figures of one group of recordings."""
    faults = [one for one in judged if isinstance(one, Opened)]
    quiet = [one for one in judged if isinstance(one, Still)]
    group: Group = {}
    if faults:
        group["opened_fault"] = share(one.fault for one in faults)
        group["opened_baseline"] = share(one.baseline for one in faults)
        group["cases"] = len(faults)
        group |= _delays([one.delay for one in faults])
    if quiet:
        group["opened_quiet"] = share(one.opened > 0 for one in quiet)
        group["quiet"] = len(quiet)
        group["quiet_openings"] = sum(one.opened for one in quiet)
        hours = sum(one.length for one in quiet) / HOUR
        group["quiet_per_hour"] = sum(one.opened for one in quiet) / hours if hours else 0.0
    return group


def _delays(delays: Sequence[Nanos | None]) -> Group:
    """Return how many faults opened how soon, and the median over those that did; what did not is late."""
    opened = [delay / SECOND for delay in delays if delay is not None]
    group: Group = {f"within_{soon}s": sum(delay <= soon for delay in opened) / len(delays) for soon in SOON}
    return group | ({"delay_median_seconds": statistics.median(opened)} if opened else {})


def _whole(stills: Sequence[Still]) -> Still:
    """Return a recording's parts as one; only what is held out altogether stays held out."""
    return Still(
        opened=sum(one.opened for one in stills),
        length=sum(one.length for one in stills),
        held_out=all(one.held_out for one in stills),
    )


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
    inside = [one.at for one in found if incident.start < one.at <= incident.end]
    return Opened(
        fault=bool(inside),
        baseline=any(_in_last_third(one, baseline) for one in found),
        delay=min(inside) - incident.start if inside else None,
    )


def _in_last_third(opening: Opening, baseline: dict[str, Interval]) -> bool:
    """Any signal that the opening rests on counts; all do where it rests on silence."""
    return any(
        interval.start + interval.length * 2 // 3 < opening.at <= interval.end
        for signal, interval in baseline.items()
        if signal in opening.signals or not opening.signals
    )


def _judged(
    system: Path, truth: Truth, pipeline: Callable[[Edges], Pipeline], on_case: Callable[[str], None]
) -> Opened:
    recording = Recording(system / truth.id)
    incident = recording.intervals().incident
    if incident is None:
        raise DataError(f"{recording.path}: has a root cause but no incident interval")
    opened = judged(openings(recording, pipeline(_edges(recording))), incident, recording.shifted_baseline())
    after = "" if opened.delay is None else f" after {opened.delay / SECOND:.0f} s"
    on_case(f"{system.name} {truth.id} fault {opened.fault}{after} baseline {opened.baseline}")
    return replace(opened, held_out=truth.held_out)


def _stills(
    system: Path, label: Quiet, pipeline: Callable[[Edges], Pipeline], on_case: Callable[[str], None]
) -> list[Still]:
    recording = Recording(system / label.id)
    found = [one.at for one in openings(recording, pipeline(_edges(recording)))]
    on_case(f"{system.name} {label.id} quiet, {len(found)} opened")
    return stills(found, label, [one for part in recording.intervals().baseline.values() for one in part])


def stills(found: Sequence[Nanos], label: Quiet, baseline: Sequence[Interval]) -> list[Still]:
    """Return the parts of a quiet recording by what is held out of it; `found` are times of openings."""
    start = min((one.start for one in baseline), default=0)
    end = max((one.end for one in baseline), default=0)
    since = label.held_out_from
    if label.held_out or since is None or not start < since < end:
        return [Still(opened=len(found), length=end - start, held_out=label.held_out)]
    early = sum(at <= since for at in found)
    return [
        Still(opened=early, length=since - start, held_out=False),
        Still(opened=len(found) - early, length=end - since, held_out=True),
    ]


def _edges(recording: Recording) -> Edges:
    return tuple((caller, callee) for caller, callee in recording.topology.get("edges", ()))
