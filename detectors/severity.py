"""Detector: a service writes more error lines than it used to, in number and for its traffic.

Two subjects a service: `error` (severity ERROR and above) and `fatal`. Evidence are the templates that
carry most of the lines. Flagged windows are not learned; a level that stands for half an hour is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Hit
from detectors.evidence import ERROR, FATAL, Finding, anomaly, log_evidence, node_of, number, seconds
from detectors.rates import BurstModel, RateModel
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND
from ingest.summary import TemplateCount, WindowSummary

NAME = "severity"
VERSION = "2"
THRESHOLD = Threshold(value=5.0, consecutive=2)
_SHOWN = 3
_MINIMUM = 3
_MINIMUM_LASTING = 8
"""Fewer error lines in a window, or in a minute, are no rise."""

_LEVELS = (("error", ERROR, 1.0), ("fatal", FATAL, 2.0))
"""Subject, lowest severity number, weight."""


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    lines: RateModel = field(default_factory=RateModel)
    levels: dict[str, BurstModel] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=30 * SECOND))


class SeverityRise(Stateful[_State]):
    """Flags rises of error and fatal lines."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        service = service_of(self._state.services, summary, _Service, speaks=bool(summary.severities))
        if service is None:
            return ()
        learning = service.warmup.learning(summary.start)
        found: list[Anomaly] = []
        for subject, lowest, weight in _LEVELS:
            count = sum(n for level, n in summary.severities.items() if level >= lowest)
            found.extend(self._judge(summary, service, subject, lowest, count, weight, learning))
        bad = sum(n for level, n in summary.severities.items() if level >= ERROR)
        service.lines.learn_one(summary.lines - bad)
        service.warmup.saw()
        return found

    def _judge(
        self,
        summary: WindowSummary,
        service: _Service,
        subject: str,
        lowest: int,
        count: int,
        weight: float,
        learning: bool,
    ) -> Sequence[Anomaly]:
        model = service.levels.setdefault(subject, BurstModel())
        bad = sum(n for level, n in summary.severities.items() if level >= ERROR)
        traffic = (summary.lines - bad + 1.0) / (service.lines.expected() + 1.0)
        exposure = max(1.0, traffic)
        usual = model.short.expected()
        score = weight * model.score_one(count, exposure)
        templates = _carriers(summary, lowest)
        key = (summary.environment, summary.service, subject)
        enough = count * weight >= _MINIMUM or (count + sum(model.counts)) * weight >= _MINIMUM_LASTING
        high = bool(templates) and enough and score >= self._threshold.value
        flagged = high and self._threshold.reached(score, model.streak + 1)
        run = self._state.runs.extend(key, summary.start, summary.end) if flagged else None
        if run is not None and self._state.runs.accepted(key, summary.end):
            service.levels[subject] = model = BurstModel()
            high, run = False, None
        model.settle(count, exposure, high=high and not learning)
        if run is None:
            return ()
        finding = self._finding(summary, subject, templates, count, usual, score, learning)
        return (anomaly(*key[:2], run, finding, node_of(summary, finding.instance)),)

    def _finding(
        self,
        summary: WindowSummary,
        subject: str,
        templates: Sequence[TemplateCount],
        count: int,
        usual: float,
        score: float,
        learning: bool,
    ) -> Finding:
        length = seconds(summary.start, summary.end)
        evidence = tuple(
            log_evidence(
                summary,
                template,
                f"{summary.service} wrote {count} {subject} lines in {length}, usual are {number(usual)}; "
                f"{template.count} of them are of this kind.",
                score=score,
                expected=usual,
                observed=float(count),
            )
            for template in templates
        )
        return Finding(
            detector=NAME,
            subject=subject,
            direction=Direction.UP,
            hit=Hit.ERROR,
            score=score,
            threshold=self._threshold.value,
            reason=f"{summary.service} writes more {subject} lines than usual.",
            evidence=evidence,
            learning=learning,
            fatal=subject == "fatal",
            instance=evidence[0].instance,
        )


def _carriers(summary: WindowSummary, lowest: int) -> Sequence[TemplateCount]:
    """Return the templates that carry most lines of at least this severity."""
    carriers = [template for template in summary.templates if template.severity_number >= lowest]
    return sorted(carriers, key=lambda template: (-template.count, template.template_id))[:_SHOWN]
