"""Detector: operations and calls between services that fail more often or take longer than they did.

Every operation of a service and every edge it calls over has an error model (errors for the number of
calls) and two latency models (p50, p90). A shift of latency must show in two samples in a row. Entry
operations of a service that nobody calls are what users see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import Finding, anomaly, node_of, number, plain_evidence
from detectors.latency import ENOUGH_FOR_TAIL, LatencyModel, Pool
from detectors.rates import BurstModel
from detectors.state import touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import Run, Runs, Threshold
from detectors.traffic import Traffic, traffic_of
from detectors.warmup import Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

NAME = "calls"
VERSION = "3"
ERRORS = Threshold(value=5.0, consecutive=2)
LATENCY = Threshold(value=6.0, consecutive=2, extreme=6.0)
MAX_SUBJECTS = 1_000
"""Operations and edges a service."""
_MINIMUM_ERRORS = 3
_FORGET_CALLER: Nanos = 3600 * SECOND
"""A service that nobody called for this long counts as one that nobody calls."""
_MINIMUM_SHIFT = 0.01
"""Seconds that a latency must grow by to matter to anyone."""


@dataclass(slots=True)
class _Subject:
    errors: BurstModel = field(default_factory=BurstModel)
    calls: Pool = field(default_factory=Pool)
    quantiles: dict[str, LatencyModel] = field(default_factory=dict)
    streak: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[float]] = field(default_factory=dict)
    """High samples not learned yet: noise once a normal one follows, an anomaly if they go on."""


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    subjects: dict[str, _Subject] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    called: dict[tuple[str, str], Nanos] = field(default_factory=dict)
    """Services that others call, and when last."""
    runs: Runs = field(default_factory=lambda: Runs(gap=70 * SECOND))


_QUANTILES = (("p50", 0.5), ("p90", 0.9))


class Calls(Stateful[_State]):
    """Flags rises of error share and latency per operation and edge."""

    name = NAME
    version = VERSION

    def __init__(self, errors: Threshold = ERRORS, latency: Threshold = LATENCY) -> None:
        super().__init__(_State)
        self._errors, self._latency = errors, latency

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        if not summary.operations and not summary.calls:
            return ()
        key = (summary.environment, summary.service)
        service = self._state.services.get(key)
        if service is None:
            service = self._state.services[key] = _Service(warmup=Warmup(first=summary.start))
        touch(self._state.services, key, MAX_SERVICES)
        for call in summary.calls:
            if call.callee != summary.service:
                self._state.called[(summary.environment, call.callee)] = summary.end
                touch(self._state.called, (summary.environment, call.callee), 2 * MAX_SERVICES)
        learning = service.warmup.learning(summary.start)
        found: list[Anomaly] = []
        for traffic in traffic_of(summary):
            subject = service.subjects.setdefault(f"{traffic.kind}|{traffic.subject}", _Subject())
            touch(service.subjects, f"{traffic.kind}|{traffic.subject}", MAX_SUBJECTS)
            found.extend(self._failing(summary, traffic, subject, learning))
            found.extend(self._slow(summary, traffic, subject, learning))
        service.warmup.saw()
        return found

    def _failing(
        self, summary: WindowSummary, traffic: Traffic, subject: _Subject, learning: bool
    ) -> Sequence[Anomaly]:
        model = subject.errors
        usual = model.short.expected(traffic.count)
        score = model.score_one(traffic.errors, traffic.count)
        name = f"{traffic.kind}|{traffic.subject}|errors"
        high = traffic.errors >= _MINIMUM_ERRORS and score >= self._errors.value
        flagged = high and self._errors.reached(score, model.streak + 1)
        run = self._run(summary, name) if flagged else None
        if flagged and run is None:
            subject.errors, high = (model := BurstModel()), False
        model.settle(traffic.errors, traffic.count, high=high and not learning)
        if run is None:
            return ()
        share, before = traffic.errors / traffic.count, usual / traffic.count
        statement = (
            f"{number(100 * share)} % of {traffic.count} calls of {traffic.label} failed, "
            f"usual are {number(100 * before)} %."
        )
        reason = f"Calls of {traffic.label} fail more often than usual."
        return (
            self._anomaly(
                summary,
                traffic,
                run,
                name,
                statement,
                reason,
                score,
                self._errors,
                learning,
                before,
                share,
                "",
            ),
        )

    def _slow(
        self, summary: WindowSummary, traffic: Traffic, subject: _Subject, learning: bool
    ) -> Sequence[Anomaly]:
        pooled = subject.calls.add(traffic.latency)
        if pooled is None:
            return ()
        worst: tuple[float, str, float, float] | None = None
        for quantile, share in _QUANTILES:
            value = pooled.quantile(share)
            if value is None or (share > 0.5 and pooled.count < ENOUGH_FOR_TAIL):
                continue
            model = subject.quantiles.setdefault(quantile, LatencyModel())
            usual = model.usual()
            score = model.score_one(value)
            high = score >= self._latency.value and value - usual >= _MINIMUM_SHIFT
            self._learn(subject, quantile, value, high=high and not learning)
            streak = subject.streak[quantile]
            if high and self._latency.reached(score, streak):
                worst = max(worst or (0.0, "", 0.0, 0.0), (score, quantile, usual, value))
        name = f"{traffic.kind}|{traffic.subject}|latency"
        run = self._run(summary, name) if worst is not None else None
        if worst is not None and run is None:
            subject.quantiles.clear()
        if worst is None or run is None:
            return ()
        score, quantile, usual, value = worst
        statement = (
            f"{quantile} latency of {traffic.label} rose from {number(usual)} s to {number(value)} s "
            f"({pooled.count} calls)."
        )
        reason = f"Calls of {traffic.label} take longer than usual."
        return (
            self._anomaly(
                summary,
                traffic,
                run,
                name,
                statement,
                reason,
                score,
                self._latency,
                learning,
                usual,
                value,
                "s",
            ),
        )

    def _learn(self, subject: _Subject, quantile: str, value: float, *, high: bool) -> None:
        """Learn what is normal; a single high sample is learned once a normal one shows it was noise."""
        if high:
            subject.streak[quantile] = subject.streak.get(quantile, 0) + 1
            subject.held[quantile] = [value]
            return
        if subject.streak.get(quantile, 0) < self._latency.consecutive:
            for noise in subject.held.get(quantile, ()):
                subject.quantiles[quantile].learn_one(noise)
        subject.held.pop(quantile, None)
        subject.streak[quantile] = 0
        subject.quantiles[quantile].learn_one(value)

    def _run(self, summary: WindowSummary, name: str) -> Run | None:
        """Return the run this finding belongs to, None once its level is accepted as normal."""
        key = (summary.environment, summary.service, name)
        run = self._state.runs.extend(key, summary.start, summary.end)
        return None if self._state.runs.accepted(key, summary.end) else run

    def _anomaly(
        self,
        summary: WindowSummary,
        traffic: Traffic,
        run: Run,
        name: str,
        statement: str,
        reason: str,
        score: float,
        threshold: Threshold,
        learning: bool,
        expected: float,
        observed: float,
        unit: str,
    ) -> Anomaly:
        evidence = plain_evidence(
            summary,
            traffic.kind,
            traffic.subject,
            statement,
            label=traffic.label,
            score=score,
            expected=expected,
            observed=observed,
            unit=unit,
        )
        called = self._state.called.get((summary.environment, summary.service))
        root = called is None or summary.end - called > _FORGET_CALLER
        finding = Finding(
            detector=NAME,
            subject=name,
            direction=Direction.UP,
            hit=Hit.USER if traffic.entry and root else Hit.ERROR,
            score=score,
            threshold=threshold.value,
            reason=reason,
            evidence=(evidence,),
            learning=learning,
        )
        return anomaly(summary.environment, summary.service, run, finding, node_of(summary, None))
