"""Detector: more sequences than usual are written in a way that few are.

Per service `sequence_model` judges every key (trace, session, block) once it has paused. What it finds odd is
counted, and told to whoever asks (`take`); a service where some odd keys are everyday life pages nobody for
one more. An anomaly is a surge of them, for the keys judged: three at least, in a window or over a minute.
Evidence are the templates that made them odd, in the latest window that had them. Follows, where a service
has more keys than a window carries, only those that every window of the last hour could carry.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit, evidence_id
from detectors.evidence import ERROR, Finding, anomaly, bounded, number
from detectors.sequence_model import MAX_TEMPLATES, SequenceModel, Vector, Verdict
from detectors.state import touch
from detectors.stateful import Stateful
from detectors.threshold import Runs, Threshold
from ingest.record import SECOND, Nanos
from ingest.summary import Line, WindowSummary, sequence_rank

NAME = "sequences"
VERSION = "1"
THRESHOLD = Threshold(value=5.0)
MAX_SERVICES = 200
"""Services whose keys are followed; those that spoke longest ago are let go of."""
MAX_TAKEN = 10_000

_MINIMUM = 3
_SHOWN = 3
_MINUTE = 6
"""Windows that are also judged together."""
_DECAY = 0.5 ** (1 / 720)
_SHARE_STANDS: Nanos = 3600 * SECOND


@dataclass(slots=True)
class _Template:
    """A template as last seen, so that an odd key can be explained by it when it is judged."""

    text: str
    severity: int
    start: Nanos
    end: Nanos
    lines: tuple[Line, ...] = ()


@dataclass(slots=True)
class _Usual:
    """How many of the judged keys are odd as a rule; old windows fade."""

    odd: float = 0.0
    judged: float = 0.0
    recent: list[tuple[int, int]] = field(default_factory=list)
    """Odd and judged keys of the latest windows."""

    def expected(self, judged: float) -> float:
        """Return how many of so many keys are odd as a rule."""
        return (self.odd + 0.5) / (self.judged + 1.0) * judged

    def score_one(self, odd: int, judged: int) -> float:
        """Return how surprising so many are, in one window or in those of the last minute together."""
        window = _deviance(odd, self.expected(judged))
        odd, judged = odd + sum(one for one, _ in self.recent), judged + sum(of for _, of in self.recent)
        return max(window, _deviance(odd, self.expected(judged)))

    def learn_one(self, odd: int, judged: int, *, high: bool) -> None:
        """Learn a window, unless it is high."""
        self.recent = [*self.recent[-(_MINUTE - 2) :], (odd, judged)]
        if not high:
            self.odd = self.odd * _DECAY + odd
            self.judged = self.judged * _DECAY + judged


@dataclass(slots=True)
class _Service:
    model: SequenceModel = field(default_factory=SequenceModel)
    usual: _Usual = field(default_factory=lambda: _Usual())
    templates: dict[str, _Template] = field(default_factory=dict)
    share: float = 1.0
    until: Nanos = 0
    """Which share of the keys is followed, and until when at least."""


@dataclass(slots=True)
class _State:
    services: dict[tuple[str, str], _Service] = field(default_factory=dict)
    runs: Runs = field(default_factory=lambda: Runs(gap=60 * SECOND))


class Sequences(Stateful[_State]):
    """Flags surges of sequences that are written as few are."""

    name = NAME
    version = VERSION

    def __init__(self, threshold: Threshold = THRESHOLD) -> None:
        super().__init__(_State)
        self._threshold = threshold
        self._taken: list[tuple[str, str, Verdict]] = []

    def take(self) -> tuple[tuple[str, str, Verdict], ...]:
        """Return (environment, service, verdict) of the keys found odd since the last call, and forget them.

        Only the newest are kept, and none of them over a restart.
        """
        taken, self._taken = tuple(self._taken), []
        return taken

    def observe(self, summary: WindowSummary) -> Sequence[Anomaly]:
        if not summary.sequences:
            return ()
        key = (summary.environment, summary.service)
        service = self._state.services.setdefault(key, _Service())
        touch(self._state.services, key, MAX_SERVICES)
        if summary.sequence_share <= service.share or summary.end >= service.until:
            service.share = summary.sequence_share
            service.until = summary.end + _SHARE_STANDS
        for sequence in summary.sequences:
            if service.share >= 1.0 or sequence_rank(sequence.key) < service.share:
                service.model.add(sequence.key, dict(sequence.counts), summary.end)
        for template in summary.templates:
            service.templates[template.template_id] = _Template(
                text=template.template,
                severity=template.severity_number,
                start=summary.start,
                end=summary.end,
                lines=template.lines[:1],
            )
            touch(service.templates, template.template_id, MAX_TEMPLATES)
        return ()

    def tick(self, end: Nanos) -> Sequence[Anomaly]:
        self._state.runs.prune(end)
        found: list[Anomaly] = []
        for (environment, name), service in sorted(self._state.services.items()):
            verdicts = list(service.model.settle(end))
            if verdicts:
                self._taken.extend((environment, name, verdict) for verdict in verdicts if verdict.odd)
                found.extend(self._judge(environment, name, service, verdicts, end))
        del self._taken[:-MAX_TAKEN]
        return found

    def _judge(
        self,
        environment: str,
        name: str,
        service: _Service,
        verdicts: Sequence[Verdict],
        end: Nanos,
    ) -> Sequence[Anomaly]:
        odd = [verdict for verdict in verdicts if verdict.odd or verdict.sudden]
        usual = service.usual.expected(len(verdicts))
        score = service.usual.score_one(len(odd), len(verdicts))
        enough = bool(odd) and len(odd) + sum(one for one, _ in service.usual.recent) >= _MINIMUM
        high = enough and score >= self._threshold.value
        key = (environment, name, NAME)
        evidence = _evidence(environment, name, service, odd, len(verdicts), score) if high else ()
        run = self._state.runs.extend(key, end - 10 * SECOND, end) if evidence else None
        if run is not None and self._state.runs.accepted(key, end):
            service.usual, high, run = _Usual(), False, None
            service.model.accept()
        service.usual.learn_one(len(odd), len(verdicts), high=high)
        if not high:
            service.model.turn(end)
        if run is None:
            return ()
        finding = Finding(
            detector=NAME,
            subject=NAME,
            direction=Direction.UP,
            hit=Hit.ERROR if any(_severe(service, one.subject) for one in evidence) else Hit.OTHER,
            score=score,
            threshold=self._threshold.value,
            reason=f"More sequences of {name} than the usual {number(usual)} take a course that few take.",
            evidence=evidence,
        )
        return (anomaly(environment, name, run, finding),)


def _deviance(count: int, expected: float) -> float:
    """Return the signed root of the likelihood ratio that a Poisson count is as expected, 0 for fewer."""
    if count <= expected:
        return 0.0
    return math.sqrt(2.0 * (count * math.log(count / expected) - count + expected))


def _evidence(
    environment: str, name: str, service: _Service, odd: Sequence[Verdict], judged: int, score: float
) -> tuple[Evidence, ...]:
    """Return the templates that set the odd keys apart, the commonest first."""
    telling = Counter(_telling(service.model, verdict.stands) for verdict in odd)
    found = []
    for (template_id, count), keys in sorted(telling.items(), key=lambda one: (-one[1], one[0]))[:_SHOWN]:
        template = service.templates.get(template_id)
        if template is None:
            continue
        found.append(
            Evidence(
                id=evidence_id(EvidenceKind.LOG, environment, name, template_id, template.start),
                kind=EvidenceKind.LOG,
                environment=environment,
                service=name,
                subject=template_id,
                label=template.text[:300],
                statement=f"{keys} of {judged} keys of {name} that paused have {count} lines of this kind, "
                "which few keys have.",
                start=template.start,
                end=template.end,
                score=bounded(score),
                instance=template.lines[0].instance if template.lines else None,
                observed=float(keys),
                lines=template.lines,
            )
        )
    return tuple(found)


def _telling(model: SequenceModel, stands: Vector) -> tuple[str, int]:
    """Return the template and count of a vector that fewest keys have."""
    return min(stands, key=lambda one: (model.counts.get(one[0], {}).get(one[1], 0.0), one))


def _severe(service: _Service, template_id: str) -> bool:
    template = service.templates.get(template_id)
    return template is not None and template.severity >= ERROR
