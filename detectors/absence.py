"""Detector: what a service did for its requests it does no more, though the requests go on coming.

An early return or a swallowed exception leaves latencies and error shares alone; what shows is a line, a span
or a call that no longer comes. Each is counted against the requests that entered its service: all of them,
and those kinds that have nearly always been there when it came. The kindest of these counts, so another mix
of customers is no finding. How surprising an absence is follows from how many were due and from how few were
ever seen (the prediction for a Poisson count after others); it is held against the longest absences that
ended by themselves. A line in place of which another came is the same line in other words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit
from detectors.evidence import (
    WARNING,
    Finding,
    anomaly,
    log_evidence,
    node_of,
    number,
    plain_evidence,
    sounds_like_failure,
)
from detectors.state import touch
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import TemplateCount, WindowSummary

NAME = "absence"
VERSION = "1"
THRESHOLD = Threshold(value=7.5, consecutive=3, extreme=math.inf)
"""In natural logarithms of how unlikely an absence is, once ordinary absences are taken off."""
MAX_SUBJECTS = 500
"""Lines, operations and calls a service."""
MAX_KINDS = 12

_ALL = ""
_FADE = 0.5 ** (1 / 360)
"""Per window in which it came: an hour of ten-second windows counts half."""
_TIED = 0.9
"""Share of a subject's occurrences that a kind of request must have been there for to explain them."""
_FEWEST = 6.0
"""Occurrences of what can be missed, and windows from the first to the last of them."""
_USUAL = 4.0
"""Absences up to here are everyone's; where longer ones ended by themselves, the unit grows with them."""
_PRIOR = 3.0
"""Windows whose scatter is taken to be Poisson's, before a subject told its own."""
_REPLACED = 0.5
_BRIEF: Nanos = 30 * SECOND


@dataclass(slots=True)
class _Kind:
    """A kind of requests, as one subject saw it."""

    events: float = 0.0
    """Occurrences that had a request of their own, in windows with such requests."""
    requests: float = 0.0
    windows: float = 0.0
    scatter: float = 0.0
    """Sum over windows of how far occurrences were off what was due, squared, in Poisson's variances."""
    pending: float = 0.0
    """Requests since it came last."""

    def due(self, requests: float) -> float:
        """Return how many occurrences so many requests let expect; at most one for each."""
        return requests * min(1.0, self.events / self.requests) if self.requests else 0.0

    def learn(self, events: float, requests: float, missed: int) -> None:
        """Learn a window in which it came, and the `missed` ones before it."""
        off = self.due(self.pending)
        if self.windows and (usual := self.due(requests)):
            off += (min(events, requests) - usual) ** 2 / usual
        self.scatter = self.scatter * _FADE + off
        self.windows = self.windows * _FADE + missed + 1
        self.requests = (self.requests + self.pending) * _FADE + requests
        self.events = self.events * _FADE + events
        self.pending = 0.0

    def surprise(self) -> float:
        """Return how surprising it is that none came with the pending requests: -ln of the likelihood."""
        events = min(self.events, self.requests)
        if not events or self.windows < _FEWEST:
            return 0.0
        # Customers come in bunches that want the same: then there is less to be told from as many requests.
        bunches = max(1.0, (self.scatter + _PRIOR) / (self.windows + _PRIOR))
        return events / bunches * math.log1p(self.due(self.pending) / events)


@dataclass(slots=True)
class _Subject:
    born: Nanos
    last: Nanos
    events: float = 0.0
    kinds: dict[str, _Kind] = field(default_factory=dict)
    longest: float = 0.0
    """The most surprising absence that ended by itself, fading."""
    streak: int = 0
    text: str = ""
    severity: int = 0


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    subjects: dict[str, _Subject] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=60 * SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    surprise: float
    expected: float


class Absence(Stateful[_State]):
    """Flags lines, operations and calls that no longer come with the requests they came with."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        requests = {one.operation: float(one.entry) for one in summary.operations if one.entry > 0}
        service = service_of(self._state.services, summary, _Service, speaks=bool(requests))
        if service is None or not requests:
            return ()
        requests[_ALL] = sum(requests.values())
        here = dict(_counts(summary))
        for name, count in here.items():
            _came(summary, service, name, count, requests)
        _described(summary, service)
        found: list[Anomaly] = []
        for name, subject in list(service.subjects.items()):
            if name not in here:
                found.extend(self._missed(summary, service, name, subject, requests))
        for one in summary.operations:
            if one.entry:
                service.subjects.pop(f"{EvidenceKind.OPERATION}|{one.operation}", None)
        service.warmup.saw()
        return found

    def _missed(
        self,
        summary: WindowSummary,
        service: _Service,
        name: str,
        subject: _Subject,
        requests: Mapping[str, float],
    ) -> Sequence[Anomaly]:
        for kind, known in subject.kinds.items():
            known.pending += requests.get(kind, 0.0)
        subject.streak += 1
        if subject.events < _FEWEST:
            return ()
        absence = _absence(subject)
        score = absence.surprise / max(1.0, subject.longest / _USUAL)
        if not self._threshold.reached(score, subject.streak) or _replaced(service, name, subject, absence):
            return ()
        key = (summary.environment, summary.service, name)
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            del service.subjects[name]
            return ()
        evidence = _evidence(summary, name, subject, absence, score)
        finding = Finding(
            detector=NAME,
            subject=name,
            direction=Direction.GONE,
            hit=Hit.ERROR,
            score=score,
            threshold=self._threshold.value,
            reason=f"{summary.service} no longer does for its requests what it always did.",
            evidence=(evidence,),
        )
        return (anomaly(summary.environment, summary.service, run, finding, node_of(summary, None)),)


def _came(
    summary: WindowSummary, service: _Service, name: str, count: float, requests: Mapping[str, float]
) -> None:
    """Learn a window in which the subject came, and the absence that it ended."""
    subject = service.subjects.get(name)
    if subject is None:
        often = sorted(requests, key=lambda kind: (-requests[kind], kind))[:MAX_KINDS]
        kinds = {kind: _Kind() for kind in often}
        subject = service.subjects[name] = _Subject(born=summary.start, last=summary.end, kinds=kinds)
    touch(service.subjects, name, MAX_SUBJECTS)
    if subject.streak:
        subject.longest = max(subject.longest, _absence(subject).surprise)
    subject.longest *= _FADE
    subject.events = subject.events * _FADE + min(count, requests[_ALL])
    for kind, known in list(subject.kinds.items()):
        came = requests.get(kind, 0.0)
        known.learn(min(count, requests[_ALL]) if came else 0.0, came, subject.streak)
        if known.events < _TIED * subject.events:
            del subject.kinds[kind]
    subject.streak, subject.last = 0, summary.end


def _absence(subject: _Subject) -> _Gap:
    """Return how surprising it is that the subject has not come, by the kind that excuses it best."""
    best: _Gap | None = None
    for known in subject.kinds.values():
        surprise = known.surprise()
        if best is None or surprise < best.surprise:
            best = _Gap(surprise=surprise, expected=known.due(known.pending))
    return best or _Gap(surprise=0.0, expected=0.0)


def _replaced(service: _Service, name: str, subject: _Subject, absence: _Gap) -> bool:
    """Say whether another line, no complaint, came instead of this one."""
    if not name.startswith(EvidenceKind.LOG) or not subject.text:
        return False
    return any(
        other.born >= subject.last - _BRIEF and other.events >= _REPLACED * absence.expected and other.text
        for key, other in service.subjects.items()
        if key.startswith(EvidenceKind.LOG)
    )


def _counts(summary: WindowSummary) -> Iterator[tuple[str, float]]:
    """Yield what may be missed: no complaint, and nothing that enters the service by itself."""
    for template in summary.templates:
        if template.severity_number < WARNING and not sounds_like_failure(template.template):
            yield f"{EvidenceKind.LOG}|{template.template_id}", float(template.count)
    for operation in summary.operations:
        if not operation.entry and not sounds_like_failure(operation.operation):
            yield f"{EvidenceKind.OPERATION}|{operation.operation}", float(operation.count)
    for call in summary.calls:
        yield f"{EvidenceKind.CALL}|{call.callee}|{call.operation}", float(call.count)


def _described(summary: WindowSummary, service: _Service) -> None:
    """Keep the words of the window's lines, so that they can be named when they do not come."""
    for template in summary.templates:
        subject = service.subjects.get(f"{EvidenceKind.LOG}|{template.template_id}")
        if subject is not None:
            subject.text, subject.severity = template.template, template.severity_number


def _evidence(summary: WindowSummary, name: str, subject: _Subject, absence: _Gap, score: float) -> Evidence:
    kind, _, rest = name.partition("|")
    due = f"has not come for {subject.streak} windows with requests; {number(absence.expected)} were due."
    if kind == EvidenceKind.LOG:
        gone = TemplateCount(
            template_id=rest,
            template=subject.text,
            count=0,
            severity_number=subject.severity,
            first=summary.start,
            last=summary.start,
            lines=(),
        )
        statement = f"A kind of line that {summary.service} wrote for its requests {due}"
        return log_evidence(summary, gone, statement, score=score, expected=absence.expected)
    callee, _, operation = rest.partition("|")
    called = kind == EvidenceKind.CALL
    label = f"{summary.service} → {callee} {operation}" if called else f"{summary.service} {rest}"
    return plain_evidence(
        summary,
        EvidenceKind(kind),
        rest,
        f"{label} {due}",
        label=label,
        score=score,
        expected=absence.expected,
        observed=0.0,
    )
