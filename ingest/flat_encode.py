"""The way back to recordings: one event as one flat JSON line, in the field names that recordings have.

Pure. `ingest.decoders.flat_json` reads a line back as the same event but for its origin; equal events give
equal bytes. Fields that an event does not know are left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from ingest.events import (
    ChangeEvent,
    Labels,
    LogEvent,
    MetricKind,
    MetricPoint,
    Resource,
    SpanEvent,
    SpanKind,
)
from ingest.record import SECOND, Nanos

Recordable = LogEvent | MetricPoint | SpanEvent | ChangeEvent


def encode_flat(event: Recordable) -> bytes:
    """Return the event as one line of JSON without its newline."""
    return orjson.dumps(to_flat(event))


def to_flat(event: Recordable) -> dict[str, Any]:
    """Return the event's fields by their flat names."""
    if isinstance(event, LogEvent):
        return _log(event)
    if isinstance(event, MetricPoint):
        return _metric(event)
    if isinstance(event, SpanEvent):
        return _span(event)
    return {
        "time": rfc3339(event.time),
        **_resource(event.resource),
        "change": event.kind,
        "title": event.title,
        **_labels("attributes", event.attributes),
    }


def rfc3339(time: Nanos) -> str:
    """Return a time as RFC 3339 in UTC with all nine digits."""
    seconds, nanos = divmod(time, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def _log(event: LogEvent) -> dict[str, Any]:
    fields: dict[str, Any] = {"time": rfc3339(event.time), **_resource(event.resource)}
    if event.severity_number:
        fields["severity_number"] = event.severity_number
    fields["body"] = event.body
    if event.trace_id is not None:
        fields["trace_id"] = event.trace_id
    if event.span_id is not None:
        fields["span_id"] = event.span_id
    return {**fields, **_labels("attributes", event.attributes)}


def _metric(event: MetricPoint) -> dict[str, Any]:
    fields: dict[str, Any] = {"time": rfc3339(event.time), **_resource(event.resource), "name": event.name}
    if event.unit:
        fields["unit"] = event.unit
    if event.kind is not MetricKind.GAUGE:
        fields["kind"] = event.kind.value
    return {**fields, "value": event.value, **counting_fields(event), **_labels("labels", event.labels)}


def counting_fields(event: MetricPoint) -> dict[str, Any]:
    """Return since when a point counts and its histogram, as far as it has them."""
    fields: dict[str, Any] = {"start_time": rfc3339(event.start)} if event.start else {}
    found = event.distribution
    if found is None:
        return fields
    known: dict[str, Any] = {
        name: value
        for name, value in (("sum", found.total), ("min", found.minimum), ("max", found.maximum))
        if value is not None
    }
    if found.scale is None:
        known |= {"count": found.count, "bounds": found.bounds, "counts": found.counts}
    else:
        known |= {"scale": found.scale, "zero": found.zero}
        for name, side in (("positive", found.positive), ("negative", found.negative)):
            if side.counts:
                known[name] = {"offset": side.offset, "counts": side.counts}
    return {**fields, "histogram": known}


def _span(event: SpanEvent) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "trace_id": event.trace_id,
        "span_id": event.span_id,
        "parent_span_id": event.parent_span_id,
        **_resource(event.resource),
        "name": event.name,
        "start": rfc3339(event.start),
        "end": rfc3339(event.end),
    }
    if event.kind is not SpanKind.UNKNOWN:
        fields["kind"] = event.kind.value
    if event.error:
        fields["error"] = True
    if event.peer is not None:
        fields["peer"] = event.peer
    return {**fields, **_labels("attributes", event.attributes)}


def _resource(resource: Resource) -> dict[str, str]:
    fields = {"service.name": resource.service, "deployment.environment.name": resource.environment}
    if resource.instance is not None:
        fields["k8s.pod.name"] = resource.instance
    if resource.node is not None:
        fields["k8s.node.name"] = resource.node
    return fields


def _labels(name: str, labels: Labels) -> dict[str, dict[str, str]]:
    return {name: dict(labels)} if labels else {}
