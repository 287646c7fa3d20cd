"""Detector: a log line of a kind this service has never written.

Score: how surprising anything new is for this service (−ln p), plus what the line's severity and
number add. A rare informational line therefore stays below the threshold; an error never seen before
does not. Templates seen once are known from then on, and what was flagged is followed while it lasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import (
    ERROR,
    FATAL,
    WARNING,
    Finding,
    anomaly,
    log_evidence,
    node_of,
    severity_name,
    sounds_like_failure,
)
from detectors.rates import NoveltyModel
from detectors.state import touch
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import SERVICE_WINDOWS, Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import TemplateCount, WindowSummary

NAME = "new_template"
VERSION = "1"
THRESHOLD = Threshold(value=10.0)
MAX_TEMPLATES = 4_000

_BRIEF: Nanos = 60 * SECOND
"""A new line that speaks of no failure is ordinary after this long; a failure that pauses longer is over."""

_WARNING_WEIGHT = 2.0
_ERROR_WEIGHT = 8.0
_FATAL_WEIGHT = 14.0


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    novelty: NoveltyModel = field(default_factory=NoveltyModel)
    known: dict[str, float] = field(default_factory=dict)
    """Template id -> its surprise when it was new and flagged, else 0."""


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=_BRIEF))


class NewTemplate(Stateful[_State]):
    """Flags log templates when they first occur, and while a flagged one goes on."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        service = service_of(self._state.services, summary, _Service, speaks=bool(summary.templates))
        if service is None:
            return ()
        learning = service.warmup.learning(summary.start)
        found: list[Anomaly] = []
        for template in summary.templates:
            surprise = self._surprise(summary, service, template)
            if surprise is not None:
                found.extend(self._judge(summary, service, template, surprise, learning))
        self._learn(summary, service, learning)
        return found

    def _surprise(self, summary: WindowSummary, service: _Service, template: TemplateCount) -> float | None:
        """Return how surprising it is, None when the template is an old acquaintance."""
        birth = service.known.get(template.template_id)
        if birth is None:
            return service.novelty.score_one() * min(1.0, service.warmup.windows / SERVICE_WINDOWS)
        key = (summary.environment, summary.service, template.template_id)
        if birth <= 0.0 or self._state.runs.ongoing(key, summary.start) is None:
            return None
        return birth

    def _judge(
        self,
        summary: WindowSummary,
        service: _Service,
        template: TemplateCount,
        surprise: float,
        learning: bool,
    ) -> Sequence[Anomaly]:
        weight = _weight(template)
        failure = weight >= _WARNING_WEIGHT
        score = surprise + weight + math.log(template.count) * (1.0 if failure else 0.5)
        if not self._threshold.reached(score, 1):
            return ()
        key = (summary.environment, summary.service, template.template_id)
        run = self._state.runs.extend(key, summary.start, summary.end)
        over = self._state.runs.accepted(key, summary.end)
        if over or (not failure and summary.end - run.since > _BRIEF):
            service.known[template.template_id] = 0.0
            return ()
        # Born in the warm-up, it was never new: nothing to follow once the warm-up is over.
        service.known[template.template_id] = 0.0 if learning else surprise
        finding = self._finding(summary, service, template, score, learning)
        node = node_of(summary, finding.instance)
        return (anomaly(summary.environment, summary.service, run, finding, node),)

    def _finding(
        self, summary: WindowSummary, service: _Service, template: TemplateCount, score: float, learning: bool
    ) -> Finding:
        evidence = log_evidence(
            summary,
            template,
            f"{summary.service} wrote {template.count} lines of a kind new to it, of severity "
            f"{severity_name(template.severity_number)}; none came in the {service.warmup.windows} windows "
            "before.",
            score=score,
            expected=0.0,
        )
        return Finding(
            detector=NAME,
            subject=template.template_id,
            direction=Direction.NEW,
            hit=Hit.ERROR if _weight(template) >= _ERROR_WEIGHT else Hit.OTHER,
            score=score,
            threshold=self._threshold.value,
            reason=f"{summary.service} writes a kind of log line never seen before.",
            evidence=(evidence,),
            learning=learning,
            fatal=template.severity_number >= FATAL,
            instance=evidence.instance,
        )

    def _learn(self, summary: WindowSummary, service: _Service, learning: bool) -> None:
        news = 0
        for template in summary.templates:
            if template.template_id not in service.known:
                service.known[template.template_id] = 0.0
                news += 1
            touch(service.known, template.template_id, MAX_TEMPLATES)
        # All that a warm-up brings is new; it says nothing about how often news come later.
        if not learning:
            service.novelty.learn_one(news)
        service.warmup.saw()


def _weight(template: TemplateCount) -> float:
    if template.severity_number >= FATAL:
        return _FATAL_WEIGHT
    if template.severity_number >= ERROR:
        return _ERROR_WEIGHT
    doubtful = template.severity_number == 0 and sounds_like_failure(template.template)
    return _WARNING_WEIGHT if doubtful or template.severity_number >= WARNING else 0.0
