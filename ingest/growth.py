"""Used by `ingest.rates`: what came between successive readings of one counter or histogram. Pure.

A counter that falls, or that says a later start, began anew: since a known start it counted from zero;
without one nothing is said about the time in between. Several processes may write one series, where nobody
told them apart (replicas or workers that know only the service's name): each says its own start, and is
followed by it (OpenTelemetry's metrics data model, *Single-Writer* and *Overlap*). What a process counted
before it was first seen is no growth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ingest.distribution import Distribution, grown
from ingest.events import MetricKind
from ingest.record import SECOND, Nanos
from ingest.summary import CounterPoint, CounterWindow

FRESH: Nanos = 60 * SECOND
"""A counter first seen that began no longer ago is taken from its beginning on: it is not old, but new."""
MAX_WRITERS = 64
"""Writers of one series that are followed; those silent for longest are let go."""

Readings = dict[Nanos, CounterPoint]
"""The last reading of each writer of a series, by since when it counts (0 where it does not say)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What came between two readings; `seconds` is None where it is not known in what time."""

    time: Nanos
    value: float
    seconds: float | None
    distribution: Distribution | None


def growths(counter: CounterWindow, known: Readings) -> Iterator[Growth]:
    """Yield what came between successive readings, by time, and bring `known` up to date."""
    for point in counter.points:
        before = _reading_before(point, known)
        if counter.kind is MetricKind.DELTA:
            known.clear()
            yield _since(point, point.start or (before.time if before is not None else 0))
        elif before is not None and point.time <= before.time:
            continue  # repeated, or older than what an earlier window knew
        else:
            found = _first(point, known) if before is None else _difference(before, point)
            if found is not None:
                yield found
            if before is not None:
                known.pop(before.start, None)
        known[point.start] = point
        while len(known) > MAX_WRITERS:
            del known[min(known, key=lambda start: (known[start].time, start))]


def _reading_before(point: CounterPoint, known: Readings) -> CounterPoint | None:
    """Return the last reading of the same writer; whoever says no start may be any."""
    same = known.get(point.start)
    if same is None and (point.start == 0 or 0 in known):
        return max(known.values(), key=lambda one: (one.time, one.start), default=None)
    return same


def _first(point: CounterPoint, known: Readings) -> Growth | None:
    """Return what a writer seen for the first time counted, if it just began, or began while we looked."""
    fresh = 0 <= point.time - point.start <= FRESH
    watched = any(one.time <= point.start for one in known.values())
    return _since(point, point.start) if fresh or watched else None


def _difference(before: CounterPoint, point: CounterPoint) -> Growth | None:
    more: Distribution | None = None
    if before.distribution is not None and point.distribution is not None:
        more = grown(before.distribution, point.distribution)
        anew = more is None
    else:
        anew = point.value < before.value
    if anew:
        # Its buckets tell what it has counted since, but nobody knows in what time.
        return None if point.distribution is None else _since(point, 0)
    return Growth(
        time=point.time,
        value=point.value - before.value,
        seconds=_seconds(before.time, point.time),
        distribution=more,
    )


def _since(point: CounterPoint, start: Nanos) -> Growth:
    return Growth(
        time=point.time,
        value=point.value,
        seconds=_seconds(start, point.time) if start else None,
        distribution=point.distribution,
    )


def _seconds(start: Nanos, end: Nanos) -> float | None:
    return (end - start) / SECOND if end > start else None
