"""Detector: what a service does for each request changes: calls that no longer follow, or follow in masses.

An early return, a swallowed exception, a feature switched off or a storm of retries leave latencies and error
shares alone and still show here. Spans and calls of a service are counted against the requests that entered
it: against all of them and against each frequent kind. Only what none of these explains is strange, so that
another mix of customers is no finding. A finding needs three windows; half as many calls for a request
count, or three times as many. Flagged windows are not learned; a level that stands for half an hour is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit
from detectors.evidence import Finding, anomaly, log_evidence, node_of, number, plain_evidence
from detectors.rates import RateModel
from detectors.state import touch
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND
from ingest.summary import TemplateCount, WindowSummary

NAME = "flow"
VERSION = "1"
THRESHOLD = Threshold(value=4.5, consecutive=3, extreme=4.0)
MAX_SUBJECTS = 500
"""Operations and calls a service."""
_KINDS = 4
"""Kinds of requests that a count is held against, beside all together."""
_MAX_KINDS = 20
_SPAN = 3
"""Windows that are judged together: half a minute."""
_FEWER, _MORE = 0.5, 3.0
_FEWEST = 12
"""Calls expected (or seen) in half a minute; fewer tell nothing."""
_ALL = ""


@dataclass(slots=True)
class _Subject:
    rates: dict[str, RateModel] = field(default_factory=dict)
    """By kind of request, `_ALL` for all of them."""
    counts: list[float] = field(default_factory=list)
    outside: int = 0
    """Windows to come, of those not learned yet, that were part of something strange."""
    streak: int = 0
    text: str = ""
    severity: int = 0
    """Of a log template, so that it can be named when it does not come."""


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    entries: dict[str, float] = field(default_factory=dict)
    """How often each kind of request came, fading: which ones are frequent."""
    recent: list[dict[str, float]] = field(default_factory=list)
    """Requests by kind in the latest windows, this one included, and in the one that is learned now."""
    subjects: dict[str, _Subject] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=60 * SECOND))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    score: float
    expected: float
    observed: float


class Flow(Stateful[_State]):
    """Flags operations and calls whose number for each request changed."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        entered = {one.operation: float(one.entry) for one in summary.operations if one.entry > 0}
        service = service_of(self._state.services, summary, _Service, speaks=bool(entered))
        if service is None or not entered:
            return ()
        learning = service.warmup.learning(summary.start)
        _came(service, entered)
        found: list[Anomaly] = []
        here = dict(_subjects(summary))
        texts = {f"{EvidenceKind.LOG}|{one.template_id}": one for one in summary.templates}
        for name in here:
            subject = service.subjects.setdefault(name, _Subject())
            if name in texts:
                subject.text, subject.severity = texts[name].template, texts[name].severity_number
            touch(service.subjects, name, MAX_SUBJECTS)
        for name, subject in service.subjects.items():
            subject.counts = [*subject.counts[-_SPAN:], here.get(name, 0.0)]
            _learn(service, subject)
            found.extend(self._judge(summary, service, name, subject, learning))
        service.warmup.saw()
        return found

    def _judge(
        self, summary: WindowSummary, service: _Service, name: str, subject: _Subject, learning: bool
    ) -> Sequence[Anomaly]:
        verdict = _verdict(service, subject)
        outside = abs(verdict.score) >= self._threshold.value and not learning
        subject.streak = subject.streak + 1 if outside else 0
        subject.outside = _SPAN + 1 if outside else max(0, subject.outside - 1)
        if not self._threshold.reached(abs(verdict.score), subject.streak):
            return ()
        key = (summary.environment, summary.service, name)
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            subject.rates.clear()
            return ()
        finding = self._finding(summary, name, subject, verdict)
        return (anomaly(summary.environment, summary.service, run, finding, node_of(summary, None)),)

    def _finding(self, summary: WindowSummary, name: str, subject: _Subject, verdict: _Verdict) -> Finding:
        fewer = verdict.score < 0
        evidence = _evidence(summary, name, subject, verdict)
        return Finding(
            detector=NAME,
            subject=name,
            direction=Direction.DOWN if fewer else Direction.UP,
            hit=Hit.ERROR,
            score=abs(verdict.score),
            threshold=self._threshold.value,
            reason=f"{summary.service} does {'less' if fewer else 'more'} for each request than usual.",
            evidence=(evidence,),
        )


def _came(service: _Service, entered: dict[str, float]) -> None:
    for kind in {*service.entries, *entered}:
        service.entries[kind] = service.entries.get(kind, 0.0) * 0.99 + entered.get(kind, 0.0)
    if len(service.entries) > _MAX_KINDS:
        often = sorted(service.entries, key=lambda kind: (-service.entries[kind], kind))
        service.entries = {kind: service.entries[kind] for kind in often[:_MAX_KINDS]}
    kept = {kind: count for kind, count in entered.items() if kind in service.entries}
    service.recent = [*service.recent[-_SPAN:], {**kept, _ALL: sum(entered.values())}]


def _kinds(service: _Service) -> list[str]:
    often = sorted(service.entries, key=lambda kind: (-service.entries[kind], kind))
    return [_ALL, *often[:_KINDS]]


def _verdict(service: _Service, subject: _Subject) -> _Verdict:
    """Return what explains the count of the last windows best; a score of 0 where something does."""
    counts = subject.counts[-_SPAN:]
    observed, windows = sum(counts), len(counts)
    best: _Verdict | None = None
    for kind in _kinds(service):
        rate = subject.rates.get(kind)
        exposure = sum(window.get(kind, 0.0) for window in service.recent[-windows:])
        if rate is None or rate.exposure <= 0.0:
            continue
        expected = rate.expected(exposure)
        score = rate.score_one(observed, exposure)
        meant = observed <= _FEWER * expected if score < 0 else observed >= _MORE * max(expected, 1.0)
        if not meant or max(expected, observed) < _FEWEST:
            score = 0.0
        if best is None or abs(score) < abs(best.score):
            best = _Verdict(score=score, expected=expected, observed=observed)
    return best or _Verdict(score=0.0, expected=0.0, observed=observed)


def _learn(service: _Service, subject: _Subject) -> None:
    """Learn the window that has just left the span which is judged, unless it was part of a finding."""
    if len(subject.counts) <= _SPAN or len(service.recent) <= _SPAN or subject.outside:
        return
    now = service.recent[-_SPAN - 1]
    for kind in _kinds(service):
        exposure = now.get(kind, 0.0)
        if exposure > 0.0:
            subject.rates.setdefault(kind, RateModel()).learn_one(subject.counts[0], exposure)


def _subjects(summary: WindowSummary) -> Iterator[tuple[str, float]]:
    for template in summary.templates:
        yield f"{EvidenceKind.LOG}|{template.template_id}", float(template.count)
    for operation in summary.operations:
        if operation.count > operation.entry:
            yield f"{EvidenceKind.OPERATION}|{operation.operation}", float(operation.count)
    for call in summary.calls:
        yield f"{EvidenceKind.CALL}|{call.callee}|{call.operation}", float(call.count)


def _evidence(summary: WindowSummary, name: str, subject: _Subject, verdict: _Verdict) -> Evidence:
    kind, _, rest = name.partition("|")
    usual = (
        f"came {number(verdict.observed)} times in half a minute; for the requests that entered "
        f"{summary.service} {number(verdict.expected)} are usual."
    )
    if kind == EvidenceKind.LOG:
        here = next((one for one in summary.templates if one.template_id == rest), None)
        gone = TemplateCount(
            template_id=rest,
            template=subject.text,
            count=0,
            severity_number=subject.severity,
            first=summary.start,
            last=summary.start,
            lines=(),
        )
        return log_evidence(
            summary,
            here or gone,
            f"A kind of line of {summary.service} {usual}",
            score=abs(verdict.score),
            expected=verdict.expected,
            observed=verdict.observed,
        )
    label = f"{summary.service} {rest}" if kind == EvidenceKind.OPERATION else _edge(summary, rest)
    return plain_evidence(
        summary,
        EvidenceKind(kind),
        rest,
        f"{label} {usual}",
        label=label,
        score=abs(verdict.score),
        expected=verdict.expected,
        observed=verdict.observed,
    )


def _edge(summary: WindowSummary, subject: str) -> str:
    callee, _, operation = subject.partition("|")
    return f"{summary.service} → {callee} {operation}"
