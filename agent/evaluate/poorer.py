"""A comparison as it would be with one kind of telemetry less: what confidence has to be learned from, too.

Pure. With everything at hand nearly all cases are right, and a confidence fitted on those alone could not
tell a weak ranking from a strong one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.suspects.sides import ServiceSide, Sides
from agent.topology.links import Source

SIGNALS = ("logs", "spans", "metrics")
_TOLD_BY = {"logs": Source.LOGS, "spans": Source.SPANS, "metrics": Source.METRICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Poorer:
    """What became of a case with one kind of telemetry hidden."""

    system: str
    place: int | None
    features: Mapping[str, float] = field(default_factory=dict)
    lacking: int = 0
    poorer: Sequence[Poorer] = ()


def poorer_sides(sides: Sides) -> Iterator[Sides]:
    """Yield the comparison without each kind of telemetry that it has beside another one."""
    measured = any(side.series for side in sides.incident.values())
    present = {
        "logs": bool(sides.incident_log_windows),
        "spans": bool(sides.incident_span_windows),
        "metrics": measured,
    }
    for signal in SIGNALS:
        if present[signal] and sum(present.values()) > 1:
            yield _without(sides, signal)


def _without(sides: Sides, signal: str) -> Sides:
    seen = dataclasses.replace(
        sides,
        baseline={name: _side(side, signal) for name, side in sides.baseline.items()},
        incident={name: _side(side, signal) for name, side in sides.incident.items()},
        links=tuple(link for link in sides.links if link.source is not _TOLD_BY[signal]),
        later=_without(sides.later, signal) if sides.later is not None else None,
    )
    if signal == "logs":
        return dataclasses.replace(seen, baseline_log_windows=0, incident_log_windows=0)
    if signal == "spans":
        return dataclasses.replace(seen, baseline_span_windows=0, incident_span_windows=0)
    return seen


def _side(side: ServiceSide, signal: str) -> ServiceSide:
    if signal == "logs":
        return dataclasses.replace(side, templates={}, pairs={}, hops={}, log_windows=0)
    if signal == "spans":
        return dataclasses.replace(side, operations={}, calls={}, entries=0, span_windows=0)
    return dataclasses.replace(side, series={}, units={}, counters=set())
