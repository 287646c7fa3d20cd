"""OTLP metrics: messages to `MetricPoint`. Each data point is taken or refused by itself.

A histogram (of either form) becomes one point with its distribution, a summary the counters
`<name>.count` and `<name>.sum` and gauges `<name>` with a label `quantile`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.histograms import explicit, exponential
from ingest.decoders.otlp_values import attribute_map, read_resource
from ingest.distribution import Distribution
from ingest.events import DecodeError, Labels, MetricKind, MetricPoint, RejectReason, Resource

_NO_RECORDED_VALUE = 1
_DELTA = 1
_Value = tuple[str, float, str, MetricKind, Labels, Distribution | None]
"""Suffix of the name, value, unit, kind, further labels, distribution."""


def read_metrics(request: Any, batch: Batch) -> None:
    """Add every data point of an `ExportMetricsServiceRequest` to the batch."""
    for group in request.resource_metrics:
        resource, _ = read_resource(group, batch)
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                read_metric(metric, resource, batch)


def read_metric(metric: Any, resource: Resource, batch: Batch) -> None:
    """Add every data point of one Metric to the batch, refusing what is not finite or not timed."""
    form = metric.WhichOneof("data")
    if form is None:
        return
    data = getattr(metric, form)
    kind = _kind(form, data)
    name, unit = batch.name(metric.name), batch.name(metric.unit)
    for point in data.data_points:
        if point.flags & _NO_RECORDED_VALUE:
            continue
        try:
            time = batch.stamped(point.time_unix_nano)
            start = point.start_time_unix_nano if point.start_time_unix_nano <= time else 0
            labels = attribute_map(point.attributes)
            for suffix, value, its_unit, its_kind, extra, distribution in _values(form, point, unit, kind):
                batch.events.append(
                    MetricPoint(
                        origin=batch.origin,
                        resource=resource,
                        time=time,
                        name=name + suffix,
                        value=_finite(value),
                        unit=its_unit,
                        kind=its_kind,
                        labels=batch.labels((*labels.items(), *extra)),
                        start=start if its_kind is not MetricKind.GAUGE else 0,
                        distribution=distribution,
                    )
                )
        except DecodeError as error:
            batch.rejects.append(error.reject)


def _kind(form: str, data: Any) -> MetricKind:
    if form == "gauge":
        return MetricKind.GAUGE
    if form == "summary":
        return MetricKind.CUMULATIVE
    if data.aggregation_temporality == _DELTA:
        return MetricKind.DELTA
    rising = form != "sum" or data.is_monotonic
    return MetricKind.CUMULATIVE if rising else MetricKind.GAUGE


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise DecodeError(RejectReason.NOT_FINITE, "a metric value is NaN or infinite")
    return value


def _values(form: str, point: Any, unit: str, kind: MetricKind) -> Iterator[_Value]:
    """Yield what becomes of one data point."""
    if form in {"gauge", "sum"}:
        number = point.WhichOneof("value")
        if number is None:
            raise DecodeError(RejectReason.MALFORMED, "a data point has no value")
        yield "", float(getattr(point, number)), unit, kind, (), None
    elif form == "summary":
        yield ".count", float(point.count), "1", kind, (), None
        yield ".sum", point.sum, unit, kind, (), None
        for quantile in point.quantile_values:
            if not math.isnan(quantile.value):  # no values, no quantile
                at = (("quantile", f"{quantile.quantile:g}"),)
                yield "", quantile.value, unit, MetricKind.GAUGE, at, None
    else:
        found = _explicit(point) if form == "histogram" else _exponential(point)
        yield "", float(found.count), unit, kind, (), found


def _explicit(point: Any) -> Distribution:
    total = point.sum if point.HasField("sum") else None
    return explicit(point.count, total, _extremes(point), point.explicit_bounds, point.bucket_counts)


def _exponential(point: Any) -> Distribution:
    return exponential(
        point.sum if point.HasField("sum") else None,
        _extremes(point),
        scale=point.scale,
        zero=point.zero_count,
        positive=(point.positive.offset, point.positive.bucket_counts),
        negative=(point.negative.offset, point.negative.bucket_counts),
    )


def _extremes(point: Any) -> tuple[float | None, float | None]:
    return (point.min if point.HasField("min") else None, point.max if point.HasField("max") else None)
