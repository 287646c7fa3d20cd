"""The last step of a closed window: counters become rates, histograms rates, means and quantiles.

A running total means nothing by itself, only its growth does; so the last reading of each counter is kept
from window to window. It works on whole windows: merge partial summaries first. Pure, and the same whatever
the order in which readings came; bounded by `limit` counters, of which those silent for longest are let go.

What a counter becomes: `name` in units per second. A histogram: `name.rate` per second, `name.mean`,
`name.p50`, `name.p95`, `name.p99`. Where several processes write one series, rates are those of one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ingest.distribution import Distribution, added
from ingest.events import MetricKind
from ingest.families import assembled
from ingest.growth import Growth, Readings, growths
from ingest.merge import joined_series
from ingest.record import Nanos
from ingest.summary import CounterPoint, CounterWindow, SeriesKey, SeriesWindow, WindowSummary

QUANTILES = ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCounter:
    """The last reading of one writer of a counter, as a snapshot keeps it."""

    environment: str
    service: str
    key: SeriesKey
    point: CounterPoint


class Rates:
    """Keeps the last reading of each counter; belongs to whoever sees whole windows."""

    def __init__(self, *, limit: int = 50_000) -> None:
        self._limit = limit
        self._known: dict[tuple[str, str, SeriesKey], Readings] = {}
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
            readings = self._known[key] = self._known.pop(key, {})
            made.extend(_series(counter, list(growths(counter, readings))))
        while len(self._known) > self._limit:
            self._known.pop(next(iter(self._known)))
            self.forgotten += 1
        return replace(summary, series=joined_series(summary.series, made), counters=())

    def dump(self) -> tuple[KnownCounter, ...]:
        """Return everything known."""
        return tuple(
            KnownCounter(environment=environment, service=service, key=key, point=point)
            for (environment, service, key), readings in self._known.items()
            for point in readings.values()
        )

    def load(self, known: Iterable[KnownCounter]) -> None:
        """Replace everything by a `dump`."""
        self._known = {}
        for one in known:
            readings = self._known.setdefault((one.environment, one.service, one.key), {})
            readings[one.point.start] = one.point


def _series(counter: CounterWindow, found: Sequence[Growth]) -> Iterator[SeriesWindow]:
    if any(point.distribution is not None for point in counter.points):
        yield from _histogram(counter, found)
        return
    rates = [(one.time, one.value / one.seconds) for one in found if one.seconds]
    if rates:
        yield _window(counter.key, _per_second(counter.unit), rates)


def _histogram(counter: CounterWindow, found: Sequence[Growth]) -> Iterator[SeriesWindow]:
    whole: Distribution | None = None
    timed, seconds = 0, 0.0
    for one in found:
        if one.distribution is None:
            continue
        whole = one.distribution if whole is None else added(whole, one.distribution)
        if one.seconds:
            timed, seconds = timed + one.distribution.count, seconds + one.seconds
    if whole is None:
        return
    time = found[-1].time
    values: list[tuple[str, str, float | None]] = [
        ("rate", "/s", timed / seconds if seconds else None),
        ("mean", counter.unit, whole.mean()),
        *((name, counter.unit, whole.quantile(q)) for q, name in QUANTILES),
    ]
    for name, unit, value in values:
        if value is not None and math.isfinite(value):
            yield _window(_named(counter.key, name), unit, [(time, value)])


def _named(key: SeriesKey, part: str) -> SeriesKey:
    return SeriesKey(name=f"{key.name}.{part}", instance=key.instance, labels=key.labels)


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
