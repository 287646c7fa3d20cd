"""The last step of a closed window: counters become rates, histograms rates, means and quantiles.

A running total means nothing by itself, only its growth does; so the last reading of each counter is kept
from window to window. It works on whole windows: merge partial summaries first. Pure, and the same whatever
the order in which readings came; bounded by `limit` counters, of which those silent for longest are let go.

What a counter becomes: `name` in units per second. A histogram: `name.rate` per second, `name.mean`,
`name.p50`, `name.p95`, `name.p99`. A counter that falls, or that says a later start, began anew: since a
known start it counted from zero; without one nothing is said about the time in between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.distribution import Distribution, added, grown
from ingest.events import MetricKind
from ingest.families import assembled
from ingest.merge import joined_series
from ingest.record import SECOND, Nanos
from ingest.summary import CounterPoint, CounterWindow, SeriesKey, SeriesWindow, WindowSummary

QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
FRESH: Nanos = 60 * SECOND
"""A counter first seen that began no longer ago is taken from its beginning on: it is not old, but new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCounter:
    """The last reading of a counter, as a snapshot keeps it."""

    environment: str
    service: str
    key: SeriesKey
    point: CounterPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Growth:
    """What came between two readings; `seconds` is None where it is not known in what time."""

    time: Nanos
    value: float
    seconds: float | None
    distribution: Distribution | None


class Rates:
    """Keeps the last reading of each counter; belongs to whoever sees whole windows."""

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: dict[tuple[str, str, SeriesKey], CounterPoint] = {}
        """In the order in which they last spoke."""
        self.forgotten = 0
        """Counters let go because of the limit: their next reading is a first one."""

    def derive(self, summary: WindowSummary) -> WindowSummary:
        """Return the summary with the series that its counters make, and without the raw readings."""
        if not summary.counters:
            return summary
        made: list[SeriesWindow] = []
        for counter in assembled(summary.counters):
            key = (summary.environment, summary.service, counter.key)
            growths = list(_growths(counter, self._known.pop(key, None)))
            self._known[key] = counter.points[-1]
            made.extend(_series(counter, growths))
        while len(self._known) > self._limit:
            self._known.pop(next(iter(self._known)))
            self.forgotten += 1
        return replace(summary, series=joined_series(summary.series, made), counters=())

    def dump(self) -> tuple[KnownCounter, ...]:
        """Return everything known."""
        return tuple(
            KnownCounter(environment=environment, service=service, key=key, point=point)
            for (environment, service, key), point in self._known.items()
        )

    def load(self, known: Iterable[KnownCounter]) -> None:
        """Replace everything by a `dump`."""
        self._known = {(one.environment, one.service, one.key): one.point for one in known}


def _growths(counter: CounterWindow, before: CounterPoint | None) -> Iterator[_Growth]:
    """Yield what came between successive readings, `before` being the last of an earlier window."""
    for point in counter.points:
        if counter.kind is MetricKind.DELTA:
            yield _amount(point, before)
        elif before is None:
            if 0 <= point.time - point.start <= FRESH:
                yield _since_start(point, point.start)
        elif point.time <= before.time:
            continue  # repeated, or older than what an earlier window knew
        else:
            found = _difference(before, point)
            if found is not None:
                yield found
        before = point


def _amount(point: CounterPoint, before: CounterPoint | None) -> _Growth:
    since = point.start or (before.time if before is not None else 0)
    return _Growth(
        time=point.time,
        value=point.value,
        seconds=_seconds(since, point.time) if since else None,
        distribution=point.distribution,
    )


def _since_start(point: CounterPoint, since: Nanos) -> _Growth:
    return _Growth(
        time=point.time,
        value=point.value,
        seconds=_seconds(since, point.time) if since else None,
        distribution=point.distribution,
    )


def _difference(before: CounterPoint, point: CounterPoint) -> _Growth | None:
    more: Distribution | None = None
    if before.distribution is not None and point.distribution is not None:
        more = grown(before.distribution, point.distribution)
        anew = more is None
    else:
        anew = point.value < before.value
    if point.start > before.start > 0 or anew:
        if point.start <= before.start and point.distribution is None:
            return None
        # It cannot have begun before it was last seen running.
        began = max(point.start, before.time) if point.start > before.start else 0
        return _since_start(point, began)
    return _Growth(
        time=point.time,
        value=point.value - before.value,
        seconds=_seconds(before.time, point.time),
        distribution=more,
    )


def _seconds(start: Nanos, end: Nanos) -> float | None:
    return (end - start) / SECOND if end > start else None


def _series(counter: CounterWindow, growths: Sequence[_Growth]) -> Iterator[SeriesWindow]:
    if any(point.distribution is not None for point in counter.points):
        yield from _histogram(counter, growths)
        return
    rates = [(one.time, one.value / one.seconds) for one in growths if one.seconds]
    if rates:
        yield _window(counter.key, _per_second(counter.unit), rates)


def _histogram(counter: CounterWindow, growths: Sequence[_Growth]) -> Iterator[SeriesWindow]:
    whole: Distribution | None = None
    timed, seconds = 0, 0.0
    for one in growths:
        if one.distribution is None:
            continue
        whole = one.distribution if whole is None else added(whole, one.distribution)
        if one.seconds:
            timed, seconds = timed + one.distribution.count, seconds + one.seconds
    if whole is None:
        return
    time = growths[-1].time
    values: list[tuple[str, str, float | None]] = [
        ("rate", "/s", timed / seconds if seconds else None),
        ("mean", counter.unit, whole.mean()),
        *((name, counter.unit, whole.quantile(q)) for q, name in QUANTILES),
    ]
    for name, unit, value in values:
        if value is not None and math.isfinite(value):
            yield _window(replace(counter.key, name=f"{counter.key.name}.{name}"), unit, [(time, value)])


def _window(key: SeriesKey, unit: str, samples: Sequence[tuple[Nanos, float]]) -> SeriesWindow:
    values = [value for _, value in samples]
    return SeriesWindow(
        key=key,
        kind=MetricKind.GAUGE,
        unit=unit,
        samples=tuple(sorted(samples)),
        count=len(samples),
        total=math.fsum(values),
        minimum=min(values),
        maximum=max(values),
    )


def _per_second(unit: str) -> str:
    """Return the unit of a rate. UCUM writes what is counted in braces: 5 {request}."""
    return f"{'' if unit == '1' else unit.strip('{}')}/s"
