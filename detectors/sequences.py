"""Detector: more sequences than usual are written in a way that few are.

Per service `sequence_model` judges every key (trace, session, block) once it has paused. What it finds odd is
counted, and told to whoever asks (`take`); a service where some odd keys are everyday life pages nobody for
one more. An anomaly is a surge of them, for the keys judged: three at least, in a window or over a minute.
Evidence are the templates that made them odd, in the latest window that had them. Where a service has more
keys than a window carries or there is room for until they are judged, a share of them is followed, the same
ones in every window.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from detectors.anomaly import Anomaly, Direction, Evidence, EvidenceKind, Hit, evidence_id
from detectors.evidence import WARNING, Finding, anomaly, bounded, number, sounds_like_failure
from detectors.sequence_known import MAX_TEMPLATES
from detectors.sequence_model import MAX_KEYS, SequenceModel, Verdict
from detectors.state import touch
from detectors.stateful import Stateful
from detectors.threshold import Runs, Threshold
from detectors.warmup import FEWEST
from ingest.record import SECOND, Nanos
from ingest.summary import Line, TemplateCount, WindowSummary, sequence_rank

NAME = "sequences"
VERSION = "2"
THRESHOLD = Threshold(value=5.0)
MAX_SERVICES = 200
"""Services whose keys are followed; those that spoke longest ago are let go of."""
MAX_KEPT = 50_000
"""Keys kept over all services."""
MAX_TAKEN = 10_000

_MINIMUM = 3
_SHOWN = 3
_MINUTE = 6
"""Windows that are also judged together."""
_DECAY = 0.5 ** (1 / 720)
_UNSURE = 1.9
"""A surge without a line that speaks of failure needs another sign beside it to open an incident."""


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
    """Which share of the keys is followed."""
    latest: Nanos = 0
    """End of the latest window: one that is not after it was counted, or comes too late."""
    lines: float = 0.0
    late: float = 0.0
    """Lines that were counted and that came too late for it; old ones fade."""
    judged: int = 0
    """Windows in which keys were judged."""

    def follow(self, share: float) -> None:
        """Follow a smaller share of the keys, and forget the others."""
        self.share = share
        self.model.keep(lambda key: sequence_rank(key) < share)


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
        for old, now in summary.renamed:
            self._rename((summary.environment, summary.service), old, now)
        if not summary.sequences:
            return ()
        key = (summary.environment, summary.service)
        service = self._state.services.setdefault(key, _Service())
        touch(self._state.services, key, MAX_SERVICES)
        if summary.end <= service.latest:
            return ()
        service.latest = summary.end
        service.lines = service.lines * _DECAY + sum(summary.severities.values())
        service.late = service.late * _DECAY + summary.late
        service.model.lost = service.late / max(service.lines, 1.0)
        self._follow(service, summary)
        for template in summary.templates:
            if template.template_id in service.model.known.having and _grave(template):
                service.model.grave.add(template.template_id)
            service.templates[template.template_id] = _Template(
                text=template.template,
                severity=template.severity_number,
                start=summary.start,
                end=summary.end,
                lines=template.lines[:1],
            )
            touch(service.templates, template.template_id, MAX_TEMPLATES)
        return ()

    def _follow(self, service: _Service, summary: WindowSummary) -> None:
        if summary.sequence_share < service.share:
            service.follow(summary.sequence_share)
        elif service.share < summary.sequence_share and not service.model.live:
            # Only while none is on its way: a key followed from its middle on would lack its beginning.
            service.share = min(2.0 * service.share, summary.sequence_share)
        for sequence in summary.sequences:
            if service.share >= 1.0 or sequence_rank(sequence.key) < service.share:
                service.model.add(sequence.key, dict(sequence.counts), summary.end)
        if service.model.bound(min(MAX_KEYS, MAX_KEPT // len(self._state.services))):
            service.follow(service.share / 2)

    def _rename(self, key: tuple[str, str], old: str, now: str) -> None:
        service = self._state.services.get(key)
        if service is not None:
            service.model.rename(old, now)
            service.templates.pop(old, None)

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
        service.judged += 1
        if not high:
            service.model.turn(end)
        if run is None:
            return ()
        return (anomaly(environment, name, run, self._finding(name, service, evidence, score, usual)),)

    def _finding(
        self, name: str, service: _Service, evidence: tuple[Evidence, ...], score: float, usual: float
    ) -> Finding:
        severe = any(one.subject in service.model.grave for one in evidence)
        return Finding(
            detector=NAME,
            subject=NAME,
            direction=Direction.UP,
            hit=Hit.ERROR if severe else Hit.OTHER,
            score=score if severe else min(score, _UNSURE * self._threshold.value),
            threshold=self._threshold.value,
            reason=f"More sequences of {name} than the usual {number(usual)} take a course that few take.",
            evidence=evidence,
            learning=service.judged <= FEWEST,
        )


def _deviance(count: int, expected: float) -> float:
    """Return the signed root of the likelihood ratio that a Poisson count is as expected, 0 for fewer."""
    if count <= expected:
        return 0.0
    return math.sqrt(2.0 * (count * math.log(count / expected) - count + expected))


def _evidence(
    environment: str, name: str, service: _Service, odd: Sequence[Verdict], judged: int, score: float
) -> tuple[Evidence, ...]:
    """Return the templates that set the odd keys apart, the commonest first."""
    telling = Counter((one.why.template, one.why.count, bool(one.why.given)) for one in odd if one.why)
    found: list[Evidence] = []
    for (template_id, count, broken), keys in sorted(telling.items(), key=lambda one: (-one[1], one[0])):
        template = service.templates.get(template_id)
        if template is None or len(found) == _SHOWN:
            continue
        found.append(
            Evidence(
                id=evidence_id(EvidenceKind.LOG, environment, name, template_id, template.start),
                kind=EvidenceKind.LOG,
                environment=environment,
                service=name,
                subject=template_id,
                label=template.text[:300],
                statement=f"{keys} of {judged} keys of {name} that paused have {_told(count, broken)}.",
                start=template.start,
                end=template.end,
                score=bounded(score),
                instance=template.lines[0].instance if template.lines else None,
                observed=float(keys),
                lines=template.lines,
            )
        )
    return tuple(found)


def _told(count: int, broken: bool) -> str:
    """Return what is rare about having a template so often."""
    if broken:
        return (
            "this kind of line beside others that come without it"
            if count
            else ("no line of this kind beside others that never come without it")
        )
    return (
        f"{count} lines of this kind, which few keys have"
        if count
        else ("no line of this kind, which nearly all keys have")
    )


def _grave(template: TemplateCount) -> bool:
    """Say whether a template speaks of failure: by its severity, or where it has none by its words."""
    if template.severity_number:
        return template.severity_number >= WARNING
    return sounds_like_failure(template.template)
