"""Detector: a log line of a kind this service has never written.

Score: how much more often the line comes since its first time than all the windows before it let expect (a
likelihood ratio, so that a short history counts for little and nothing waits for a clock), plus what its
severity and number add, less what is usual where lines never seen before keep turning up (Good-Turing). A
rare informational line stays below the threshold, a lone error is worth a word, one that goes on an incident.
Templates seen once are known from then on, and what was new is followed while it lasts.
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
from detectors.state import touch
from detectors.stateful import Stateful, service_of
from detectors.threshold import Runs, Threshold
from detectors.warmup import Warmup
from ingest.record import SECOND, Nanos
from ingest.summary import TemplateCount, WindowSummary

NAME = "new_template"
VERSION = "2"
THRESHOLD = Threshold(value=10.0)
MAX_TEMPLATES = 4_000
_YOUNG: Nanos = 60 * SECOND
_FEWEST = 2
"""How long a service must have written, and in how many windows, before anything can be called new."""

_BRIEF: Nanos = 60 * SECOND
"""A new line that speaks of no failure is ordinary after this long; a failure that pauses longer is over."""

_WARNING_WEIGHT = 2.0
_ERROR_WEIGHT = 6.5
_FATAL_WEIGHT = 10.5
_AGAIN = 0.7
_MOST_AGAIN = 10
"""An error that goes on is worse the longer it does: per window in which it came, for so many."""
_MOST_NEW = 8.0
"""What being new is worth at most where a line speaks of no error."""
_SURE_WINDOWS = 3
_SURE_LINES = 10
_UNSURE = 1.9
"""With fewer windows and lines than these an error needs another sign beside it to open an incident."""
_FOLLOWED = 360


@dataclass(slots=True)
class _Known:
    """A template. What it did since its birth matters only while it is `followed`."""

    before: int = 0
    """Windows of the service before its first."""
    since: int = 0
    """Windows of the service since, the first included."""
    windows: int = 0
    lines: int = 0
    """In how many windows it came and with how many lines."""
    once: int = 0
    """Templates of its gravity that had come in one window only when it was born."""
    born: Nanos = 0
    until: Nanos = 0
    """Start of its first window, end of its last."""
    followed: bool = False

    def surprise(self) -> float:
        """Return ln of how much likelier a change at its birth is than none, less what is usual."""
        share = self.windows / (self.since + self.before)
        changed = _binomial(self.windows, self.since, self.windows / self.since)
        unchanged = _binomial(self.windows, self.since + self.before, share)
        return changed - unchanged - math.log1p(2.0 * self.once)


@dataclass(slots=True)
class _Service:
    warmup: Warmup
    once: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    """Templates seen in one window only, those that speak of failure apart."""
    known: dict[str, _Known] = field(default_factory=dict)


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
        learning = _young(summary, service)
        found: list[Anomaly] = []
        if summary.templates:
            for known in service.known.values():
                if known.followed:
                    known.since += 1
                    known.followed = known.since <= _FOLLOWED
        for template in summary.templates:
            known = _meet(summary, service, template)
            if known.followed:
                found.extend(self._judge(summary, service, template, known, learning))
        if summary.templates:
            service.warmup.saw()
        return found

    def _judge(
        self,
        summary: WindowSummary,
        service: _Service,
        template: TemplateCount,
        known: _Known,
        learning: bool,
    ) -> Sequence[Anomaly]:
        score = self._score(template, known)
        failure = _weight(template) >= _WARNING_WEIGHT
        if not failure and summary.end - known.born > _BRIEF:
            known.followed = False
        if not known.followed or not self._threshold.reached(score, 1):
            return ()
        key = (summary.environment, summary.service, template.template_id)
        run = self._state.runs.extend(key, summary.start, summary.end)
        if self._state.runs.accepted(key, summary.end):
            known.followed = False
            return ()
        finding = self._finding(summary, service, template, score, learning)
        node = node_of(summary, finding.instance)
        return (anomaly(summary.environment, summary.service, run, finding, node),)

    def _score(self, template: TemplateCount, known: _Known) -> float:
        weight, lines = _weight(template), math.log(known.lines)
        if weight >= _ERROR_WEIGHT:
            again = _AGAIN * min(known.windows, _MOST_AGAIN)
            score = known.surprise() + weight + lines + again
            sure = known.windows >= _SURE_WINDOWS or known.lines >= _SURE_LINES
            return score if sure or weight > _ERROR_WEIGHT else min(score, _UNSURE * self._threshold.value)
        return min(known.surprise(), _MOST_NEW) + weight + lines * (1.0 if weight else 0.5)

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


def _young(summary: WindowSummary, service: _Service) -> bool:
    return service.warmup.windows < _FEWEST or summary.start - service.warmup.first < _YOUNG


def _meet(summary: WindowSummary, service: _Service, template: TemplateCount) -> _Known:
    """Return what is known of the template, this window included; follow it if it is new."""
    failure = _weight(template) >= _WARNING_WEIGHT
    known = service.known.get(template.template_id)
    if known is None:
        known = service.known[template.template_id] = _Known(
            before=service.warmup.windows,
            since=1,
            once=service.once[failure],
            born=summary.start,
            until=summary.end,
            # What is there from the beginning has nothing before it to be different from.
            followed=not _young(summary, service) or template.severity_number >= FATAL,
        )
    known.followed = known.followed and summary.start - known.until <= _BRIEF
    touch(service.known, template.template_id, MAX_TEMPLATES)
    known.until = summary.end
    known.windows += 1
    known.lines += template.count
    if known.windows <= 2:
        service.once[failure] = max(0, service.once[failure] + (1 if known.windows == 1 else -1))
    return known


def _binomial(hits: int, of: int, share: float) -> float:
    """Return ln of the likelihood of `hits` of `of` windows at this share, without its constant."""
    missed = of - hits
    return (hits * math.log(share) if hits else 0.0) + (missed * math.log1p(-share) if missed else 0.0)


def _weight(template: TemplateCount) -> float:
    if template.severity_number >= FATAL:
        return _FATAL_WEIGHT
    if template.severity_number >= ERROR:
        return _ERROR_WEIGHT
    doubtful = template.severity_number == 0 and sounds_like_failure(template.template)
    return _WARNING_WEIGHT if doubtful or template.severity_number >= WARNING else 0.0
