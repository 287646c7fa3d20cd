"""Extra time on edges and in operations, as spans, metrics or lines of shared traces tell it.

Pure. The gap between what a caller waited and what the callee took is the edge's; `latency` says whose that
makes it.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from agent.suspects.edge_metrics import metric_edges
from agent.suspects.sides import FlowSide, ServiceSide, Sides
from agent.topology.links import BELIEVED
from ingest.sketch import Sketch

MIN_CALLS = 5
MEASURED_CALLS = 10
"""Calls that a median stands for whose number is not known."""
TYPICAL = (0.25, 0.5)
"""A delay on a path holds up every call; single slow ones are the callee's or the sampling's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """Extra seconds per call on one edge or operation."""

    service: str
    callee: str | None
    operation: str
    before: float
    during: float
    count: int
    measured: bool = False
    """Told by metrics or by lines alone: how many calls it stands for is not known."""

    @property
    def per_call(self) -> float:
        return self.during - self.before

    @property
    def total(self) -> float:
        return self.per_call * self.count


def level(sketch: Sketch, quantiles: tuple[float, ...]) -> float | None:
    """Return the mean of some quantiles, seconds."""
    points = [sketch.quantile(q) for q in quantiles]
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


def measured_gaps(sides: Sides, seen: Container[tuple[str, str | None]]) -> Iterator[Extra]:
    """Yield the gaps of edges that only metrics tell of, each counted as a handful of calls."""
    for edge in metric_edges(sides):
        if (edge.caller, edge.callee) not in seen:
            yield Extra(
                service=edge.caller,
                callee=edge.callee,
                operation="calls",
                before=edge.before,
                during=edge.during,
                count=MEASURED_CALLS,
                measured=True,
            )


def logged_gaps(sides: Sides, seen: Container[tuple[str, str | None]]) -> Iterator[Extra]:
    """Yield the time between lines of one trace by two services, there and back, where no span tells."""
    for link in sides.links:
        first, second = link.caller, link.callee
        if (first, second) in seen or (second, first) in seen or link.confidence < BELIEVED:
            continue
        before = [*_hops(sides.baseline, first, second), *_hops(sides.baseline, second, first)]
        during = [*_hops(sides.incident, first, second), *_hops(sides.incident, second, first)]
        if min(len(before), len(during)) >= MIN_CALLS:
            yield Extra(
                service=first,
                callee=second,
                operation="lines of one trace",
                before=_late(before),
                during=_late(during),
                count=len(during),
                measured=True,
            )


def _hops(side: Mapping[str, ServiceSide], first: str, second: str) -> list[float]:
    return side[first].hops.get(second, []) if first in side else []


def _late(gaps: list[float]) -> float:
    """Return the mean of the middle and the upper quartile: a delay may hold up one direction only."""
    ordered = sorted(gaps)
    return (ordered[len(ordered) // 2] + ordered[3 * len(ordered) // 4]) / 2


def _gap(flow: FlowSide) -> float | None:
    outer, inner = level(flow.outer, TYPICAL), level(flow.inner, TYPICAL)
    return None if outer is None or inner is None else max(0.0, outer - inner)
