"""OTLP traces: messages to `SpanEvent`. Each span is taken or refused by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.decoders.batch import Batch
from ingest.decoders.otlp_values import attribute_map, hex_id, read_resource, value_text
from ingest.events import DecodeError, RejectReason, Resource, SpanEvent, SpanKind

KINDS = (
    SpanKind.UNKNOWN,
    SpanKind.INTERNAL,
    SpanKind.SERVER,
    SpanKind.CLIENT,
    SpanKind.PRODUCER,
    SpanKind.CONSUMER,
)
"""By OTLP's number."""
KEPT = frozenset({
    "cloudevents.event_type", "code.function.name", "db.collection.name", "db.name", "db.namespace",
    "db.operation", "db.operation.name", "db.query.text", "db.response.status_code", "db.statement",
    "db.system", "db.system.name", "error.type", "exception.message", "exception.type",
    "feature_flag.key", "http.method", "http.request.method", "http.response.status_code", "http.route",
    "http.status_code", "messaging.destination.name", "messaging.operation", "messaging.system",
    "net.peer.name", "rpc.grpc.status_code", "rpc.method", "rpc.service", "rpc.system", "server.address",
    "server.port", "service.version", "session.id", "thread.name",
})  # fmt: skip
"""Attributes that a later stage or a reader of evidence has a use for; the rest would only cost memory."""
PEER_NAMES = (
    "peer.service", "server.address", "net.peer.name", "db.system.name", "db.system", "messaging.system",
    "messaging.destination.name", "rpc.service",
)  # fmt: skip
"""Attributes that `peer_of` looks at."""
_OUTGOING = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})
_STATUS_ERROR = 2


def read_traces(request: Any, batch: Batch) -> None:
    """Add every span of an `ExportTraceServiceRequest` to the batch."""
    for group in request.resource_spans:
        resource, version = read_resource(group, batch)
        for scope in group.scope_spans:
            for item in scope.spans:
                try:
                    batch.events.append(read_span(item, resource, version, batch))
                except DecodeError as error:
                    batch.rejects.append(error.reject)


def read_span(item: Any, resource: Resource, version: str | None, batch: Batch) -> SpanEvent:
    """Return one Span as an event; ids, start and end are required."""
    trace_id, span_id = hex_id(item.trace_id), hex_id(item.span_id)
    if trace_id is None or span_id is None:
        raise DecodeError(RejectReason.MALFORMED, "the span has no trace id or no span id")
    start, end = span_times(
        batch.stamped(item.start_time_unix_nano), batch.stamped(item.end_time_unix_nano), batch
    )
    attributes = attribute_map(item.attributes)
    for event in item.events:
        if event.name == "exception":
            for pair in event.attributes:
                if pair.key in KEPT:
                    attributes.setdefault(pair.key, value_text(pair.value))
    if version is not None:
        attributes.setdefault("service.version", version)
    kind = KINDS[item.kind] if 0 <= item.kind < len(KINDS) else SpanKind.UNKNOWN
    peer = peer_of(kind, attributes)
    return SpanEvent(
        origin=batch.origin,
        resource=resource,
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=hex_id(item.parent_span_id),
        name=batch.name(item.name),
        start=start,
        end=end,
        kind=kind,
        error=item.status.code == _STATUS_ERROR,
        peer=None if peer is None else batch.name(peer),
        attributes=batch.labels(pair for pair in attributes.items() if pair[0] in KEPT),
    )


def span_times(start: int, end: int, batch: Batch) -> tuple[int, int]:
    """Return valid start and end; an end before its start becomes the start and is counted."""
    batch.valid_time(start)
    batch.valid_time(end)
    if end < start:
        batch.cuts["negative_duration"] += 1
        end = start
    return start, end


def peer_of(kind: SpanKind, attributes: Mapping[str, str]) -> str | None:
    """Return the other side as the span names it: `peer.service`, a system and its address, or a host."""
    named = attributes.get("peer.service")
    if named:
        return named
    address = host(attributes.get("server.address") or attributes.get("net.peer.name") or "")
    system = attributes.get("db.system.name") or attributes.get("db.system")
    if system and kind is not SpanKind.SERVER:
        return f"{system}:{address}" if address else system
    if kind not in _OUTGOING:
        return None
    queue = attributes.get("messaging.system")
    if queue:
        target = attributes.get("messaging.destination.name") or address
        return f"{queue}:{target}" if target else queue
    return address or attributes.get("rpc.service") or None


def host(address: str) -> str:
    """Return an address; of Kubernetes' long service name the first part, which says as much."""
    inside = address.removesuffix(".").removesuffix(".cluster.local")
    return inside.split(".", 1)[0] if inside.endswith(".svc") else address
