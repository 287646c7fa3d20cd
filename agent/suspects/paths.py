"""Evidence kind: work that a service no longer does for the requests it gets.

A request that fails early never reaches the calls and statements behind it. Each operation and each call is
held against the requests that came in, kind by kind, and the kindest explanation counts: that another mix
of requests came is no fault of the service.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.ratios import entries_of, ratio_deviance
from agent.suspects.sides import FlowSide, ServiceSide, Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id

MIN_CALLS = 5
TELLING = -3.0
ANSWERED = 0.4
"""Share of the suspicion that the callee of the missing calls bears."""
FAILURES = re.compile(r"error|exception|fail|retry|rollback", re.IGNORECASE)
"""What a service does about trouble is not missed when it stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """An operation of a service, or a call of it, that its requests no longer lead to."""

    deviance: float
    operation: str
    callee: str | None
    expected: float
    seen: int


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield for each service the operation or call that went missing most clearly.

    A service that is asked less by its callers than their own requests explain is a victim of the caller's
    missing work: its own mix of requests is another one for that reason, and nothing is charged to it.
    """
    missing = {service: _missing(*sides.both(service)) for service in sides.services()}
    asked_less = {found.callee for everything in missing.values() for found in everything}
    for service, everything in missing.items():
        if everything and service not in asked_less:
            clearest = min(everything, key=lambda m: (m.deviance, m.callee is None, m.operation))
            found = _finding(sides, service, clearest)
            yield found
            if clearest.callee is not None:
                # Why a caller stops short may lie in what the callee answered.
                yield dataclasses.replace(found, service=clearest.callee, value=ANSWERED * found.value)


def _missing(before: ServiceSide, during: ServiceSide) -> list[Missing]:
    entries = [pair for pair in entries_of(before, during, 1.0) if pair[0]]
    found: list[Missing] = []
    for operation, callee, was, now in _flows(before, during):
        if was < MIN_CALLS or not entries or FAILURES.search(operation):
            continue
        deviance, (a0, a1) = max(
            ((ratio_deviance((was, now), pair), pair) for pair in entries), key=lambda item: item[0]
        )
        if deviance < TELLING:
            found.append(
                Missing(
                    deviance=deviance, operation=operation, callee=callee, expected=was * a1 / a0, seen=now
                )
            )
    return found


def _flows(before: ServiceSide, during: ServiceSide) -> Iterator[tuple[str, str | None, int, int]]:
    for name, flow in sorted(before.operations.items()):
        if not flow.entries:
            yield name, None, flow.count, during.operations.get(name, FlowSide()).count
    for (callee, name), flow in sorted(before.calls.items()):
        yield name, callee, flow.count, during.calls.get((callee, name), FlowSide()).count


def _finding(sides: Sides, service: str, missing: Missing) -> Finding:
    callee, name = missing.callee, missing.operation
    kind = EvidenceKind.CALL if callee else EvidenceKind.OPERATION
    value = min(6.0, 1.5 * math.log2(-missing.deviance))
    what = f"called {callee} {name}" if callee else f"did {name}"
    subject = f"{callee}|{name}" if callee else name
    return Finding(
        service=service,
        part="work missing",
        value=value,
        # A call not made is an answer given early; work within that is not reached, code that broke off.
        mechanism=Mechanism.BAD_RETURN if callee else Mechanism.EXCEPTION,
        component=name,
        evidence=Evidence(
            id=evidence_id(kind, sides.environment, service, f"missing {subject}", sides.start),
            kind=kind,
            environment=sides.environment,
            service=service,
            subject=subject,
            label=f"{service} → {callee} {name}" if callee else f"{service} {name}",
            statement=(
                f"{service} {what} {missing.seen} times, "
                f"about {missing.expected:.0f} expected of the requests it got"
            ),
            start=sides.start,
            end=sides.end,
            score=-missing.deviance,
            expected=missing.expected,
            observed=float(missing.seen),
            unit="calls",
        ),
    )
