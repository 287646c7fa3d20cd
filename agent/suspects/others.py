"""Evidence kinds that need little: failing calls, silence, changes near the onset."""

from __future__ import annotations

import math
from collections.abc import Iterator

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.sides import FlowSide, Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id
from ingest.record import SECOND

NEAR_CHANGE = 600 * SECOND
AT_ONSET = 10.0
"""Seconds within which windows cannot tell what came first."""


def failing(sides: Sides) -> Iterator[Finding]:
    """Yield operations of a service that began to fail. A failing callee is charged by its own spans."""
    for service in sides.services():
        before, during = sides.both(service)
        spans = {(service, name): flow for name, flow in during.operations.items()}
        earlier = {(service, name): flow for name, flow in before.operations.items()}
        calls = {(callee, name): flow for (callee, name), flow in during.calls.items()}
        earlier_calls = {(callee, name): flow for (callee, name), flow in before.calls.items()}
        yield from _failing(sides, service, spans, earlier, EvidenceKind.OPERATION)
        unseen = {key: flow for key, flow in calls.items() if not sides.incident.get(key[0])}
        yield from _failing(sides, service, unseen, earlier_calls, EvidenceKind.CALL)


def _failing(
    sides: Sides,
    service: str,
    flows: dict[tuple[str, str], FlowSide],
    earlier: dict[tuple[str, str], FlowSide],
    kind: EvidenceKind,
) -> Iterator[Finding]:
    scored = []
    for (target, name), flow in flows.items():
        was = earlier.get((target, name), FlowSide())
        share_before = (was.errors + 0.5) / (was.count + 10)
        share = flow.errors / flow.count if flow.count else 0.0
        if flow.errors < 2 or share <= 2 * share_before:
            continue
        value = min(6.0, math.log2(1 + flow.errors) * min(1.0, 0.3 + share))
        scored.append((value, target, name, flow, was))
    scored.sort(key=lambda item: (-item[0], item[1], item[2]))
    for value, target, name, flow, was in scored[:1]:
        subject = name if kind is EvidenceKind.OPERATION else f"{target}|{name}"
        yield Finding(
            service=target,
            part="failing",
            value=value,
            mechanism=Mechanism.EXCEPTION if kind is EvidenceKind.OPERATION else Mechanism.DEPENDENCY,
            component=name,
            evidence=Evidence(
                id=evidence_id(kind, sides.environment, service, subject, sides.start),
                kind=kind,
                environment=sides.environment,
                service=service,
                subject=subject,
                label=f"{service} {name}"
                if kind is EvidenceKind.OPERATION
                else f"{service} → {target} {name}",
                statement=(
                    f"{flow.errors} of {flow.count} spans {name} of {service} failed, "
                    f"before {was.errors} of {was.count}"
                ),
                start=sides.start,
                end=sides.end,
                score=value,
                expected=was.errors / was.count if was.count else 0.0,
                observed=flow.errors / flow.count,
            ),
        )


def silent(sides: Sides) -> Iterator[Finding]:
    """Yield services that were there in normal times and are not in the incident."""
    if not sides.incident:
        return
    for service, before in sorted(sides.baseline.items()):
        gone = service not in sides.incident
        quiet = (
            not gone
            and before.log_windows >= 0.8 * sides.baseline_log_windows > 0
            and sides.incident_log_windows >= 3
            and sides.incident[service].log_windows == 0
            # Whose lines came too late to be counted did write.
            and not sides.incident[service].untimely
        )
        if not gone and not quiet:
            continue
        what = "sent nothing" if gone else "wrote no log lines"
        yield Finding(
            service=service,
            part="silence",
            value=5.0 if gone else 3.0,
            mechanism=Mechanism.SILENCE,
            evidence=Evidence(
                id=evidence_id(EvidenceKind.SILENCE, sides.environment, service, service, sides.start),
                kind=EvidenceKind.SILENCE,
                environment=sides.environment,
                service=service,
                subject=service,
                label=service,
                statement=f"{service} {what} during the incident",
                start=sides.start,
                end=sides.end,
                score=5.0,
            ),
        )


def changed(sides: Sides) -> Iterator[Finding]:
    """Yield change events of a service shortly before or in the incident."""
    for service in sides.services():
        before, during = sides.both(service)
        near = [
            c for c in (*before.changes, *during.changes) if sides.start - NEAR_CHANGE <= c.time <= sides.end
        ]
        for change in near[-1:]:
            subject = f"{change.kind} {change.title}"
            ago = (sides.start - change.time) / SECOND
            when = f"{ago:.0f} s before the onset" if ago >= 0 else f"{-ago:.0f} s after the onset"
            if abs(ago) <= AT_ONSET:
                when = "at the onset"
            yield Finding(
                service=service,
                part="change",
                value=3.0 if abs(ago) <= 120 else 1.5,
                mechanism=Mechanism.CHANGE,
                component=change.title,
                evidence=Evidence(
                    id=evidence_id(EvidenceKind.CHANGE, sides.environment, service, subject, change.time),
                    kind=EvidenceKind.CHANGE,
                    environment=sides.environment,
                    service=service,
                    subject=subject,
                    label=subject,
                    statement=f"{change.kind} of {service}: {change.title}, {when}",
                    start=change.time,
                    end=change.time,
                    score=3.0,
                ),
            )
