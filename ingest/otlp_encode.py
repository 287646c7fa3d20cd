"""The way back: events to raw OTLP requests, for `replay --to kafka` and for feeding a real broker in tests.

Pure. Decoding what is written here gives the same events but for their origin, in groups by resource. What
OTLP cannot hold is stated: an id that is not hex becomes a hash of itself, the same in every signal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decoders.otlp_traces import KINDS
from ingest.distribution import Distribution
from ingest.events import Event, Labels, LogEvent, MetricKind, MetricPoint, Resource, SpanEvent

_DELTA, _CUMULATIVE = 1, 2
_STATUS_ERROR = 2
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_OVERHEAD = 160
"""Bytes of ids, times and tags that an item takes beside its texts; an estimate from above."""

E = TypeVar("E", LogEvent, MetricPoint, SpanEvent)


def encode_logs(events: Iterable[LogEvent]) -> bytes:
    """Return an `ExportLogsServiceRequest`."""
    request = ExportLogsServiceRequest()
    for resource, group in _by_resource(events).items():
        holder = request.resource_logs.add()
        _write_resource(holder.resource, resource)
        records = holder.scope_logs.add().log_records
        for event in group:
            record = records.add(
                time_unix_nano=event.time,
                observed_time_unix_nano=event.time,
                severity_number=event.severity_number,
                trace_id=_id(event.trace_id, _TRACE_BYTES),
                span_id=_id(event.span_id, _SPAN_BYTES),
            )
            record.body.string_value = event.body
            _write_labels(record.attributes, event.attributes)
    return bytes(request.SerializeToString())


def encode_metrics(events: Iterable[MetricPoint]) -> bytes:
    """Return an `ExportMetricsServiceRequest`; counters become sums."""
    request = ExportMetricsServiceRequest()
    for resource, group in _by_resource(events).items():
        holder = request.resource_metrics.add()
        _write_resource(holder.resource, resource)
        metrics = holder.scope_metrics.add().metrics
        known: dict[tuple[str, str, MetricKind, str], Any] = {}
        for event in group:
            form = _form(event)
            key = (event.name, event.unit, event.kind, form)
            if key not in known:
                known[key] = _data(metrics.add(name=event.name, unit=event.unit), event.kind, form)
            point = known[key].data_points.add(time_unix_nano=event.time, start_time_unix_nano=event.start)
            if event.distribution is None:
                point.as_double = event.value
            else:
                _write_histogram(point, event.distribution)
            _write_labels(point.attributes, event.labels)
    return bytes(request.SerializeToString())


def encode_traces(events: Iterable[SpanEvent]) -> bytes:
    """Return an `ExportTraceServiceRequest`; what a span knows of its peer goes into `peer.service`."""
    request = ExportTraceServiceRequest()
    for resource, group in _by_resource(events).items():
        holder = request.resource_spans.add()
        _write_resource(holder.resource, resource)
        spans = holder.scope_spans.add().spans
        for event in group:
            span = spans.add(
                trace_id=_id(event.trace_id, _TRACE_BYTES),
                span_id=_id(event.span_id, _SPAN_BYTES),
                parent_span_id=_id(event.parent_span_id, _SPAN_BYTES),
                name=event.name,
                kind=KINDS.index(event.kind),
                start_time_unix_nano=event.start,
                end_time_unix_nano=event.end,
            )
            if event.error:
                span.status.code = _STATUS_ERROR
            _write_labels(span.attributes, event.attributes)
            if event.peer is not None:
                _write_labels(span.attributes, (("peer.service", event.peer),))
    return bytes(request.SerializeToString())


def in_requests(events: Iterable[Event], max_bytes: int = 800_000) -> Iterator[tuple[str, bytes]]:
    """Yield (signal, request) with signal `logs`, `metrics` or `traces`, each request of about `max_bytes`.

    Events of one signal keep their order; changes and alerts have no form in OTLP and are left to the caller.
    """
    waiting: dict[str, list[Any]] = {"logs": [], "metrics": [], "traces": []}
    sizes = dict.fromkeys(waiting, 0)
    encoders: dict[str, Callable[[list[Any]], bytes]] = {
        "logs": encode_logs,
        "metrics": encode_metrics,
        "traces": encode_traces,
    }
    for event in events:
        signal = _signal(event)
        if signal is None:
            continue
        size = _size(event)
        if waiting[signal] and sizes[signal] + size > max_bytes:
            yield signal, encoders[signal](waiting[signal])
            waiting[signal], sizes[signal] = [], 0
        waiting[signal].append(event)
        sizes[signal] += size
    for signal, rest in waiting.items():
        if rest:
            yield signal, encoders[signal](rest)


def _signal(event: Event) -> str | None:
    if isinstance(event, LogEvent):
        return "logs"
    if isinstance(event, MetricPoint):
        return "metrics"
    return "traces" if isinstance(event, SpanEvent) else None


def _size(event: Event) -> int:
    text = event.body if isinstance(event, LogEvent) else ""
    labels = event.labels if isinstance(event, MetricPoint) else getattr(event, "attributes", ())
    return _OVERHEAD + 3 * (len(text) + sum(len(key) + len(value) for key, value in labels))


def _by_resource(events: Iterable[E]) -> dict[Resource, list[E]]:
    groups: dict[Resource, list[E]] = {}
    for event in events:
        groups.setdefault(event.resource, []).append(event)
    return groups


def _form(event: MetricPoint) -> str:
    if event.distribution is not None:
        return "histogram" if event.distribution.scale is None else "exponential_histogram"
    return "gauge" if event.kind is MetricKind.GAUGE else "sum"


def _data(metric: Any, kind: MetricKind, form: str) -> Any:
    data = getattr(metric, form)
    if form == "sum":
        data.is_monotonic = True
    if form != "gauge":
        data.aggregation_temporality = _DELTA if kind is MetricKind.DELTA else _CUMULATIVE
    return data


def _write_histogram(point: Any, found: Distribution) -> None:
    point.count = found.count
    for name, value in (("sum", found.total), ("min", found.minimum), ("max", found.maximum)):
        if value is not None:
            setattr(point, name, value)
    if found.scale is None:
        point.explicit_bounds.extend(found.bounds)
        point.bucket_counts.extend(found.counts)
        return
    point.scale, point.zero_count = found.scale, found.zero
    for side, buckets in ((point.positive, found.positive), (point.negative, found.negative)):
        side.offset = buckets.offset
        side.bucket_counts.extend(buckets.counts)


def _write_resource(message: Any, resource: Resource) -> None:
    named = (
        ("deployment.environment.name", resource.environment),
        ("service.name", resource.service),
        ("k8s.pod.name", resource.instance),
        ("k8s.node.name", resource.node),
    )
    _write_labels(message.attributes, tuple((name, value) for name, value in named if value is not None))


def _write_labels(attributes: Any, labels: Labels) -> None:
    for name, value in labels:
        attributes.add(key=name).value.string_value = value


def _id(text: str | None, size: int) -> bytes:
    if text is None:
        return b""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    return raw if 0 < len(raw) <= size else hashlib.blake2b(text.encode(), digest_size=size).digest()
