"""OTLP logs: messages to `LogEvent`. Each record is taken or refused by itself."""

from __future__ import annotations

from typing import Any

from ingest.decoders import severity
from ingest.decoders.batch import Batch
from ingest.decoders.otlp_values import attribute_map, hex_id, read_resource, value_text
from ingest.events import DecodeError, LogEvent, Resource

_SEQUENCE = ("session.id", "thread.name", "thread.id")


def read_logs(request: Any, batch: Batch) -> None:
    """Add every log record of an `ExportLogsServiceRequest` to the batch."""
    for group in request.resource_logs:
        resource, version = read_resource(group, batch)
        for scope in group.scope_logs:
            for item in scope.log_records:
                try:
                    batch.events.append(read_log(item, resource, version, batch))
                except DecodeError as error:
                    batch.rejects.append(error.reject)


def read_log(item: Any, resource: Resource, version: str | None, batch: Batch) -> LogEvent:
    """Return one LogRecord as an event; a missing time is the observed, else the broker's."""
    time = batch.valid_time(item.time_unix_nano or item.observed_time_unix_nano or batch.received)
    attributes = attribute_map(item.attributes)
    if version is not None:
        attributes.setdefault("service.version", version)
    body = with_exception(value_text(item.body), attributes) or item.event_name
    number = item.severity_number
    if not 1 <= number <= 24:
        number = severity.from_name(item.severity_text) or severity.from_line(body)
    trace_id = hex_id(item.trace_id)
    return LogEvent(
        origin=batch.origin,
        resource=resource,
        time=time,
        body=batch.text(body),
        severity_number=number,
        trace_id=trace_id,
        span_id=hex_id(item.span_id),
        sequence_key=trace_id or sequence_key(attributes, resource),
        attributes=batch.labels(attributes.items()),
    )


def sequence_key(attributes: dict[str, str], resource: Resource) -> str | None:
    """Return what orders lines without a trace: the session, else the thread of this instance."""
    for name in _SEQUENCE:
        value = attributes.get(name)
        if value:
            return value if name == "session.id" else f"{resource.instance or ''}/{value}"
    return None


def with_exception(body: str, attributes: dict[str, str]) -> str:
    """Return the body with `type: message` of the exception attributes below it, unless it says them."""
    name, message = attributes.get("exception.type", ""), attributes.get("exception.message", "")
    if not name and not message:
        return body
    told = f"{name}: {message}" if name and message else name or message
    if told in body:
        return body
    return f"{body}\n{told}" if body else told
