"""Evidence kind: extra time, charged to who spends it.

A span's self time belongs to its service. The gap between what a caller waited and what the callee took
belongs to the path between them: an end that shows such gaps on most of its edges is charged for them.
Extra time is measured in seconds per call times calls, so that a rare slow call does not outweigh all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from agent.analysis import Mechanism
from agent.suspects.finding import Finding
from agent.suspects.sides import FlowSide, Sides
from detectors.anomaly import Evidence, EvidenceKind, evidence_id
from ingest.sketch import Sketch

MIN_CALLS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Extra seconds per call on one edge or operation."""

    service: str
    callee: str | None
    operation: str
    before: float
    during: float
    count: int

    @property
    def per_call(self) -> float:
        return self.during - self.before

    @property
    def total(self) -> float:
        return self.per_call * self.count


def findings(sides: Sides) -> Iterator[Finding]:
    """Yield self time and network findings."""
    yield from _own_time(sides)
    yield from _paths(sides, list(gaps_of(sides)))


def level(sketch: Sketch) -> float | None:
    """Return the mean of the middle: quantiles .25, .5, .75 and .9, seconds."""
    points = [sketch.quantile(q) for q in (0.25, 0.5, 0.75, 0.9)]
    known = [point for point in points if point is not None]
    return sum(known) / len(known) if known else None


def gaps_of(sides: Sides) -> Iterator[Extra]:
    """Yield the caller-minus-callee gap of every edge seen on both sides."""
    for service in sides.services():
        before, during = sides.both(service)
        for (callee, operation), flow in during.calls.items():
            earlier = before.calls.get((callee, operation))
            if earlier is None or min(flow.count, earlier.count) < MIN_CALLS:
                continue
            gap_before, gap_during = _gap(earlier), _gap(flow)
            if gap_before is not None and gap_during is not None:
                yield Extra(
                    service=service,
                    callee=callee,
                    operation=operation,
                    before=gap_before,
                    during=gap_during,
                    count=flow.count,
                )


def _gap(flow: FlowSide) -> float | None:
    outer, inner = level(flow.outer), level(flow.inner)
    return None if outer is None or inner is None else max(0.0, outer - inner)


def _paths(sides: Sides, gaps: list[Extra]) -> Iterator[Finding]:
    ends: dict[str, list[Extra]] = {}
    for gap in gaps:
        ends.setdefault(gap.service, []).append(gap)
        if gap.callee is not None:
            ends.setdefault(gap.callee, []).append(gap)
    for service in sorted(ends):
        touching = ends[service]
        slower = [gap for gap in touching if gap.per_call > max(0.002, 0.5 * gap.before)]
        if not slower:
            continue
        share = sum(g.count for g in slower) / max(1, sum(g.count for g in touching))
        worst = max(slower, key=lambda gap: (gap.total, gap.operation))
        value = _amount(worst.during, worst.before) * share
        if value >= 0.5:
            yield _finding(sides, service, worst, "path delay", Mechanism.NETWORK, value)


def _own_time(sides: Sides) -> Iterator[Finding]:
    for service in sides.services():
        before, during = sides.both(service)
        best: tuple[float, Extra] | None = None
        for operation, flow in during.operations.items():
            earlier = before.operations.get(operation)
            if earlier is None or min(flow.count, earlier.count) < MIN_CALLS:
                continue
            own, own_before = level(flow.inner), level(earlier.inner)
            if own is None or own_before is None:
                continue
            extra = Extra(
                service=service,
                callee=None,
                operation=operation,
                before=own_before,
                during=own,
                count=flow.count,
            )
            value = _amount(own, own_before)
            if value >= 0.5 and (best is None or value > best[0]):
                best = (value, extra)
        if best is not None:
            yield _finding(sides, service, best[1], "own time", Mechanism.UNKNOWN, best[0])


def _amount(during: float, before: float) -> float:
    """Return 0..10 for a rise of seconds per call: by its ratio, damped below a few milliseconds."""
    if during <= before:
        return 0.0
    ratio = math.log2((during + 1e-4) / (before + 1e-4))
    size = min(1.0, (during - before) / 0.01)
    return min(10.0, 1.6 * ratio * size)


def _finding(
    sides: Sides, service: str, extra: Extra, part: str, mechanism: Mechanism, value: float
) -> Finding:
    if extra.callee is None:
        kind, subject = EvidenceKind.OPERATION, extra.operation
        label = f"{service} {extra.operation}"
        what = f"own time of {service} in {extra.operation}"
    else:
        kind, subject = EvidenceKind.CALL, f"{extra.callee}|{extra.operation}"
        label = f"{extra.service} → {extra.callee} {extra.operation}"
        what = f"time between {extra.service} and {extra.callee} in {extra.operation}"
    owner = service if extra.callee is None else extra.service
    return Finding(
        service=service,
        part=part,
        value=value,
        mechanism=mechanism,
        component=extra.operation,
        evidence=Evidence(
            id=evidence_id(kind, sides.environment, owner, subject, sides.start),
            kind=kind,
            environment=sides.environment,
            service=owner,
            subject=subject,
            label=label,
            statement=f"{what} rose from {extra.before:.4g} s to {extra.during:.4g} s ({extra.count} calls)",
            start=sides.start,
            end=sides.end,
            score=value,
            expected=extra.before,
            observed=extra.during,
            unit="s",
        ),
    )
