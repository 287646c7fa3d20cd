"""Used by `ingest.rates`: Prometheus' histograms, which arrive as one series a bucket, put together. Pure.

`name_bucket{le="…"}` counts what is at most `le`; the readings of one scrape share a time, and `name_count`
and `name_sum` belong to them. A reading without a total (`le="+Inf"` or `name_count`) is left out. Works on
a whole window, so that it does not matter in which order, or through which partition, buckets came.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from ingest.distribution import Distribution, fitted
from ingest.events import MetricKind
from ingest.merge import kept_points
from ingest.record import Nanos
from ingest.summary import CounterPoint, CounterWindow, SeriesKey

_BUCKET, _COUNT, _SUM = "_bucket", "_count", "_sum"


def assembled(counters: Sequence[CounterWindow]) -> tuple[CounterWindow, ...]:
    """Return the counters with each family of buckets, its count and its sum as one histogram, sorted."""
    families: dict[SeriesKey, dict[float, CounterWindow]] = {}
    for counter in counters:
        found = _family(counter)
        if found is not None:
            families.setdefault(found[0], {})[found[1]] = counter
    if not families:
        return tuple(counters)
    left = {counter.key: counter for counter in counters}
    for key, buckets in families.items():
        count = left.get(replace(key, name=key.name + _COUNT))
        total = left.get(replace(key, name=key.name + _SUM))
        points = _points(buckets, count, total)
        if not points:
            continue
        for used in (*buckets.values(), count, total):
            if used is not None:
                del left[used.key]
        # A counter of the family's own name would be lost: histogram and counter cannot share one.
        left[key] = CounterWindow(
            key=key,
            kind=MetricKind.CUMULATIVE,
            unit=_unit(total, buckets.values()),
            points=kept_points(points, len(points), MetricKind.CUMULATIVE),
            count=len(points),
        )
    return tuple(left[key] for key in sorted(left))


def _family(counter: CounterWindow) -> tuple[SeriesKey, float] | None:
    """Return the histogram that a series is a bucket of, and the bucket's upper bound."""
    key = counter.key
    if not key.name.endswith(_BUCKET) or counter.kind is not MetricKind.CUMULATIVE:
        return None
    bound = next((value for name, value in key.labels if name == "le"), None)
    try:
        upper = math.nan if bound is None else float(bound)
    except ValueError:
        return None
    if math.isnan(upper) or any(point.distribution is not None for point in counter.points):
        return None
    labels = tuple(pair for pair in key.labels if pair[0] != "le")
    return replace(key, name=key.name.removesuffix(_BUCKET), labels=labels), upper


def _unit(total: CounterWindow | None, buckets: Iterable[CounterWindow]) -> str:
    return total.unit if total is not None else min(bucket.unit for bucket in buckets)


def _points(
    buckets: dict[float, CounterWindow], count: CounterWindow | None, total: CounterWindow | None
) -> list[CounterPoint]:
    """Return one reading for every time of which the whole count is known."""
    by_time: dict[Nanos, dict[float, CounterPoint]] = {}
    for upper in sorted(buckets):
        for point in buckets[upper].points:
            by_time.setdefault(point.time, {})[upper] = point
    counts, totals = _values(count), _values(total)
    points = []
    for time, known in sorted(by_time.items()):
        whole = known[math.inf].value if math.inf in known else counts.get(time)
        if whole is None:
            continue
        distribution = _distribution(known, whole, totals.get(time))
        start = max(point.start for point in known.values())
        points.append(
            CounterPoint(time=time, value=float(distribution.count), start=start, distribution=distribution)
        )
    return points


def _values(counter: CounterWindow | None) -> dict[Nanos, float]:
    return {} if counter is None else {point.time: point.value for point in counter.points}


def _distribution(known: dict[float, CounterPoint], whole: float, total: float | None) -> Distribution:
    """Make counts of each bucket from counts up to it; a scrape that raced with an update may even fall."""
    bounds = tuple(upper for upper in sorted(known) if math.isfinite(upper))
    count = max(0, round(whole))
    counts, before = [], 0
    for upper in bounds:
        up_to = min(count, max(before, round(known[upper].value)))
        counts.append(up_to - before)
        before = up_to
    counts.append(count - before)
    buckets = tuple(counts) if bounds else ()
    return fitted(Distribution(count=count, total=total, bounds=bounds, counts=buckets))
