"""Detector: a known log line comes far more often than it used to, or a steady one stopped coming.

Counts are judged against the template's own history and against how much else the service writes: a
rise that all its lines share is traffic, not a burst. Lines that speak of no failure weigh half.
Windows that are flagged are not learned; a level that stands for half an hour is the normal one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, Hit
from detectors.evidence import (
    ERROR,
    FATAL,
    WARNING,
    Finding,
    anomaly,
    log_evidence,
    node_of,
    number,
    seconds,
    sounds_like_failure,
)
from detectors.rates import BurstModel, PresenceModel, RateModel
from detectors.state import touch
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND
from ingest.summary import TemplateCount, WindowSummary

NAME = "template_rate"
VERSION = "2"
BURST = Threshold(value=8.0, consecutive=2)
ABSENCE = Threshold(value=16.0)
MAX_TEMPLATES = 2_000
_MINIMUM = 10
"""Fewer lines in a window are no burst."""


@dataclass(slots=True)
class _Template:
    burst: BurstModel = field(default_factory=BurstModel)
    presence: PresenceModel = field(default_factory=PresenceModel)
    text: str = ""
    severity: int = 0
    window: int = 0
    """The service's window count when it last occurred or was caught up."""
    born: int = 0


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    lines: RateModel = field(default_factory=RateModel)
    templates: dict[str, _Template] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=30 * SECOND))


class TemplateRate(Stateful[_State]):
    """Flags bursts and disappearances of templates."""

    name = NAME
    version = VERSION

    def __init__(self, burst: Threshold = BURST, absence: Threshold = ABSENCE) -> None:
        super().__init__(_State)
        self._burst, self._absence = burst, absence

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        service = service_of(self._state.services, summary, _Service, speaks=bool(summary.templates))
        if service is None:
            return ()
        learning = service.warmup.learning(summary.start)
        total = sum(template.count for template in summary.templates)
        found: list[Anomaly] = []
        for template in summary.templates:
            found.extend(self._present(summary, service, template, total, learning))
        found.extend(self._absent(summary, service, total, learning))
        service.lines.learn_one(total)
        service.warmup.saw()
        return found

    def _present(
        self, summary: WindowSummary, service: _Service, template: TemplateCount, total: int, learning: bool
    ) -> Sequence[Anomaly]:
        now = service.warmup.windows
        known = service.templates.get(template.template_id)
        if known is None:
            known = service.templates[template.template_id] = _Template(window=now - 1, born=now)
        touch(service.templates, template.template_id, MAX_TEMPLATES)
        known.burst.pause(now - known.window - 1)
        known.window = now
        known.text, known.severity = template.template, template.severity_number
        known.presence.learn_one(template.count)
        usual = known.burst.short.expected()
        exposure = _traffic(total - template.count, service.lines.expected() - usual)
        score = _weight(template) * known.burst.score_one(template.count, max(1.0, exposure))
        subject = (summary.environment, summary.service, template.template_id)
        high = template.count >= _MINIMUM and score >= self._burst.value
        flagged = high and self._burst.reached(score, known.burst.streak + 1)
        run = self._state.runs.extend(subject, summary.start, summary.end) if flagged else None
        if run is not None and self._state.runs.accepted(subject, summary.end):
            known.burst = BurstModel()
            high, run = False, None
        known.burst.settle(template.count, max(1.0, exposure), high=high and not learning)
        if run is None:
            return ()
        finding = self._burst_finding(summary, template, usual, score, learning)
        return (anomaly(*subject[:2], run, finding, node_of(summary, finding.instance)),)

    def _absent(
        self, summary: WindowSummary, service: _Service, total: int, learning: bool
    ) -> Sequence[Anomaly]:
        if total == 0:
            return ()
        found: list[Anomaly] = []
        here = {template.template_id for template in summary.templates}
        usual = service.lines.expected()
        for template_id, known in service.templates.items():
            if template_id in here:
                continue
            known.presence.learn_one(0)
            if not known.presence.steady():
                continue
            share = min(1.0, _traffic(total, usual - known.presence.mean))
            score = known.presence.score_one(share)
            subject = (summary.environment, summary.service, template_id)
            if not self._absence.reached(score, known.presence.absent):
                continue
            run = self._state.runs.extend(subject, summary.start, summary.end)
            if self._state.runs.accepted(subject, summary.end):
                known.presence = PresenceModel()
                continue
            finding = self._absence_finding(summary, template_id, known, score, learning)
            found.append(anomaly(*subject[:2], run, finding))
        return found

    def _burst_finding(
        self, summary: WindowSummary, template: TemplateCount, usual: float, score: float, learning: bool
    ) -> Finding:
        evidence = log_evidence(
            summary,
            template,
            f"{summary.service} wrote {template.count} lines of one kind in "
            f"{seconds(summary.start, summary.end)}, usual are {number(usual)}.",
            score=score,
            expected=usual,
        )
        return Finding(
            detector=NAME,
            subject=template.template_id,
            direction=Direction.UP,
            hit=Hit.ERROR if template.severity_number >= ERROR else Hit.OTHER,
            score=score,
            threshold=self._burst.value,
            reason=f"{summary.service} writes one kind of log line far more often than usual.",
            evidence=(evidence,),
            learning=learning,
            fatal=template.severity_number >= FATAL,
            instance=evidence.instance,
        )

    def _absence_finding(
        self, summary: WindowSummary, template_id: str, known: _Template, score: float, learning: bool
    ) -> Finding:
        gone = TemplateCount(
            template_id=template_id,
            template=known.text,
            count=0,
            severity_number=known.severity,
            first=summary.start,
            last=summary.start,
            lines=(),
        )
        evidence: Evidence = log_evidence(
            summary,
            gone,
            f"A kind of line that {summary.service} wrote in nearly every window (about "
            f"{number(known.presence.mean)} lines each) has not come for {known.presence.absent} windows.",
            score=score,
            expected=known.presence.mean,
        )
        return Finding(
            detector=NAME,
            subject=template_id,
            direction=Direction.GONE,
            hit=Hit.OTHER,
            score=score,
            threshold=self._absence.value,
            reason=f"{summary.service} no longer writes a kind of log line it always wrote.",
            evidence=(evidence,),
            learning=learning,
        )


def _traffic(lines: float, usual: float) -> float:
    """Return how much the service writes beside the template, in multiples of the usual."""
    return (lines + 1.0) / (max(usual, 0.0) + 1.0)


def _weight(template: TemplateCount) -> float:
    doubtful = template.severity_number == 0 and sounds_like_failure(template.template)
    return 1.0 if doubtful or template.severity_number >= WARNING else 0.5
