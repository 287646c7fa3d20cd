"""Requests of one log record, span or metric as OTLP exporters send them, and what they decode to."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from ingest.decode import Decode
from ingest.events import Decoded, Event, LogEvent, MetricKind, MetricPoint, SpanEvent, TopicDefaults
from ingest.record import SECOND, Nanos, Origin, Record

NOW: Nanos = 1_790_000_000 * SECOND
TRACE = bytes(range(1, 17))
SPAN = bytes(range(1, 9))


def decode(value: bytes, form: str = "auto", received: Nanos = NOW) -> Decoded:
    """Decode one record of a topic with this format."""
    record = Record(origin=Origin(topic="t", partition=0, offset=0), value=value, received=received)
    return Decode({"t": TopicDefaults(format=form)}).decode(record, NOW)


def attributes(**values: str | int | float | bool) -> list[Any]:
    """Make key-values; `__` in a name stands for a dot."""
    made = []
    for name, value in values.items():
        kind = {str: "string_value", bool: "bool_value", int: "int_value", float: "double_value"}[type(value)]
        pair = KeyValue(key=name.replace("__", "."))
        setattr(pair.value, kind, value)
        made.append(pair)
    return made


def logs_request(**fields: Any) -> Any:
    """Make a request with one log record."""
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(attributes(service__name="cart", host__name="h", service__version="2"))
    group.scope_logs.add().log_records.add(**fields)
    return request


def spans_request(**fields: Any) -> Any:
    """Make a request with one span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(attributes(service__name="cart"))
    times = {"start_time_unix_nano": NOW - SECOND, "end_time_unix_nano": NOW}
    group.scope_spans.add().spans.add(
        **{"trace_id": TRACE, "span_id": SPAN, "name": "GET", **times, **fields}
    )
    return request


def metrics_request() -> tuple[Any, Any]:
    """Make a request and its one metric, still without data."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(attributes(service__name="cart"))
    return request, group.scope_metrics.add().metrics.add(name="m", unit="s")


def one(request: Any) -> Event:
    """Decode a request that holds one event."""
    (event,) = decode(request.SerializeToString()).events
    return event


def one_log(**fields: Any) -> LogEvent:
    """Decode a request that holds one log record."""
    event = one(logs_request(**fields))
    assert isinstance(event, LogEvent)
    return event


def one_span(**fields: Any) -> SpanEvent:
    """Decode a request that holds one span."""
    event = one(spans_request(**fields))
    assert isinstance(event, SpanEvent)
    return event


def points(request: Any) -> list[tuple[str, float, MetricKind, str, tuple[tuple[str, str], ...]]]:
    """Decode a request of metrics to what matters of each point."""
    events = decode(request.SerializeToString()).events
    assert all(isinstance(event, MetricPoint) for event in events)
    return [(e.name, e.value, e.kind, e.unit, e.labels) for e in events if isinstance(e, MetricPoint)]
