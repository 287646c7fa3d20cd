"""From counts and samples to reports: each service's signals compared, ordered by how strongly they changed.

Pure. What a metric seems to mean comes from `meaning`; every series counts once, in its resource
or by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.evaluate.inspection import meaning
from agent.evaluate.inspection.changes import NOTABLE, Change, change
from agent.evaluate.inspection.report import Operation, Resource
from agent.evaluate.inspection.samples import Series
from agent.evaluate.inspection.tallies import Flow, ServiceTally
from agent.evaluate.inspection.tracks import Grid, Track, tracks_of
from ingest.record import SECOND
from ingest.sketch import Sketch

_WEIGHTS = {"failed": 1.2, "p95": 1.0, "complaints": 0.8, "requests": 0.6, "p50": 0.3, "lines": 0.2}
_RESOURCE, _OTHER = 0.7, 0.25
_MOST_METRICS, _MOST_OPERATIONS = 9, 8
_FLOORS = {"%": 4.0, "m": 40.0, "By": 8e6, "Mi": 8.0, "MiBy": 8.0, "connection": 2.0, "s": 2e-3, "ms": 2.0}
_SIGNAL = {"requests": "spans", "p50": "spans", "p95": "spans", "failed": "spans"}
_SHOWN_PER_RESOURCE = {"pool": 4}
_UNITS_PER_FAMILY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Which cells are normal, by signal, and which are the incident's (None: there is none)."""

    normal: Mapping[str, NDArray[np.bool_]]
    during: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One service's changes."""

    changes: Mapping[str, Change]
    resources: tuple[Resource, ...]
    metrics: tuple[Change, ...]
    strength: float


def compared(tally: ServiceTally, series: Sequence[Series], grid: Grid, sides: Sides) -> Compared:
    """Return all changes of one service."""
    from_spans = bool(tally.requests)
    changes = {}
    for name, track in tracks_of(tally, series, grid).items():
        signal = _SIGNAL.get(name, "logs") if from_spans or name not in _SIGNAL else "metrics"
        changes[name] = change(track, sides.normal[signal], sides.during, grid.starts)
    normal = sides.normal["metrics"]
    measured = [
        (one, change(_track(one, grid), normal, sides.during, grid.starts))
        for one in series
        if not meaning.is_capacity(one) and meaning.family(one) != "identity"
    ]
    resources = tuple(_resources(measured, [one for one in series if meaning.is_capacity(one)]))
    shown = {id(change) for resource in resources for change in resource.changes}
    others = [
        (one, found) for one, found in measured if id(found) not in shown and abs(found.score) >= NOTABLE
    ]
    others.sort(key=lambda item: (-abs(item[1].score) * _other_weight(item[0]), item[0].id))
    return Compared(
        changes=changes,
        resources=resources,
        metrics=tuple(found for _, found in others[:_MOST_METRICS]),
        strength=_strength(changes, resources, others),
    )


def _track(series: Series, grid: Grid) -> Track:
    family = meaning.family(series)
    unit = series.unit.strip("{}")
    worse = (
        1 if family in {*meaning.RESOURCES, "latency", "errors", "lock"} else -1 if family == "success" else 0
    )
    if family in meaning.RESOURCES and meaning.is_free(series):
        worse = 0 if family == "pool" else -1
    floor = _FLOORS.get(unit, 1.0 if unit and series.unit.startswith("{") else 0.0)
    return Track(
        name=series.id.name,
        label=series.label,
        unit=series.unit,
        values=grid.sampled(series),
        worse=worse,
        floor=floor,
        series=series,
    )


def _other_weight(series: Series) -> float:
    return 0.3 if meaning.family(series) in {"machine", "network", "traffic"} else 1.0


def _strength(
    changes: Mapping[str, Change], resources: Sequence[Resource], others: Sequence[tuple[Series, Change]]
) -> float:
    worst: dict[str, float] = {}
    for resource in resources:
        worst[resource.family] = max(worst.get(resource.family, 0.0), resource.changes[0].harm)
    parts = [(_WEIGHTS[name], found.harm) for name, found in changes.items()]
    parts += [(_RESOURCE, harm) for harm in worst.values()]
    if others:
        parts.append((_OTHER, max(found.harm * _other_weight(one) for one, found in others)))
    return sum(weight * math.log1p(max(harm - 2, 0)) for weight, harm in parts)


def _resources(measured: Sequence[tuple[Series, Change]], capacities: Sequence[Series]) -> list[Resource]:
    found = []
    for family in meaning.RESOURCES:
        mine = [(one, c) for one, c in measured if meaning.family(one) == family and _is_level(one)]
        if not mine:
            continue
        stated = [one for one in capacities if meaning.family(one) == family]
        mine.sort(key=lambda item: (-item[1].harm, len(item[0].label), item[0].id))
        limited = {one.unit for one in stated}
        units = sorted(dict.fromkeys(one.unit for one, _ in mine), key=lambda unit: unit not in limited)
        for unit in units[:_UNITS_PER_FAMILY]:
            same = [c for one, c in mine if one.unit == unit][: _SHOWN_PER_RESOURCE.get(family, 2)]
            found.append(
                Resource(
                    family=family, changes=tuple(same), capacity=_capacity(same, stated, unit), unit=unit
                )
            )
    return found


def _capacity(same: Sequence[Change], stated: Sequence[Series], unit: str) -> float | None:
    """Return how much there is: what a series states last, or 100 % of what never exceeds it."""
    told = [float(one.values[-1]) for one in stated if one.unit == unit]
    if told:
        return told[0]
    highest = max((float(np.nanmax(c.track.values)) for c in same if _known(c)), default=0.0)
    return 100.0 if unit == "%" and highest <= 101 else None


def _known(found: Change) -> bool:
    return bool(np.isfinite(found.track.values).any())


def _is_level(series: Series) -> bool:
    return not series.rate or series.unit in {"s/s", "%"}


def operations(tally: ServiceTally, before: float, during: float) -> tuple[Operation, ...]:
    """Return the operations that changed most; `before` and `during` are seconds with spans."""
    found = []
    for (callee, name), flows in tally.operations.items():
        was, now = _side(flows.get(0), before), _side(flows.get(1), during)
        if was is None and now is None:
            continue
        found.append(
            Operation(callee=callee, name=name, before=was, during=now, score=_operation_score(was, now))
        )
    found.sort(key=lambda op: (-op.score, op.callee, op.name))
    return tuple(found[:_MOST_OPERATIONS])


def _side(flow: Flow | None, seconds: float) -> tuple[float, float, float] | None:
    if flow is None or not flow.count or seconds <= 0:
        return None
    p95 = Sketch(buckets=flow.buckets).quantile(0.95) or 0.0
    return flow.count / seconds, 100 * flow.errors / flow.count, p95


def _operation_score(was: tuple[float, float, float] | None, now: tuple[float, float, float] | None) -> float:
    if was is None or now is None:
        return (was or now or (0.0, 0.0, 0.0))[0]
    slower = abs(math.log(max(now[2], 1e-6) / max(was[2], 1e-6)))
    return slower + abs(now[1] - was[1]) / 10 + 0.3 * abs(math.log(now[0] / was[0]))


def cell_seconds(grid: Grid, mask: NDArray[np.bool_], known: frozenset[int]) -> float:
    """Return how much recorded time of a signal lies in the masked cells, in seconds."""
    count = sum(bool(inside) and grid.number(n) in known for n, inside in enumerate(mask))
    return count * grid.cell / SECOND
