"""OTLP in JSON: objects to messages, then the way of the protobuf form. Each item is taken or refused alone.

Differs from protobuf's own JSON in two points that matter: ids are hex, not base64, and unknown fields are
to be ignored. Keys may be camelCase or snake_case.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from ingest.decoders.batch import Batch
from ingest.decoders.flat_json import documents
from ingest.decoders.otlp_logs import read_log
from ingest.decoders.otlp_metrics import read_metric
from ingest.decoders.otlp_traces import read_span
from ingest.decoders.otlp_values import read_resource
from ingest.events import DecodeError, RejectReason, Resource

_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_UNREAD = ("links", "exemplars")
"""Fields that no event uses and whose ids would need the same rewriting."""
Read = Callable[[Any, Resource, str | None, Batch], None]

ROOTS = (
    ("resourceLogs", "resource_logs"),
    ("resourceMetrics", "resource_metrics"),
    ("resourceSpans", "resource_spans"),
)


def is_request(item: dict[str, Any]) -> bool:
    """Tell by its field names whether an object is an OTLP request."""
    return any(name in item for names in ROOTS for name in names)


def decode(value: bytes, batch: Batch) -> None:
    """Read one request, or one a line, of logs, metrics or traces."""
    for document in documents(value, batch):
        if isinstance(document, dict) and is_request(document):
            read_document(document, batch)
        else:
            batch.rejects.append(
                DecodeError(
                    RejectReason.MALFORMED, "no resourceLogs, resourceMetrics or resourceSpans"
                ).reject
            )


def read_document(document: dict[str, Any], batch: Batch) -> None:
    """Add every item of a parsed request to the batch."""
    for root, scopes, items, group_type, item_type, read in _SHAPES:
        for group in _lists(document, *root):
            try:
                resource, version = _resource(group, group_type, batch)
            except DecodeError as error:
                batch.rejects.append(error.reject)
                continue
            for scope in _lists(group, *scopes):
                for item in _lists(scope, *items):
                    try:
                        read(_message(item, item_type()), resource, version, batch)
                    except DecodeError as error:
                        batch.rejects.append(error.reject)


def _resource(group: Any, group_type: Any, batch: Batch) -> tuple[Resource, str | None]:
    if not isinstance(group, dict):
        raise DecodeError(RejectReason.MALFORMED, "a resource entry is not an object")
    return read_resource(_message({"resource": group.get("resource") or {}}, group_type()), batch)


def _lists(parent: Any, *names: str) -> list[Any]:
    if not isinstance(parent, dict):
        return []
    found = next((parent[name] for name in names if name in parent), None)
    return found if isinstance(found, list) else []


def _message(item: Any, message: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("body") or {}, dict):
        raise DecodeError(RejectReason.MALFORMED, "an item or its body is not an object")
    fields = {name: field for name, field in item.items() if name not in _UNREAD}
    for name in _IDS:
        if fields.get(name):
            fields[name] = _from_hex(fields[name])
    try:
        json_format.ParseDict(fields, message, ignore_unknown_fields=True, max_recursion_depth=100)
    except json_format.ParseError as error:
        if "too deep" in str(error):
            raise DecodeError(RejectReason.TOO_DEEP, "an item nests deeper than 100 levels") from None
        raise DecodeError(RejectReason.MALFORMED, f"not a {message.DESCRIPTOR.name} in JSON") from None
    except (TypeError, ValueError, AttributeError, RecursionError):
        raise DecodeError(RejectReason.MALFORMED, f"not a {message.DESCRIPTOR.name} in JSON") from None
    return message


def _from_hex(text: Any) -> str:
    try:
        return base64.b64encode(bytes.fromhex(text)).decode()
    except (TypeError, ValueError, binascii.Error):
        raise DecodeError(RejectReason.MALFORMED, "an id is not hexadecimal") from None


def _add_log(item: Any, resource: Resource, version: str | None, batch: Batch) -> None:
    batch.events.append(read_log(item, resource, version, batch))


def _add_metric(item: Any, resource: Resource, _version: str | None, batch: Batch) -> None:
    read_metric(item, resource, batch)


def _add_span(item: Any, resource: Resource, version: str | None, batch: Batch) -> None:
    batch.events.append(read_span(item, resource, version, batch))


_SHAPES: tuple[tuple[tuple[str, str], tuple[str, str], tuple[str, ...], Any, Any, Read], ...] = (
    (ROOTS[0], ("scopeLogs", "scope_logs"), ("logRecords", "log_records"), ResourceLogs, LogRecord, _add_log),
    (ROOTS[1], ("scopeMetrics", "scope_metrics"), ("metrics",), ResourceMetrics, Metric, _add_metric),
    (ROOTS[2], ("scopeSpans", "scope_spans"), ("spans",), ResourceSpans, Span, _add_span),
)
