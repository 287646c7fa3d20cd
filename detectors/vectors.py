"""What a service is doing in one window as a few numbers side by side: traffic, errors, latency, resources.

Made of a closed window for `detectors.joint`. Spans tell traffic, errors and latency; where there are none,
metrics by their names do. Every number is on a scale where ordinary noise is about as wide at any level.
Each dimension names the operation or series that it can be looked up by.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from detectors.anomaly import EvidenceKind
from ingest.events import MetricKind
from ingest.sketch import Sketch, merged
from ingest.summary import OperationWindow, SeriesWindow, WindowSummary

REQUESTS, ERRORS = "requests", "error share"
QUANTILES = (("p50 latency", 0.5), ("p95 latency", 0.95))

_LEVEL = re.compile(
    r"cpu|mem(?!ber)|heap|pool|connection|thread|queue|pending|active|waiting|backlog|in_?flight",
    re.IGNORECASE,
)
_CAPACITY = re.compile(r"(max|limit|size|capacity|total|count_?max)$", re.IGNORECASE)
_TRAFFIC = re.compile(
    r"(requests?|queries|calls|operations|messages|transactions|throughput|[rq]ps)", re.IGNORECASE
)
_LATENCY = re.compile(r"latency|response.?time|duration", re.IGNORECASE)
_MEMORY = re.compile(r"mem(?!ber)|heap|rss", re.IGNORECASE)
_SMALLEST = 1e-4
_GREATEST = 80.0
_BYTES = frozenset({"By", "bytes"})
_RATIOS = frozenset({"1", "ratio"})
_DURATIONS = frozenset({"s", "seconds", "ms", "milliseconds", "us", "ns"})


class Scale(StrEnum):
    """How a number becomes comparable: ordinary noise is then about as wide at any level."""

    ROOT = "root"
    """Sizes and counts: counting noise is one wide (Anscombe 1948)."""
    ANGLE = "angle"
    """Shares, 0..1 (Anscombe 1948)."""
    LOG = "log"
    """Durations in their unit, and bytes: they differ by factors."""

    def compared(self, plain: float) -> float:
        """Return a number as people know it on this scale."""
        if self is Scale.ROOT:
            return math.copysign(2.0 * math.sqrt(abs(plain) + 0.375), plain)
        if self is Scale.ANGLE:
            return 2.0 * math.asin(math.sqrt(min(max(plain, 0.0), 1.0)))
        return math.log(max(plain, _SMALLEST))

    def plain(self, compared: float) -> float:
        """Return a number on this scale as people know it."""
        if self is Scale.ROOT:
            return math.copysign(max(compared * compared / 4.0 - 0.375, 0.0), compared)
        if self is Scale.ANGLE:
            return math.sin(min(max(compared, 0.0), math.pi) / 2.0) ** 2
        return math.exp(min(compared, _GREATEST))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One number of a window's vector, as people know it; `value` is what is compared."""

    name: str
    plain: float
    scale: Scale
    unit: str
    least: float
    """The smallest deviation that means anything on the compared scale."""
    kind: EvidenceKind
    subject: str
    label: str
    instance: str | None = None

    @property
    def value(self) -> float:
        """The number on its scale."""
        return self.scale.compared(self.plain)


def dimensions(summary: WindowSummary) -> list[Dimension]:
    """Return the window's dimensions, those from spans first, metrics by name; none twice."""
    found = [*_spans(summary), *_metrics(summary, spans=bool(summary.operations))]
    return [one for one in found if math.isfinite(one.plain)]


def _spans(summary: WindowSummary) -> Iterator[Dimension]:
    entries = [one for one in summary.operations if one.entry > 0]
    if not entries:
        return
    count = sum(one.count for one in entries)
    errors = sum(one.errors for one in entries)
    busiest = max(entries, key=lambda one: (one.count, one.operation))
    yield _operation(summary, REQUESTS, busiest, float(count))
    failing = max(entries, key=lambda one: (one.errors, one.count, one.operation))
    yield _operation(summary, ERRORS, failing, errors / count, Scale.ANGLE, least=0.3)
    whole = Sketch()
    for one in entries:
        whole = merged(whole, one.duration)
    for name, share in QUANTILES:
        value = whole.quantile(share)
        if value is not None:
            slowest = max(entries, key=lambda one: (_weight(one, share), one.operation))
            yield _operation(summary, name, slowest, value, Scale.LOG, unit="s", least=0.1)


def _weight(operation: OperationWindow, share: float) -> float:
    """Return by how much an operation makes its service slow: how long its calls take, times how many."""
    return operation.count * (operation.duration.quantile(share) or 0.0)


def _operation(
    summary: WindowSummary,
    name: str,
    operation: OperationWindow,
    plain: float,
    scale: Scale = Scale.ROOT,
    *,
    unit: str = "",
    least: float = 1.0,
) -> Dimension:
    return Dimension(
        name=name,
        plain=plain,
        scale=scale,
        unit=unit,
        least=least,
        kind=EvidenceKind.OPERATION,
        subject=operation.operation,
        label=f"{summary.service} {operation.operation}",
    )


def _metrics(summary: WindowSummary, *, spans: bool) -> Iterator[Dimension]:
    """Yield one dimension a metric name: the mean over its series of this window."""
    names: dict[str, list[SeriesWindow]] = {}
    for series in summary.series:
        if series.kind is not MetricKind.CUMULATIVE and _telling(series, spans=spans):
            names.setdefault(series.key.name, []).append(series)
    for name in sorted(names):
        means = [(one.mean, one) for one in names[name] if one.count and math.isfinite(one.mean)]
        if means:
            yield _level(name, means)


def _telling(series: SeriesWindow, *, spans: bool) -> bool:
    name = series.key.name
    if _CAPACITY.search(name):
        return False
    if _LEVEL.search(name):
        return not series.unit.endswith("/s") or "cpu" in name.lower()
    if spans:
        return False
    rate = series.unit.endswith("/s") and not series.unit.startswith("s/")
    return (rate and bool(_TRAFFIC.search(name))) or (
        series.unit in _DURATIONS and bool(_LATENCY.search(name))
    )


def _level(name: str, means: Sequence[tuple[float, SeriesWindow]]) -> Dimension:
    plain = sum(mean for mean, _ in means) / len(means)
    _, highest = max(means, key=lambda one: (one[0], one[1].key))
    if highest.unit in _DURATIONS or highest.unit in _BYTES:
        scale, least = Scale.LOG, 0.1
    elif highest.unit in _RATIOS and 0.0 <= plain <= 1.0:
        scale, least = Scale.ANGLE, 0.05
    else:
        scale, least = Scale.ROOT, 0.3
    return Dimension(
        name=name,
        plain=plain,
        scale=scale,
        unit="" if highest.unit == "1" else highest.unit,
        least=least,
        kind=EvidenceKind.METRIC,
        subject=str(highest.key),
        label=str(highest.key),
        instance=highest.key.instance or None,
    )


def sets_the_rest(name: str) -> bool:
    """Say whether a dimension is traffic, which the others follow."""
    return name == REQUESTS or (bool(_TRAFFIC.search(name)) and not _LEVEL.search(name))


def wanders(name: str) -> bool:
    """Say whether a dimension may creep for hours in all innocence, as memory does."""
    return bool(_MEMORY.search(name))


def kind_of(name: str) -> str:
    """Return the name of what a dimension measures; quantiles of one latency measure the same."""
    return "latency" if any(name == quantile for quantile, _ in QUANTILES) else name
