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
from agent.suspects.ratios import entries_of, ratio_deviance, starts_of
from agent.suspects.sides import ServiceSide, Sides, TemplateSide
from agent.suspects.statements import beginnings, statements
from agent.suspects.wording import THROWN, complains, ran_out, text_of
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

WARN, ERROR = 13, 17
"""OpenTelemetry severity numbers."""
PER_SERVICE = 4
SURE_BITS = 4.0
"""Bits of surprise from which a new complaint counts in full: the shorter normal times, the more lines."""
HALF = 0.5
"""What a loss is worth however small its share; a complete one is worth one more."""
ORDINARY = 0.5
"""What more of an ordinary line is worth beside more of a complaint: other requests lead to other lines."""
ELSEWHERE = 0.4
"""What a complaint is worth against its writer when it is about somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One template's counts before (scaled to the incident's length and traffic) and during."""

    template_id: str
    side: TemplateSide
    expected: float
    observed: int
    known: bool
    deviance: float
    """Signed root of a likelihood ratio: about normal where nothing changed, least over all explanations."""
    expected_new: float = 0.0
    """New templates that the service would show anyway (Good and Turing: as many as it showed once)."""
    surprise: float = 1.0
    """0..1: how unlikely it is that all its lines fall into the incident by chance."""


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield the strongest template turns of each service."""
    if not sides.incident_log_windows or not sides.baseline_log_windows:
        return
    everyone = frozenset(sides.services())
    for service in sides.services():
        for place, (value, turn) in enumerate(scored_turns(sides, service)[:PER_SERVICE]):
            if value >= 1.0:
                noted = turn.side.severity_number >= WARN
                if noted and complains(turn.side, everyone - {service}):
                    value *= ELSEWHERE
                yield finding_of(sides, service, turn, value if place == 0 else value / 4)


def scored_turns(sides: Sides, service: str) -> list[tuple[float, Turn]]:
    """Return a service's turns with how telling each is, most telling first."""
    before, during = sides.both(service)
    if not before.templates or not sides.incident_log_windows:
        return []
    length = sides.incident_log_windows / sides.baseline_log_windows
    spans = sides.incident_span_windows / max(1, sides.baseline_span_windows)
    turns = turns_of(before, during, length, length / spans if spans else 1.0)
    return sorted(((weight(turn), turn) for turn in turns), key=lambda p: (-p[0], p[1].template_id))


def turns_of(before: ServiceSide, during: ServiceSide, length: float, coverage: float = 1.0) -> list[Turn]:
    """Return all templates of a service with what was expected of them.

    `length` is incident to baseline in windows with logs, `coverage` the same ratio over that of spans.
    """
    names = beginnings(before, during)
    was_said, is_said = statements(before, names), statements(during, names)
    common = [t for t in was_said if t in is_said]
    base = sum(was_said[t].count for t in common)
    now = sum(is_said[t].count for t in common)
    traffic = (float(base), float(now)) if base >= 20 else (1000.0, 1000.0 * length)
    entries = entries_of(before, during, coverage)
    starts = {} if entries else starts_of(before, during)
    ids: dict[str, set[str]] = {}
    for identity, name in names.items():
        ids.setdefault(name, set()).add(identity)
    once = sum(seen.count == 1 for seen in was_said.values())
    turns = []
    for statement in sorted({*was_said, *is_said}):
        earlier, later = was_said.get(statement), is_said.get(statement)
        side = later or earlier
        if side is None:
            continue
        was, now_ = earlier.count if earlier else 0, later.count if later else 0
        noted = side.severity_number >= WARN
        own = starts.keys() - ids[statement]
        exposures = [
            traffic,
            *(pair for pair in entries if pair[0] or not noted or not now_),
            *(starts[other] for other in sorted(own)),
        ]
        scored = [(ratio_deviance((was, now_), pair), pair) for pair in exposures]
        deviance, (a0, a1) = min(scored, key=lambda item: abs(item[0]))
        turns.append(
            Turn(
                template_id=side.id,
                side=side,
                expected=was * (a1 / a0) if a0 else float(now_),
                observed=now_,
                known=earlier is not None,
                deviance=deviance,
                expected_new=once * length,
                surprise=_surprise(now_, [(1.0, length), *((b0, b1) for b0, b1 in exposures[1:] if b0)]),
            )
        )
    return turns


def _surprise(lines: int, exposures: list[tuple[float, float]]) -> float:
    """Return 0..1 for how unlikely it is that all lines fall into the incident, by the kindest exposure."""
    bits = min((lines * math.log2(1 + was / now) for was, now in exposures if now), default=SURE_BITS)
    return min(1.0, bits / SURE_BITS)


def weight(turn: Turn) -> float:
    """Return 0..10 for how telling the turn is; errors that stop coming are no trouble."""
    deviance = abs(turn.deviance)
    severity = turn.side.severity_number
    noted = 4.0 if severity >= ERROR else 2.0 if severity >= WARN else 0.0
    if turn.deviance <= 0:
        return 0.0 if deviance < 2 or noted else min(6.0, vanished(deviance, turn.expected, turn.observed))
    if not turn.known and noted:
        return turn.surprise * (min(4.0, 1 + math.log2(1 + turn.observed) / 2) + noted)
    if deviance < 3:
        return 0.0
    value = min(6.0, 1.5 * math.log2(deviance)) * (1.0 if noted else ORDINARY) + noted / 2
    return value if turn.known else value / (1 + turn.expected_new)


def vanished(deviance: float, expected: float, observed: float) -> float:
    """Return what lost lines are worth: how sure the loss is, and how complete."""
    return 1.5 * math.log2(deviance) * (HALF + max(0.0, 1 - observed / expected if expected else 0.0))


def finding_of(sides: Sides, service: str, turn: Turn, value: float) -> Finding:
    """Return what a turn says about its service."""
    severity = turn.side.severity_number
    if turn.observed < turn.expected:
        part, mechanism = "log vanished", Mechanism.EXCEPTION
    elif severity >= WARN:
        thrown = THROWN.search(text_of(turn.side)) is not None
        part, mechanism = "log errors", Mechanism.EXCEPTION if thrown else Mechanism.BAD_RETURN
    else:
        part, mechanism = "log surge" if turn.known else "log new", Mechanism.EXCEPTION
    if turn.observed > turn.expected:
        mechanism = ran_out(turn.side) or mechanism
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
