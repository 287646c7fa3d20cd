"""Detector: the numbers of a service no longer fit each other, though each alone may be ordinary.

A latency that is normal at noon but not for the traffic of the night, processor time that no request
explains. Per service a vector of a few telling numbers a window (`detectors.vectors`), averaged over half a
minute, is scored by PyOD's MCD (`detectors.ellipse`). Scores are multiples of what calm windows reached
after the model was fitted, so one threshold fits all services. The state holds the rows fitted to, never the
model: the same rows make the same one. Traffic sets what is to be expected of the rest; traffic that is
strange alone is no finding here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit
from detectors.ellipse import Ellipse, Verdict, fit
from detectors.evidence import Finding, anomaly, node_of, number, plain_evidence, series_hit
from detectors.rows import SPAN, Service, averaged, reach, row_of, settle
from detectors.stateful import Stateful
from detectors.threshold import Runs, Threshold
from detectors.vectors import Dimension, dimensions
from detectors.warmup import Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

NAME = "joint"
VERSION = "2"
THRESHOLD = Threshold(value=2.0, consecutive=3, extreme=math.inf)
"""In multiples of the distance that calm windows of the service reach."""
MAX_SERVICES = 500

_MOST = 1.8
"""Multiples of the threshold that no finding reaches: numbers that do not fit each other wake nobody before a
second sign says that something is wrong."""
_GUESS = 8
"""Scores that tell enough not to learn from what is blatant."""
_IDLE: Nanos = 3600 * SECOND
"""A service silent for so long gives way to a new one."""
_PAUSE: Nanos = 60 * SECOND


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=130 * SECOND))


class Joint(Stateful[_State]):
    """Flags services whose traffic, errors, latency and resources stop going together."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD, max_services: int = MAX_SERVICES) -> None:
        super().__init__(_State)
        self._threshold, self._max_services = threshold, max_services
        self._models: dict[tuple[str, str], Ellipse | None] = {}

    def load(self, state: bytes) -> None:
        """Replace the state; models are fitted again when they are needed."""
        super().load(state)
        self._models = {}

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        seen = dimensions(summary)
        service = self._service(summary) if len(seen) > 1 else None
        if service is None or summary.start <= service.last:
            # Of a window that comes late or twice nothing new can be said.
            return ()
        if summary.start - service.last > _PAUSE:
            service.recent, service.streak, service.held = [], 0, None
        service.last = summary.start
        row = row_of(service, seen)
        service.recent = [*service.recent[-(SPAN - 1) :], row]
        model = self._model(summary, service)
        verdict = model.judge(averaged(service.recent)[-1]) if model else None
        found = self._finding(summary, service, seen, verdict, row)
        service.warmup.saw()
        return found

    def _service(self, summary: WindowSummary) -> Service | None:
        """Return what is kept of the service; None where all places are taken by others that still speak."""
        key, services = (summary.environment, summary.service), self._state.services
        known = services.pop(key, None)
        if known is None and len(services) >= self._max_services:
            oldest = next(iter(services))
            if summary.start - services[oldest].last < _IDLE:
                return None
            del services[oldest]
            self._models.pop(oldest, None)
        services[key] = known or Service(warmup=Warmup(first=summary.start))
        return services[key]

    def _model(self, summary: WindowSummary, service: Service) -> Ellipse | None:
        key = (summary.environment, summary.service)
        if service.due():
            service.refit()
            self._models.pop(key, None)
        if not service.fitted:
            return None
        if key not in self._models:
            self._models[key] = fit(
                averaged(service.matrix()[: service.fitted]), service.names, service.least
            )
        return self._models[key]

    def _finding(
        self,
        summary: WindowSummary,
        service: Service,
        seen: Sequence[Dimension],
        verdict: Verdict | None,
        row: list[float],
    ) -> Sequence[Anomaly]:
        size = verdict.distance / reach(service.calm) if verdict else 0.0
        outside = size >= self._threshold.value and len(service.calm) >= _GUESS
        if verdict is None or not outside:
            settle(service, row, verdict)
            return ()
        service.streak += 1
        service.held = (row, verdict.distance) if service.streak == 1 else None
        if not self._threshold.reached(size, service.streak):
            return ()
        return self._told(summary, service, seen, verdict, size)

    def _told(
        self,
        summary: WindowSummary,
        service: Service,
        seen: Sequence[Dimension],
        verdict: Verdict,
        size: float,
    ) -> Sequence[Anomaly]:
        worst = next((one for one in seen if one.name == service.names[verdict.column]), None)
        if worst is None:
            return ()
        key = (summary.environment, summary.service, "together")
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            service.forget()
            return ()
        rose = verdict.observed > verdict.expected
        finding = Finding(
            detector=NAME,
            subject=key[2],
            direction=Direction.UP if rose else Direction.DOWN,
            hit=_hit(worst) if rose else Hit.OTHER,
            score=_bounded(size, self._threshold.value),
            threshold=self._threshold.value,
            reason=f"Traffic, latency and resources of {summary.service} do not go together as usual.",
            evidence=(_evidence(summary, worst, verdict, size),),
            instance=worst.instance,
        )
        return (
            anomaly(summary.environment, summary.service, run, finding, node_of(summary, worst.instance)),
        )


def _bounded(size: float, threshold: float) -> float:
    """Return a size as a score that grows with it and stays below what opens an incident alone."""
    beyond = size / threshold - 1.0
    return threshold * (1.0 + (_MOST - 1.0) * -math.expm1(-max(beyond, 0.0)))


def _hit(worst: Dimension) -> Hit:
    return Hit.ERROR if worst.kind is EvidenceKind.OPERATION else series_hit(worst.name)


def _evidence(summary: WindowSummary, worst: Dimension, verdict: Verdict, size: float) -> Evidence:
    expected = worst.scale.plain(verdict.expected)
    observed = worst.scale.plain(verdict.observed)
    unit = f" {worst.unit}" if worst.unit else ""
    return plain_evidence(
        summary,
        worst.kind,
        worst.subject,
        f"{worst.name} of {summary.service} was {number(observed)}{unit} over half a minute; with what else "
        f"it did then, {number(expected)}{unit} is usual ({number(size)} times as far off as calm windows).",
        label=f"{worst.name} of {worst.label}" if worst.kind is EvidenceKind.OPERATION else worst.label,
        score=size,
        expected=expected,
        observed=observed,
        unit=worst.unit,
        instance=worst.instance,
    )
