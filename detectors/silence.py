"""Detector: a service that always reported sends nothing any more.

Time is counted in windows in which its environment reported at all, and by a clock that stands while nobody
does, so a pipeline that stands still raises nothing; nor does one where most services stop at once. A service
may be silent three times as long as it was before, by both measures, and at least for `MINIMUM`
windows: others that begin to report more often make nobody late. Findings are fatal: they page even while a
service is being learned, though a service must have been regular to be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit, evidence_id
from detectors.evidence import Finding, anomaly, seconds
from detectors.state import touch
from detectors.stateful import MAX_SERVICES, Stateful
from detectors.threshold import ACCEPT_AFTER, Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import WindowSummary

NAME = "silence"
VERSION = "2"
THRESHOLD = Threshold(value=1.0)
MINIMUM = 3.0
_REGULAR = 20
"""Windows a service must have reported in before it can be missed."""
_FADE = 0.995
"""Per window reported in: what the longest pause was fades to half within 140."""
_STEP: Nanos = 60 * SECOND
"""More time than this between two windows in which anybody reported was nobody's silence."""
_PIPELINE_SHARE = 0.8
"""When this share of the regular services (of at least three) stops together, the pipeline did."""


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    last: Nanos
    """End of the last window it reported in."""
    heard: Nanos = 0
    """What its environment's clock said then."""
    missed: int = 0
    pause: float = 0.0
    """Longest pause seen, fading, in windows in which others reported."""
    gap: float = 0.0
    """The same by the environment's clock."""

    def overdue(self, clock: Nanos) -> float:
        """Return how long it has been silent, as a multiple of what is allowed; 1 is worth a word."""
        windows = self.missed / max(MINIMUM, 3.0 * self.pause)
        time = (clock - self.heard) / (3.0 * self.gap) if self.gap > 0 else windows
        return min(windows, time)

    def came(self, end: Nanos, clock: Nanos) -> None:
        """Learn from the pause that the window up to `end` ends."""
        # A pause that was an outage must not teach the detector to wait that long again.
        if self.overdue(clock) < 1.0 or self.warmup.windows < _REGULAR:
            self.pause = max(self.pause * _FADE, float(self.missed))
            self.gap = max(self.gap * _FADE, float(clock - self.heard))
        self.missed, self.last, self.heard = 0, end, clock
        self.warmup.saw()


@dataclass(slots=True)
class _Environment:
    services: dict[str, _Service] = field(default_factory=dict)
    spoke: bool = False
    """Whether anything came in the window that is being collected."""
    clock: Nanos = 0
    last: Nanos = 0
    """Time in which it reported, and the end of the last window in which it did."""

    def passed(self, end: Nanos) -> None:
        """Move the clock to the end of a window in which it reported."""
        if self.last:
            self.clock += max(0, min(end - self.last, _STEP))
        self.last = max(self.last, end)


@dataclass(slots=True)
class _State:
    environments: dict[str, _Environment] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=0))


class Silence(Stateful[_State]):
    """Flags services that went silent while others of their environment go on."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        environment = self._state.environments.setdefault(summary.environment, _Environment())
        environment.spoke = True
        environment.passed(summary.end)
        service = environment.services.get(summary.service)
        if service is None:
            service = _Service(
                warmup=Warmup(first=summary.start), last=summary.start, heard=environment.clock
            )
            environment.services[summary.service] = service
        touch(environment.services, summary.service, MAX_SERVICES)
        service.came(summary.end, environment.clock)
        return ()

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        found: list[Anomaly] = []
        for name, environment in sorted(self._state.environments.items()):
            if environment.spoke:
                found.extend(self._missing(name, environment, end))
            environment.spoke = False
        return found

    def _missing(self, name: str, environment: _Environment, end: Nanos) -> Sequence[Anomaly]:
        for service in environment.services.values():
            if service.last < end:
                service.missed += 1
        regular = [s for s in environment.services.values() if s.warmup.windows >= _REGULAR]
        silent = [s for s in regular if s.overdue(environment.clock) >= self._threshold.value]
        if len(regular) >= 3 and len(silent) >= _PIPELINE_SHARE * len(regular):
            return ()
        found: list[Anomaly] = []
        for service_name in sorted(environment.services):
            service = environment.services[service_name]
            if end - service.last > ACCEPT_AFTER:
                del environment.services[service_name]
                continue
            score = service.overdue(environment.clock)
            if service.warmup.windows >= _REGULAR and self._threshold.reached(score, service.missed):
                found.append(self._anomaly(name, service_name, service, score, end))
        return found

    def _anomaly(self, environment: str, name: str, service: _Service, score: float, end: Nanos) -> Anomaly:
        key = (environment, name, name)
        run = self._state.runs.open.get(key)
        if run is None or run.since != service.last:
            self._state.runs.open.pop(key, None)
            run = self._state.runs.extend(key, service.last, end)
        run.until = end
        evidence = Evidence(
            id=evidence_id(EvidenceKind.SILENCE, environment, name, name, service.last),
            kind=EvidenceKind.SILENCE,
            environment=environment,
            service=name,
            subject=name,
            label=name,
            statement=f"{name} has sent nothing for {seconds(service.last, end)}, while others report; "
            f"before, it reported in {service.warmup.windows} windows.",
            start=service.last,
            end=end,
            score=score,
            expected=0.0,
            observed=float(service.missed),
            unit="windows",
        )
        finding = Finding(
            detector=NAME,
            subject=name,
            direction=Direction.GONE,
            hit=Hit.ERROR,
            score=score,
            threshold=self._threshold.value,
            reason=f"{name} sends no telemetry any more.",
            evidence=(evidence,),
            learning=service.warmup.learning(end),
            fatal=True,
        )
        return anomaly(environment, name, run, finding)
