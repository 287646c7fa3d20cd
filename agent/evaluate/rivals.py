"""Rankings that ours must beat: simple and published ways on the same windows, scored by the same scorer.

Each takes both sides of a comparison and returns services, most suspicious first; a service that shows
nothing is not ranked. They are opponents in `faultline eval rca` and used nowhere else.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from agent.suspects import Sides

WARN = 13
BYTES, MEBI = frozenset({"By", "bytes", "B"}), 2.0**20
RESTART, BACKWARDS, STEPS = 0.15, 0.2, 100


def n_sigma(sides: Sides) -> list[str]:
    """Rank by the largest distance of any series from its normal mean, in normal standard deviations."""

    def scale(values: Sequence[float]) -> tuple[float, float]:
        return statistics.fmean(values), statistics.pstdev(values) or 1.0

    return _ranked(_strongest(sides, scale))


def baro(sides: Sides) -> list[str]:
    """Rank by the largest distance from the normal median, in interquartile ranges.

    The robust scorer of BARO (Pham, Ha, Zhang, FSE 2024) with the change point given.
    """

    def scale(values: Sequence[float]) -> tuple[float, float]:
        ordered = sorted(values)
        return statistics.median(ordered), _quantile(ordered, 0.75) - _quantile(ordered, 0.25) or 1.0

    return _ranked(_strongest(sides, scale))


def random_walk(sides: Sides) -> list[str]:
    """Rank by where a walk from anomalous callers to anomalous callees ends up.

    Personalised PageRank over the topology as in MicroRCA (Wu, Tordsson, Elmroth, Kao, NOMS 2020): steps to
    callees by how anomalous they are, some back, restarts where it is anomalous.
    """
    scores = {s: math.log1p(v) for s, v in _strongest(sides, _robust).items()}
    if not any(scores.values()):
        return []
    total = sum(scores.values())
    start = {service: score / total for service, score in scores.items()}
    steps = _steps(sides, scores)
    place = dict(start)
    for _ in range(STEPS):
        arrived = {service: RESTART * share for service, share in start.items()}
        for service, share in place.items():
            for target, chance in steps[service].items():
                arrived[target] += (1 - RESTART) * share * chance
        place = arrived
    return _ranked(place)


def log_errors(sides: Sides) -> list[str]:
    """Rank by the growth of warning and error lines a window."""
    grown = {}
    for service in sides.services():
        before, during = (
            sum(seen.count for seen in side.templates.values() if seen.severity_number >= WARN)
            for side in sides.both(service)
        )
        rate = during / max(1, sides.incident_log_windows)
        was = before / max(1, sides.baseline_log_windows)
        grown[service] = max(0.0, math.log2((rate + 0.1) / (was + 0.1)))
    return _ranked(grown)


RIVALS: Mapping[str, Callable[[Sides], list[str]]] = {
    "n_sigma": n_sigma,
    "baro": baro,
    "random_walk": random_walk,
    "log_errors": log_errors,
}


def _robust(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return statistics.median(ordered), _quantile(ordered, 0.75) - _quantile(ordered, 0.25) or 1.0


def _steps(sides: Sides, scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return for each service the chances of where a step leads; it may stay."""
    weights: dict[str, dict[str, float]] = {s: {s: score + 1e-9} for s, score in scores.items()}
    for caller, callee in sorted(sides.edges()):
        if caller in weights and callee in weights:
            weights[caller][callee] = scores[callee] + 1e-9
            weights[callee].setdefault(caller, BACKWARDS * scores[caller] + 1e-9)
    return {
        service: {target: weight / sum(targets.values()) for target, weight in targets.items()}
        for service, targets in weights.items()
    }


def _strongest(sides: Sides, scale: Callable[[Sequence[float]], tuple[float, float]]) -> dict[str, float]:
    return {service: max(_distances(sides, service, scale), default=0.0) for service in sides.services()}


def _distances(
    sides: Sides, service: str, scale: Callable[[Sequence[float]], tuple[float, float]]
) -> Iterator[float]:
    """Yield each series' largest distance; no constant ones, and bytes in MiB, as BARO's authors do."""
    before, during = sides.both(service)
    for key, samples in during.series.items():
        was = [value for _, value in before.series.get(key, ())]
        now = [value for _, value in samples]
        if was and now and len({*was, *now}) > 1:
            size = MEBI if before.units.get(key) in BYTES else 1.0
            center, width = scale([value / size for value in was])
            yield max(abs(value / size - center) for value in now) / width


def _quantile(ordered: Sequence[float], q: float) -> float:
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _ranked(scores: Mapping[str, float]) -> list[str]:
    return sorted((s for s in scores if scores[s] > 0), key=lambda s: (-scores[s], s))
