"""Evidence kind: a service that asks another far more than it is asked itself.

Retries and loops multiply requests on their way. The caller is charged with what it adds; the callee, which
only got more to do, is relieved of some of what its own load shows.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterator

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.sides import ServiceSide, Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

SERVED = re.compile(r"request|workload|qps|rps|\brate\b", re.IGNORECASE)
CLIENT = re.compile(r"client|error|fail|latenc|bytes|cpu|mem|\.(p\d\d|mean|max|min)$", re.IGNORECASE)
TELLING = 8.0
"""Times that traffic must be multiplied."""
MOST = 8.0
RELIEF = 0.75


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield the callers that multiply traffic most, and the relief of those they call."""
    grown = {service: growth(*sides.both(service)) for service in sides.services()}
    callers: dict[str, set[str]] = {}
    for caller, callee in sides.edges():
        callers.setdefault(callee, set()).add(caller)
    for callee, asking in sorted(callers.items()):
        theirs = grown.get(callee)
        known = {caller: grown[caller] for caller in asking if grown.get(caller)}
        if theirs is None or not known:
            continue
        # Whoever of the callers grew most explains most of it.
        caller = max(known, key=lambda c: (known[c] or 0.0, c))
        times = theirs / max(0.5, known[caller] or 1.0)
        if times >= TELLING:
            value = min(MOST, 1.5 * math.log2(times))
            yield _finding(sides, caller, caller, callee, times, value)
            yield _finding(sides, callee, caller, callee, times, -RELIEF * value)


def growth(before: ServiceSide, during: ServiceSide) -> float | None:
    """Return how many times the requests that a service gets have become, None where nothing tells."""
    grown = []
    for key, samples in during.series.items():
        if not SERVED.search(key.name) or CLIENT.search(key.name) or len(samples) < 2:
            continue
        was = [value for _, value in before.series.get(key, ())]
        if len(was) >= 2 and statistics.fmean(was) > 0:
            grown.append((statistics.fmean(was), statistics.fmean(value for _, value in samples)))
    if not grown:
        return None
    return sum(now for _, now in grown) / sum(was for was, _ in grown)


def _finding(sides: Sides, service: str, caller: str, callee: str, times: float, value: float) -> Finding:
    subject = f"{callee}|requests"
    return Finding(
        service=service,
        part="multiplied traffic" if value > 0 else "only asked more",
        value=value,
        mechanism=Mechanism.TRAFFIC,
        evidence=Evidence(
            id=evidence_id(EvidenceKind.CALL, sides.environment, caller, subject, sides.start),
            kind=EvidenceKind.CALL,
            environment=sides.environment,
            service=caller,
            subject=subject,
            label=f"{caller} → {callee} requests",
            statement=(
                f"requests to {callee} grew {times:.0f} times as much as those to {caller}, which calls it"
            ),
            start=sides.start,
            end=sides.end,
            score=abs(value),
            expected=1.0,
            observed=times,
        ),
    )
