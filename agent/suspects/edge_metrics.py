"""Edges that metrics tell of: the latency of calls as the caller and as the callee measured it.

Service meshes and service graphs report per pair of services, in the metric's name (`latency.to.payments`,
`latency.from.checkout`) or in labels (`destination_service_name`, `peer.service`, `client` and `server`).
Where both ends tell of the same edge, what lies between them is the path's, as with spans.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass

from agent.suspects.sides import Sides
from agent.topology.links import edge_of

LATENCY = re.compile(r"latenc|duration|response.?time|(?:client|server).seconds", re.IGNORECASE)
CLIENT = re.compile(r"client", re.IGNORECASE)
"""How a collector, which is neither end, calls what the caller measured."""
SECONDS = {
    "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9,
    "seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9,
}  # fmt: skip
"""Units as UCUM writes them, and in words as many shippers do."""
MIN_SAMPLES = 2
"""Samples of an incident that a level may be taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEdge:
    """Seconds between caller and callee, before and during."""

    caller: str
    callee: str
    before: float
    during: float


def metric_edges(sides: Sides) -> list[MetricEdge]:
    """Return every edge that both ends measured on both sides, sorted."""
    outer: dict[tuple[str, str], tuple[float, float]] = {}
    inner: dict[tuple[str, str], tuple[float, float]] = {}
    services = frozenset(sides.services())
    for service in sides.services():
        before, during = sides.both(service)
        for key, samples in sorted(during.series.items()):
            if not LATENCY.search(key.name) or key not in before.series or len(samples) < MIN_SAMPLES:
                continue
            scale = SECONDS.get(before.units.get(key, "s"), 1.0)
            levels = (
                statistics.median(v for _, v in before.series[key]) * scale,
                statistics.median(v for _, v in samples) * scale,
            )
            edge = edge_of(key, service)
            if edge[0] != edge[1] and services.issuperset(edge):
                measured_by_caller = service == edge[0] or (service != edge[1] and CLIENT.search(key.name))
                (outer if measured_by_caller else inner).setdefault(edge, levels)
    return [
        MetricEdge(
            caller=caller,
            callee=callee,
            before=max(0.0, levels[0] - inner[caller, callee][0]),
            during=max(0.0, levels[1] - inner[caller, callee][1]),
        )
        for (caller, callee), levels in sorted(outer.items())
        if (caller, callee) in inner
    ]
