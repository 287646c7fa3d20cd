"""Metric samples of a recording, series by series, kept small: two arrays a series, thinned where they grow.

A counter is kept as its rate per second (a fall is a restart), and `x.sum` with `x.count` as the mean `x`.
Memory is bounded by the number of series times `_KEPT` samples; series past `_MOST` are counted, not kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ingest.events import Labels, MetricKind, MetricPoint
from ingest.record import SECOND, Nanos

Values = NDArray[np.float64]
Times = NDArray[np.int64]
_KEPT = 4_096
_MOST = 20_000
_LONG_UNIT = 8


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class SeriesId:
    """Whose series, and which. `instance` is "" where the source names none."""

    service: str
    name: str
    labels: Labels
    instance: str


@dataclass(slots=True)
class _Kept:
    unit: str
    kind: MetricKind
    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    every: int = 1
    """Only one sample in so many is kept, once there were too many."""
    seen: int = 0

    def add(self, time: Nanos, value: float) -> None:
        self.seen += 1
        if self.seen % self.every:
            return
        self.times.append(time)
        self.values.append(value)
        if len(self.times) >= _KEPT:
            self.times, self.values = self.times[1::2], self.values[1::2]
            self.every *= 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series in order of time. `rate` says that it is a counter's change per second."""

    id: SeriesId
    unit: str
    times: Times
    values: Values
    rate: bool = False

    @property
    def interval(self) -> Nanos:
        """Return the usual distance between samples."""
        return int(np.median(np.diff(self.times))) if len(self.times) > 1 else 60 * SECOND

    @property
    def label(self) -> str:
        """Return the name with its labels as people write them."""
        inner = ", ".join(value for _, value in self.id.labels)
        return f"{self.id.name} {inner}".strip()


class Samples:
    """All series of one recording."""

    def __init__(self) -> None:
        self._series: dict[SeriesId, _Kept] = {}
        self.dropped = 0

    def add(self, point: MetricPoint, service: str) -> None:
        """Keep one sample."""
        instance = point.resource.instance or ""
        for name, value, unit in _values(point):
            key = SeriesId(service=service, name=name, labels=point.labels, instance=instance)
            kept = self._series.get(key)
            if kept is None:
                if len(self._series) >= _MOST:
                    self.dropped += 1
                    continue
                kept = self._series[key] = _Kept(_short(unit), point.kind)
            kept.add(point.time, value)

    def series(self) -> dict[str, list[Series]]:
        """Return each service's series, counters as rates, sums and counts as means; sorted."""
        found: dict[str, list[Series]] = {}
        sums = {key for key in self._series if _counterpart(key, ".sum", ".count") in self._series}
        counts = {_counterpart(key, ".sum", ".count") for key in sums}
        for key in sorted(self._series):
            kept = self._series[key]
            if key in counts and kept.kind is MetricKind.CUMULATIVE:
                continue
            mean_of = _counterpart(key, ".sum", ".count") if key in sums else None
            made = _made(key, kept, self._series.get(mean_of) if mean_of else None)
            if len(made.times):
                _join(found.setdefault(key.service, []), made)
        return found


def _join(known: list[Series], series: Series) -> None:
    """Append a series, or lengthen that of an instance which it follows: a restart is no new subject."""
    for place, other in enumerate(known):
        if (other.id.name, other.id.labels) != (series.id.name, series.id.labels):
            continue
        first, second = sorted((other, series), key=lambda one: int(one.times[0]))
        if first.times[-1] < second.times[0]:
            known[place] = replace(
                second,
                times=np.concatenate([first.times, second.times]),
                values=np.concatenate([first.values, second.values]),
            )
            return
    known.append(series)


def _values(point: MetricPoint) -> Iterator[tuple[str, float, str]]:
    """Yield (name, value, unit): of a histogram its count and its sum."""
    if point.distribution is None:
        yield point.name, point.value, point.unit
        return
    yield f"{point.name}.count", float(point.distribution.count), "1"
    if point.distribution.total is not None:
        yield f"{point.name}.sum", point.distribution.total, point.unit


def _counterpart(key: SeriesId, ending: str, other: str) -> SeriesId | None:
    if not key.name.endswith(ending):
        return None
    name = key.name.removesuffix(ending) + other
    return SeriesId(service=key.service, name=name, labels=key.labels, instance=key.instance)


def _made(key: SeriesId, kept: _Kept, counts: _Kept | None) -> Series:
    times, values = _ordered(kept)
    if kept.kind is not MetricKind.CUMULATIVE:
        if kept.kind is MetricKind.DELTA and len(times) > 1:
            # An amount since the sample before: per second it can be compared with what counters say.
            values = values * kept.every / max(float(np.median(np.diff(times))) / SECOND, 1e-9)
            return Series(id=key, unit=_per_second(kept.unit), times=times, values=values, rate=True)
        return Series(id=key, unit=kept.unit, times=times, values=values)
    if counts is not None:
        mean = SeriesId(
            service=key.service,
            name=key.name.removesuffix(".sum") + " (mean)",
            labels=key.labels,
            instance=key.instance,
        )
        times, values = _means(kept, counts)
        return Series(id=mean, unit=kept.unit, times=times, values=values)
    steps = np.diff(times) / SECOND
    grown = np.diff(values)
    good = (grown >= 0) & (steps > 0)
    rates = grown[good] / steps[good]
    return Series(id=key, unit=_per_second(kept.unit), times=times[1:][good], values=rates, rate=True)


def _means(sums: _Kept, counts: _Kept) -> tuple[Times, Values]:
    counted = dict(zip(counts.times, counts.values, strict=True))
    totals = zip(sums.times, sums.values, strict=True)
    both = sorted((time, total, counted[time]) for time, total in totals if time in counted)
    made = [
        (time, (total - was) / (number - before))
        for (_, was, before), (time, total, number) in pairwise(both)
        if number > before and total >= was
    ]
    times = np.array([time for time, _ in made], dtype=np.int64)
    return times, np.array([value for _, value in made], dtype=np.float64)


def _ordered(kept: _Kept) -> tuple[Times, Values]:
    times = np.array(kept.times, dtype=np.int64)
    values = np.array(kept.values, dtype=np.float64)
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


def _per_second(unit: str) -> str:
    if unit in {"", "1"} or unit.startswith("{"):  # what is counted stands in the name
        return "/s"
    return unit if unit.endswith("/s") else f"{'B' if unit in {'By', 'bytes'} else unit}/s"


def _short(unit: str) -> str:
    """Return a unit that was written as a sentence (`% of a core`) by its first word."""
    return unit.split()[0] if len(unit) > _LONG_UNIT and unit.split() else unit
