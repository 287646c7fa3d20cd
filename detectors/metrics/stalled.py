"""Detector: series that always moved stand still, or stay away, while their service goes on.

Quiet by design. All series of one instance that stall together are one finding, and a few of many only
suffice beside other signs. Not told: series that were always constant, stood still before or come now and
then (`course`); zeros and values at their end; series of instances that ended; what changed with a deploy;
all metrics of most services at once, which is the pipeline. What lasts for half an hour is normal then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit
from detectors.evidence import Finding, anomaly, node_of, number, plain_evidence, seconds
from detectors.metrics.course import Course
from detectors.saturation import bound_of
from detectors.state import touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import ACCEPT_AFTER, Runs
from ingest.events import MetricKind
from ingest.record import SECOND, Nanos
from ingest.summary import SeriesWindow, WindowSummary

NAME = "stalled"
VERSION = "1"
MAX_SERIES = 50_000

_SHOWN = 5
"""Series that a finding cites."""
_ENOUGH = 4
"""Series from which on all of an instance's say it surely."""
_ALL = 1.5
_ALONE = 0.2
"""What a finding can have beyond its threshold: where all stand still, and where series stay away."""
_LONGER = 0.1
_PIPELINE = 0.8
"""Share of services (of at least three) whose metrics stay away together when the pipeline stopped."""
_AFTER_CHANGE: Nanos = 600 * SECOND
_FULL = 0.99

ServiceId = tuple[str, str]
SeriesId = tuple[str, str, str]
Named = tuple[str, Course]


@dataclass(slots=True)
class _State:
    series: dict[SeriesId, Course] = field(default_factory=dict)
    changed: dict[ServiceId, Nanos] = field(default_factory=dict)
    """When a service was last changed: what is missing from then on was taken out."""
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))


class Stalled(Stateful[_State]):
    """Flags series that stopped moving or coming."""

    name = NAME
    version = VERSION

    def __init__(self, max_series: int = MAX_SERIES) -> None:
        super().__init__(_State)
        self._max_series = max_series
        self._spoke: dict[ServiceId, WindowSummary] = {}
        """Between the window's first summary and its tick only."""

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        service = (summary.environment, summary.service)
        self._spoke[service] = summary
        if summary.changes:
            self._state.changed[service] = summary.end
            touch(self._state.changed, service, MAX_SERVICES)
        movers: dict[str, int] = {}
        standing: dict[str, list[Named]] = {}
        for window in summary.series:
            course = self._learned(summary, window)
            if course is None or not course.moves():
                continue
            movers[course.instance] = movers.get(course.instance, 0) + 1
            if course.stands() and not _ended(window, course.value):
                standing.setdefault(course.instance, []).append((str(window.key), course))
        return [
            found
            for instance, stalled in sorted(standing.items())
            for found in self._standing(summary, stalled, movers[instance])
        ]

    def _learned(self, summary: WindowSummary, window: SeriesWindow) -> Course | None:
        """Return what is known of a series, this window included; None where it holds no number."""
        values = [value for _, value in window.samples if math.isfinite(value)]
        if not values:
            return None
        name = str(window.key)
        key = (summary.environment, summary.service, name)
        course = self._state.series.get(key)
        if course is None:
            course = Course(
                name=window.key.name, instance=window.key.instance, unit=window.unit, last=summary.start
            )
            self._state.series[key] = course
        touch(self._state.series, key, self._max_series)
        course.came(summary.start, summary.end, values)
        # A total that stands is a rate of zero.
        return None if window.kind is MetricKind.CUMULATIVE else course

    def _standing(self, summary: WindowSummary, stalled: Sequence[Named], movers: int) -> Iterator[Anomaly]:
        for _, course in stalled:
            if summary.end - course.since >= ACCEPT_AFTER:
                course.accept()
        if not (stalled := [one for one in stalled if one[1].run]):
            return
        subject, first = min(stalled, key=lambda one: (one[1].since, one[0]))
        share = len(stalled) / movers * min(1.0, len(stalled) / _ENOUGH)
        score = 1.0 + _ALL * share + _LONGER * math.log2(first.run / first.needed())
        evidence = [
            _evidence(
                summary,
                key,
                course,
                f"{course.name} of {course.instance or summary.service} has been exactly "
                f"{number(course.value)} for {seconds(course.since, summary.end)}; before, it repeated "
                f"itself in {course.repeated} of {course.seen - course.run} windows.",
                score,
            )
            for key, course in stalled[:_SHOWN]
        ]
        reason = f"{_count(stalled)} of {summary.service} stopped moving."
        found = _finding(subject, score, reason, evidence, first.instance)
        yield self._anomaly(summary, found, first.since)

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        """Judge which series did not come, then forget what nothing continues."""
        spoke, self._spoke = self._spoke, {}
        regular: dict[ServiceId, int] = {}
        away: dict[ServiceId, list[tuple[SeriesId, Course]]] = {}
        gone: list[SeriesId] = []
        for key, course in self._state.series.items():
            service = key[:2]
            if end - course.last >= ACCEPT_AFTER:
                gone.append(key)
            elif course.regular():
                regular[service] = regular.get(service, 0) + 1
                if course.missing(end):
                    away.setdefault(service, []).append((key, course))
        for key in gone:
            del self._state.series[key]
        found: list[Anomaly] = []
        stopped = _stopped(regular, away)
        for service in sorted(away):
            if service in spoke and service[0] not in stopped:
                found.extend(self._missing(spoke[service], away[service], regular[service]))
        self._state.runs.prune(end)
        return found

    def _missing(
        self, summary: WindowSummary, away: Sequence[tuple[SeriesId, Course]], regular: int
    ) -> Iterator[Anomaly]:
        """Yield one finding for each instance that goes on without some of its series."""
        changed = self._state.changed.get((summary.environment, summary.service))
        lives = {*summary.instances, *(window.key.instance for window in summary.series), ""}
        instances: dict[str, list[Named]] = {}
        for (_, _, name), course in sorted(away):
            since_change = None if changed is None else course.last - changed
            replaced = since_change is not None and abs(since_change) <= _AFTER_CHANGE
            if course.instance in lives and not replaced:
                instances.setdefault(course.instance, []).append((name, course))
        for instance, stalled in sorted(instances.items()):
            subject, first = min(stalled, key=lambda one: (one[1].last, one[0]))
            score = 1.0 + _ALONE * min(1.0, len(stalled) / min(regular, _ENOUGH))
            evidence = [
                _evidence(
                    summary,
                    key,
                    course,
                    f"{course.name} of {instance or summary.service} has not been reported for "
                    f"{seconds(course.last, summary.end)}; before, it came in {course.seen} windows, at "
                    f"most {number(course.pause / SECOND)} s apart.",
                    score,
                )
                for key, course in stalled[:_SHOWN]
            ]
            reason = f"{_count(stalled)} of {summary.service} stopped being reported."
            found = _finding(subject, score, reason, evidence, instance)
            yield self._anomaly(summary, found, first.last)

    def _anomaly(self, summary: WindowSummary, finding: Finding, since: Nanos) -> Anomaly:
        key = (summary.environment, summary.service, finding.subject)
        run = self._state.runs.open.get(key)
        if run is None or run.since != since:
            self._state.runs.open.pop(key, None)
        run = self._state.runs.extend(key, since, summary.end)
        return anomaly(summary.environment, summary.service, run, finding, node_of(summary, finding.instance))


def _finding(subject: str, score: float, reason: str, evidence: Sequence[Evidence], instance: str) -> Finding:
    return Finding(
        detector=NAME,
        subject=subject,
        direction=Direction.GONE,
        hit=Hit.OTHER,
        score=score,
        threshold=1.0,
        reason=reason,
        evidence=tuple(evidence),
        instance=instance or None,
    )


def _stopped(regular: Mapping[ServiceId, int], away: Mapping[ServiceId, Sequence[object]]) -> set[str]:
    """Return the environments in which the metrics of most services stay away altogether."""
    services: dict[str, list[bool]] = {}
    for service, number_of in regular.items():
        services.setdefault(service[0], []).append(len(away.get(service, ())) == number_of)
    return {
        environment
        for environment, silent in services.items()
        if len(silent) >= 3 and sum(silent) >= _PIPELINE * len(silent)
    }


def _ended(window: SeriesWindow, value: float) -> bool:
    """Say whether a share stands at its end: then it is used up, not stuck."""
    bound = bound_of(window)
    return bound is not None and value >= _FULL * bound


def _count(stalled: Sequence[Named]) -> str:
    return stalled[0][1].name if len(stalled) == 1 else f"{len(stalled)} series"


def _evidence(summary: WindowSummary, subject: str, course: Course, statement: str, score: float) -> Evidence:
    return plain_evidence(
        summary,
        EvidenceKind.METRIC,
        subject,
        statement,
        label=subject,
        score=score,
        observed=course.value,
        unit=course.unit,
        instance=course.instance or None,
    )
