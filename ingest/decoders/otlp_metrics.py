"""OTLP metrics: messages to `MetricPoint`. Each data point is taken or refused by itself.

A histogram (of either form) becomes the series `<name>.count` and `<name>.sum`, a summary those two and
`<name>` with a label `quantile`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.otlp_values import attribute_map, read_resource
from ingest.events import DecodeError, Labels, MetricKind, MetricPoint, RejectReason, Resource

_NO_RECORDED_VALUE = 1
_DELTA = 1
_HISTOGRAMS = frozenset({"histogram", "exponential_histogram"})


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
            labels = attribute_map(point.attributes)
            for suffix, value, its_unit, its_kind, extra in _values(form, point, unit, kind):
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


def _values(
    form: str, point: Any, unit: str, kind: MetricKind
) -> Iterator[tuple[str, float, str, MetricKind, Labels]]:
    """Yield (suffix of the name, value, unit, kind, further labels) of one data point."""
    if form in {"gauge", "sum"}:
        number = point.WhichOneof("value")
        if number is None:
            raise DecodeError(RejectReason.MALFORMED, "a data point has no value")
        yield "", float(getattr(point, number)), unit, kind, ()
        return
    yield ".count", float(point.count), "1", kind, ()
    if form not in _HISTOGRAMS or point.HasField("sum"):
        yield ".sum", point.sum, unit, kind, ()
    if form == "summary":
        for quantile in point.quantile_values:
            at = (("quantile", f"{quantile.quantile:g}"),)
            yield "", quantile.value, unit, MetricKind.GAUGE, at
