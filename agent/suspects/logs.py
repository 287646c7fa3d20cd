"""Evidence kind: log templates that appear, surge or vanish, beyond what the change in traffic explains.

Counts are compared as Poisson rates over the windows that had logs at all, each service's against its
own overall volume: when everything doubles, nothing surged. Appearing errors weigh most; a vanished
ordinary line is a code path no longer taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.sides import ServiceSide, Sides, TemplateSide
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

WARN, ERROR = 13, 17
"""OpenTelemetry severity numbers."""
PER_SERVICE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One template's counts before (scaled to the incident's length and traffic) and during."""

    template_id: str
    side: TemplateSide
    expected: float
    observed: int
    known: bool
    expected_new: float = 0.0
    """New templates that the service would show anyway (Good and Turing: as many as it showed once)."""

    @property
    def deviance(self) -> float:
        """Signed root of the Poisson deviance: about normal where nothing changed."""
        expected, observed = max(self.expected, 0.5), self.observed
        part = observed * math.log(observed / expected) if observed else 0.0
        return math.copysign(math.sqrt(2 * max(0.0, part - (observed - expected))), observed - expected)


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield the strongest template turns of each service."""
    if not sides.incident_log_windows or not sides.baseline_log_windows:
        return
    for service in sides.services():
        before, during = sides.both(service)
        if not before.templates:
            turns = []
        else:
            turns = turns_of(before, during, sides.incident_log_windows / sides.baseline_log_windows)
        scored = sorted(((weight(turn), turn) for turn in turns), key=lambda p: (-p[0], p[1].template_id))
        for place, (value, turn) in enumerate(scored[:PER_SERVICE]):
            if value >= 1.0:
                yield _finding(sides, service, turn, value if place == 0 else value / 4)


def turns_of(before: ServiceSide, during: ServiceSide, length: float) -> list[Turn]:
    """Return all templates of a service with what was expected of them. `length` is incident to baseline."""
    common = [t for t in before.templates if t in during.templates]
    base = sum(before.templates[t].count for t in common)
    now = sum(during.templates[t].count for t in common)
    traffic = now / base if base >= 20 else length
    once = sum(seen.count == 1 for seen in before.templates.values())
    turns = []
    for identity in sorted({*before.templates, *during.templates}):
        earlier, later = before.templates.get(identity), during.templates.get(identity)
        side = later or earlier
        if side is None:
            continue
        turns.append(
            Turn(
                template_id=identity,
                side=side,
                expected=(earlier.count if earlier else 0.0) * traffic,
                observed=later.count if later else 0,
                known=earlier is not None,
                expected_new=once * length,
            )
        )
    return turns


def weight(turn: Turn) -> float:
    """Return 0..10 for how telling the turn is."""
    deviance = turn.deviance
    severity = turn.side.severity_number
    if deviance <= 0:
        return 0.0 if deviance > -3 else min(4.0, math.log2(-deviance) * 1.2)
    if not turn.known:
        value = min(4.0, 1 + math.log2(1 + turn.observed) / 2)
        if severity >= WARN:
            return value + (4.0 if severity >= ERROR else 2.0)
        return value / (1 + turn.expected_new)
    if deviance < 3:
        return 0.0
    value = min(4.0, math.log2(deviance))
    return value + (2.0 if severity >= ERROR else 1.0 if severity >= WARN else 0.0)


def _finding(sides: Sides, service: str, turn: Turn, value: float) -> Finding:
    severity = turn.side.severity_number
    if turn.observed < turn.expected:
        part, mechanism = "log vanished", Mechanism.BAD_RETURN
    elif severity >= WARN:
        part, mechanism = "log errors", Mechanism.EXCEPTION
    else:
        part, mechanism = "log surge" if turn.known else "log new", Mechanism.EXCEPTION
    subject = turn.template_id
    line = "error line" if severity >= ERROR else "warning line" if severity >= WARN else "line"
    if turn.known:
        told = f"{service} wrote one kind of {line} {turn.observed} times, about {turn.expected:.0f} expected"
    else:
        told = f"{service} wrote a new kind of {line} {turn.observed} times"
    return Finding(
        service=service,
        part=part,
        value=value,
        mechanism=mechanism,
        evidence=Evidence(
            id=evidence_id(EvidenceKind.LOG, sides.environment, service, subject, sides.start),
            kind=EvidenceKind.LOG,
            environment=sides.environment,
            service=service,
            subject=subject,
            label=turn.side.template,
            statement=told,
            start=turn.side.first if turn.observed and not turn.known else sides.start,
            end=sides.end,
            score=abs(turn.deviance),
            expected=turn.expected,
            observed=float(turn.observed),
            lines=tuple(turn.side.lines),
        ),
    )
